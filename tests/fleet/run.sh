#!/usr/bin/env bash
# Work shared by Ray's actors, and images in Parquet files, in an environment of its own (.venv-ray; built once, and again when
# its requirements change).
set -euo pipefail
cd "$(dirname "$0")/../.."
bash tests/environment.sh .venv-ray tests/fleet/requirements.txt
# Actors import what they compute with, as other machines import an installed package.
PYTHONPATH=$PWD:$PWD/tests/runtime .venv-ray/bin/python -m pytest tests/fleet/check_fleet.py tests/fleet/check_parquet.py
