#!/usr/bin/env bash
# OpenVINO (180 MB) in an environment of its own, $1/venv, which sees this project's packages, too.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../../.." && pwd)/.venv/bin/python

rm -rf "$1/venv"
if ! "$project" -m venv --without-pip "$1/venv"; then
    echo "venv of this project's Python"
    exit 1
fi
packages() { "$1" -c "import sysconfig; print(sysconfig.get_path('purelib'))"; }
packages "$project" >"$(packages "$1/venv/bin/python")/project.pth"
if ! "$project" -m pip --python "$1/venv/bin/python" install --quiet --disable-pip-version-check --no-deps \
    -r "$here/requirements.txt"; then
    echo "openvino, which pip could not install"
    exit 1
fi
