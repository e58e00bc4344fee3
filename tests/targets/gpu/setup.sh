#!/usr/bin/env bash
# SwiftShader, a Vulkan driver that computes on the CPU, and Vulkan's loader, in $1/root: the system
# stays as it is. Debian ships the driver with Chromium.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT

bash "$here/../unpack_packages.sh" "$unpacked" chromium-common libvulkan1 || exit
rm -rf "$1/root"
mkdir "$1/root"
for file in chromium/libvk_swiftshader.so chromium/vk_swiftshader_icd.json '*-linux-*/libvulkan.so.1'; do
    # shellcheck disable=SC2086 -- the architecture's folder
    if ! cp "$unpacked"/usr/lib/$file "$1/root"; then
        echo "$file in the packages chromium-common and libvulkan1"
        exit 1
    fi
done
