#!/usr/bin/env bash
# `environment.sh FOLDER REQUIREMENTS [OPTION ...]`: an environment with what a file pins, built once
# and again when the file changes. The pip of .venv installs into it, with the options; nothing is
# compiled before it is imported, which most of it never is.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$1 pins=$2
cmp -s "$pins" "$folder/.done" && exit
"${PYTHON:-$root/.venv/bin/python}" -m venv --clear --without-pip "$folder"
"$root/.venv/bin/python" -m pip --python "$folder/bin/python" install --quiet \
    --disable-pip-version-check --no-compile -r "$pins" "${@:3}"
cp "$pins" "$folder/.done"
