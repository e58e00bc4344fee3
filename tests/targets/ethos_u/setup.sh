#!/usr/bin/env bash
# Arm's Vela in an environment of its own, $1/venv, as the documentation installs it.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$1
project=$(cd "$here/../../.." && pwd)/.venv/bin/python

if ! "${PYTHON:-python3.11}" -m venv --clear --without-pip "$tools/venv"; then
    echo "python3.11 with venv"
    exit 1
fi
if ! "$project" -m pip --python "$tools/venv/bin/python" install --quiet --disable-pip-version-check --no-deps \
    -r "$here/requirements.txt"; then
    echo "ethos-u-vela, which pip could not install"
    exit 1
fi
if ! "$tools/venv/bin/vela" --version; then
    echo "what Vela imports (the error stands above)"
    exit 1
fi
