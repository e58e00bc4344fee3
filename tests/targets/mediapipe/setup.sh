#!/usr/bin/env bash
# MediaPipe in an environment of its own, $1/venv: it brings other packages than this project pins.
# The system's libraries that it links are unpacked into $1/root; nothing is installed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$1
project=$(cd "$here/../../.." && pwd)/.venv/bin/python

rm -rf "$tools/root" "$tools/venv"
bash "$here/../unpack_packages.sh" "$tools/root" libegl1 libgles2 libglvnd0 || exit
if ! "${PYTHON:-python3.11}" -m venv --without-pip "$tools/venv"; then
    echo "python3.11 with venv"
    exit 1
fi
if ! "$project" -m pip --python "$tools/venv/bin/python" install --quiet --disable-pip-version-check --no-deps \
    --no-compile -r "$here/requirements.txt"; then
    echo "mediapipe, which pip could not install"
    exit 1
fi
libraries=$(cd "$tools"/root/usr/lib/*-linux-* && pwd)
if ! LD_LIBRARY_PATH=$libraries "$tools/venv/bin/python" -c "from mediapipe.tasks.python import vision"; then
    echo "what MediaPipe imports or links (the error stands above)"
    exit 1
fi
