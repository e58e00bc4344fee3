#!/usr/bin/env bash
# Files over HTTP and in S3, and a listing of 100,000 objects, in an environment of its own on top
# of .venv (.venv-remote; built once, and again when its requirements change).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}  # that of the environment
venv=.venv-remote
pins=tests/remote/requirements.txt
where='import sysconfig; print(sysconfig.get_paths()["purelib"])'

if ! cmp -s "$pins" "$venv/.done"; then
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$pins"
    .venv/bin/python -c "$where" > "$("$venv/bin/python" -c "$where")/below.pth"
    cp "$pins" "$venv/.done"
fi
FASTSCNN_OBJECTS=100000 "$venv/bin/python" -m pytest -rs -s tests/remote/check_stores.py \
    tests/core/test_remote.py::test_a_long_listing_streams
