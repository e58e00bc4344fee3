#!/usr/bin/env bash
# Prepares the tools of every target below this folder: `setup.sh [NAME ...]`. A target's own
# NAME/setup.sh gets its folder as $1, ends well once the tools are there, and says on its last line
# of output what is missing where it cannot. As root it installs system packages (apt-get).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

[ -x "$root/.venv/bin/python" ] || { echo "no $root/.venv: run make setup first" >&2 && exit 2; }
for name in "$@"; do
    [ -f "$here/$name/setup.sh" ] || { echo "no target $name: see the folders of $here" >&2 && exit 2; }
done
[ $# -gt 0 ] || set -- $(cd "$here" && ls -d */ 2>/dev/null | tr -d / | grep -v __pycache__)
for name in "$@"; do
    script="$here/$name/setup.sh"
    tools="$root/.targets/$name"
    [ -f "$script" ] || continue
    wanted=$(cat "$here/$name"/* 2>/dev/null | sha256sum)
    [ -f "$tools/.done" ] && [ "$(cat "$tools/.done")" = "$wanted" ] && continue
    mkdir -p "$tools"
    rm -f "$tools/.done" "$tools/missing"
    echo "preparing target $name"
    # Once more: a package's server may be busy, or another program hold apt's lock.
    if bash "$script" "$tools" >"$tools/setup.log" 2>&1 ||
        { sleep 10 && bash "$script" "$tools" >"$tools/setup.log" 2>&1; }; then
        echo "$wanted" >"$tools/.done"
    else
        tail -n 1 "$tools/setup.log" >"$tools/missing"
        echo "target $name is skipped: $(cat "$tools/missing") ($tools/setup.log)" >&2
    fi
done
