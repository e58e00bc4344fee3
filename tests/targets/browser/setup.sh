#!/usr/bin/env bash
# Chromium and Node.js from the system, the page's LiteRT.js, and in $1 Playwright (site/), which
# drives the browser, and axe-core (node_modules/), which judges how accessible the page is.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
tools=$1

fail() { echo "$*" && exit 1; }
need() { # program, package
    command -v "$1" >/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "$1 (package $2)"
    apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$2" && return
    apt-get -qq -o DPkg::Lock::Timeout=120 update
    apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$2" ||
        fail "$1 (package $2, which apt-get could not install)"
}
need node nodejs
need npm npm
need chromium chromium
need ffmpeg ffmpeg # makes the videos of the tests

npm ci --no-audit --no-fund --prefix "$root/tflite/web" || fail "LiteRT.js, which npm could not install"
cp "$here"/package*.json "$tools/"
npm ci --no-audit --no-fund --prefix "$tools" || fail "axe-core, which npm could not install"
rm -rf "$tools/site"
"$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$tools/site" -r "$here/requirements.txt" || fail "Playwright, which pip could not install"
PYTHONPATH="$tools/site" "$root/.venv/bin/python" -c "import playwright.sync_api" ||
    fail "what Playwright imports (the error stands above)"
