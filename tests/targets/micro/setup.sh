#!/usr/bin/env bash
# TFLite Micro's Python package into $1/site, and a C++ compiler for the C arrays.
set -euo pipefail
tools=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)

missing() {
    echo "$1"
    exit 1
}

if ! command -v g++ >/dev/null; then
    [ "$(id -u)" = 0 ] || missing "install g++, or run this as root"
    apt-get update -q || missing "apt-get update failed"
    apt-get install -y -q --no-install-recommends g++ || missing "apt-get install g++ failed"
fi
rm -rf "$tools/site"
"$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$tools/site" -r "$here/requirements.txt" ||
    missing "pip cannot install $(cat "$here/requirements.txt") (there are wheels for x86-64 Linux)"
