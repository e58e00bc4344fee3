#!/usr/bin/env bash
# The other Pythons that the package is for, each with the runtime's needs alone; the first one has
# OpenCV besides. They are those on PATH, or pyenv's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=$1

python_of() { # VERSION -> its interpreter
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        # pyenv's shims are there for every version, whether or not it is switched on.
        "$candidate" -c "import sys; sys.exit(sys.version_info[:2] != (${1/./, }))" 2>/dev/null &&
            echo "$candidate" && return
    done
    echo "there is no Python $1, neither on PATH nor of pyenv" >&2
    return 1
}

install() { # VERSION FILE
    "$tools/$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$here/$2" ||
        { echo "pip cannot install $2 for Python $1"; exit 1; }
}

for version in 3.12 3.13; do
    python=$(python_of "$version" 2>&1) || { echo "$python"; exit 1; }
    "$python" -m venv --clear "$tools/$version"
    install "$version" requirements.txt
done
install 3.12 requirements-video.txt
