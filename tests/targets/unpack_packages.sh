#!/usr/bin/env bash
# `unpack_packages.sh FOLDER PACKAGE ...`: fetches packages of this system and unpacks them into a
# folder. Nothing is installed, so that it needs no root but where apt-get has no lists yet. The last
# line of output says what is missing where it fails.
set -uo pipefail
folder=$1
shift

missing() {
    echo "the packages $wanted ($1)"
    exit 1
}

wanted=$*
command -v apt-get dpkg >/dev/null || missing "no apt-get and dpkg here"
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
cd "$packages"
fetch() { apt-get -q -o APT::Sandbox::User=root download "$@"; }
if ! fetch "$@"; then
    [ "$(id -u)" = 0 ] || missing "unknown to apt-get: apt-get update, as root"
    apt-get -q -o DPkg::Lock::Timeout=300 update || missing "apt-get update failed"
    fetch "$@" || missing "apt-get cannot fetch them"
fi
mkdir -p "$folder"
for package in ./*.deb; do
    dpkg -x "$package" "$folder" || missing "$package cannot be unpacked"
    echo "$package"
done
