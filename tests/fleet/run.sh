#!/usr/bin/env bash
# Work shared by Ray's actors, and pictures in Parquet files, in an environment of its own (.venv-ray; built once, and again when
# its requirements change).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}  # that of the environment
pins=tests/fleet/requirements.txt
if ! cmp -s "$pins" .venv-ray/.done; then
    "$python" -m venv --clear .venv-ray
    .venv-ray/bin/python -m pip install --quiet --disable-pip-version-check -r "$pins"
    cp "$pins" .venv-ray/.done
fi
# Actors import what they compute with, as other machines import an installed package.
PYTHONPATH=$PWD:$PWD/tests/runtime .venv-ray/bin/python -m pytest tests/fleet/check_fleet.py tests/fleet/check_parquet.py
