#!/usr/bin/env bash
# Files over HTTP and in S3, and a listing of 100,000 objects, in an environment of its own on top
# of .venv (.venv-remote; built once, and again when its requirements change).
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=.venv-remote
where='import sysconfig; print(sysconfig.get_paths()["purelib"])'

bash tests/environment.sh "$venv" tests/remote/requirements.txt --no-deps
.venv/bin/python -c "$where" > "$("$venv/bin/python" -c "$where")/below.pth"
FASTSCNN_OBJECTS=100000 "$venv/bin/python" -m pytest -rs -s tests/remote/check_stores.py \
    tests/core/test_remote.py::test_a_long_listing_streams
