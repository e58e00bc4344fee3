#!/usr/bin/env bash
# Tests with the lowest versions that pyproject.toml allows, in environments of their own
# (.venv-lowest-runtime, .venv-lowest-train; built once, and again when their versions change).
set -euo pipefail
cd "$(dirname "$0")/../.."

with() { # NAME TESTS...
    local venv=.venv-lowest-$1
    bash tests/environment.sh "$venv" "tests/lowest/$1.txt"
    echo "== $1"
    "$venv/bin/python" -m pytest "${@:2}"
}

with runtime tests/runtime/inspection tests/core/test_reading.py tests/core/test_files.py \
    tests/core/test_images.py tests/core/test_settings_file.py tests/test_prediction.py
with train tests/model/test_preprocess.py tests/runtime/test_image_model.py \
    tests/quantize/test_calibration.py tests/test_run_report.py tests/train/test_search.py
