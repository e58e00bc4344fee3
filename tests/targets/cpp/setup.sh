#!/usr/bin/env bash
# Tools of the target cpp in $1: compilers for this machine and for ARM64, an emulator for the latter,
# the two libraries of headers that the library is built with, and LiteRT's library for ARM64 out of
# the Python package for that CPU.
source "$(dirname "$0")/../packages.sh"

needed=()
command -v cmake >/dev/null || needed+=(cmake)
command -v g++ >/dev/null || needed+=(g++)
command -v make >/dev/null || needed+=(make)
command -v pkg-config >/dev/null || needed+=(pkg-config)
[ -f /usr/include/stb/stb_image.h ] || needed+=(libstb-dev)
[ -f /usr/include/nlohmann/json.hpp ] || needed+=(nlohmann-json3-dev)
command -v aarch64-linux-gnu-g++ >/dev/null || needed+=(g++-aarch64-linux-gnu)
command -v qemu-aarch64-static >/dev/null || needed+=(qemu-user-static)
install "${needed[@]}"

version=$(sed -n 's/^ai-edge-litert==//p' "$root/requirements.txt")
library=$tools/aarch64/ai_edge_litert/libLiteRt.so
if [ ! -f "$library" ] || [ "$(cat "$tools/version" 2>/dev/null)" != "$version" ]; then
    rm -rf "$tools/wheel" "$tools/aarch64"
    "$root/.venv/bin/python" -m pip download --quiet --no-deps --only-binary :all: \
        --python-version 3.11 --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 \
        --dest "$tools/wheel" "ai-edge-litert==$version" ||
        missing "pip download of ai-edge-litert $version for aarch64 failed"
    "$root/.venv/bin/python" -m zipfile -e "$tools"/wheel/*.whl "$tools/aarch64"
    rm -rf "$tools/wheel"
    echo "$version" >"$tools/version"
fi

# XNNPACK reads what the CPU is out of /proc/cpuinfo and crashes on another CPU's: as Linux has it.
cpu() { # name, features, part
    mkdir -p "$tools/$1/proc"
    ln -sfn /usr/aarch64-linux-gnu/lib "$tools/$1/lib"
    for core in 0 1; do
        printf '%s\t: %s\n' processor "$core" BogoMIPS 108.00 Features "$2" \
            "CPU implementer" 0x41 "CPU architecture" 8 "CPU variant" 0x0 "CPU part" "$3" \
            "CPU revision" 3
        echo
    done >"$tools/$1/proc/cpuinfo"
}
cpu cortex-a72 "fp asimd evtstrm crc32 cpuid" 0xd08
newer="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
cpu cortex-a76 "$newer" 0xd0b
