#!/usr/bin/env bash
# SwiftShader, a Vulkan driver that computes on the CPU, and Vulkan's loader, unpacked into $1: the
# system stays as it is. Debian ships the driver with Chromium.
set -uo pipefail
tools=$1

missing() {
    echo "the packages chromium-common and libvulkan1 ($1)"
    exit 1
}

command -v apt-get dpkg >/dev/null || missing "no apt-get and dpkg here"
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
cd "$packages"
fetch() { apt-get -q -o APT::Sandbox::User=root download chromium-common libvulkan1; }
if ! fetch; then
    [ "$(id -u)" = 0 ] || missing "unknown to apt-get: apt-get update, as root"
    apt-get -q -o DPkg::Lock::Timeout=300 update || missing "apt-get update failed"
    fetch || missing "apt-get cannot fetch them"
fi
rm -rf "$tools/root"
for package in ./*.deb; do
    dpkg -x "$package" unpacked || missing "$package cannot be unpacked"
done
mkdir -p "$tools/root"
for file in chromium/libvk_swiftshader.so chromium/vk_swiftshader_icd.json '*-linux-*/libvulkan.so.1'; do
    # shellcheck disable=SC2086 -- the architecture's folder
    cp unpacked/usr/lib/$file "$tools/root" || missing "no $file inside"
done
ls ./*.deb >"$tools/versions.txt"
