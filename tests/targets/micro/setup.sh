#!/usr/bin/env bash
# TFLite Micro's Python package into $1/site, and a C++ compiler for the C arrays.
source "$(dirname "$0")/../packages.sh"

command -v g++ >/dev/null || install g++
rm -rf "$tools/site"
"$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$tools/site" -r "$here/requirements.txt" ||
    missing "pip cannot install $(cat "$here/requirements.txt") (there are wheels for x86-64 Linux)"
