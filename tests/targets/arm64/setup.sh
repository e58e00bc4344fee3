#!/usr/bin/env bash
# Raspberry Pi 3, 4 and 5 in $1, without root: Debian 12's arm64 Python beside an emulator (qemu), the
# runtime's dependencies as aarch64 wheels of the pinned versions, and for each CPU a folder CPU/ whose
# `python` runs as if the machine were that CPU. No TensorFlow comes near it.
set -euo pipefail
tools=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
python="$root/.venv/bin/python"

fail() { echo "$*" && exit 1; }
command -v apt-get >/dev/null || fail "Debian 12's apt-get"
sources=/etc/apt/sources.list.d/debian.sources
[ -f $sources ] || sources=/etc/apt/sources.list
host=$(dpkg --print-architecture)

# Lists of our own: neither the machine's packages nor its locks are touched.
state="$tools/apt"
apt=(apt-get -qq -o APT::Architecture="$host" -o APT::Architectures::="$host"
    -o APT::Architectures::=arm64 -o APT::Sandbox::User=root -o Acquire::Retries=3
    -o Dir::State::Lists="$state/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$state/cache"
    -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=-)
packages=(libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 libffi8 libbz2-1.0 liblzma5 libssl3 libuuid1
    python3.11-minimal libpython3.11-minimal libpython3.11-stdlib)
rm -rf "${tools:?}"/{apt,debs,arm64,host,site,cpus}
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$tools/debs"
"${apt[@]}" update || fail "the lists of Debian's packages"
(cd "$tools/debs" && "${apt[@]}" download "${packages[@]/%/:arm64}" "qemu-user-static:$host") ||
    fail "Debian 12's packages"
for package in "$tools"/debs/*_arm64.deb; do dpkg -x "$package" "$tools/arm64"; done
mkdir "$tools/host"
dpkg --fsys-tarfile "$tools"/debs/qemu-user-static_*.deb |
    tar -x -C "$tools/host" ./usr/bin/qemu-aarch64-static
rm -rf "$tools/debs" "$state"

# What the wheel declares to need, in the versions that requirements.txt pins.
mapfile -t needs < <("$python" -c "import tomllib
print(*tomllib.load(open('$root/pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')")
"$python" -m pip install --quiet --compile --target "$tools/site" --only-binary=:all: \
    --implementation cp --python-version 3.11 --platform manylinux_2_28_aarch64 \
    --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
    --platform manylinux2014_aarch64 --constraint "$root/requirements.txt" "${needs[@]}" ||
    fail "aarch64 wheels of ${needs[*]}"
# Emulated, a program takes 2.6 s of CPU to import the runtime, and 6.4 s if it compiles that, too. Debian's
# packages leave it to their installation. Another Python than 3.11 writes what is not looked at.
"$python" -W ignore -m compileall -qq "$tools/arm64/usr/lib/python3.11" || true # some of it does not compile

# /proc/cpuinfo as Linux prints it there: XNNPACK chooses kernels by it, and would crash on the host's.
# The parts' numbers and features are those of Arm's technical reference manuals.
cpu() { # name, features, variant, part, revision
    local folder="$tools/cpus/$1"
    mkdir -p "$folder/root/proc"
    for part in "$tools"/arm64/*; do ln -s "../../../arm64/$(basename "$part")" "$folder/root/"; done
    for core in 0 1 2 3; do
        printf '%s\t: %s\n' processor "$core" BogoMIPS 108.00 Features "$2" \
            "CPU implementer" 0x41 "CPU architecture" 8 "CPU variant" "$3" "CPU part" "$4" \
            "CPU revision" "$5"
        echo
    done >"$folder/root/proc/cpuinfo"
    # A script, so that child processes of Python are emulated, too. Never -cpu max: its int8 is wrong.
    cat >"$folder/python" <<END
#!/bin/sh
exec "$tools/host/usr/bin/qemu-aarch64-static" -0 "\$0" -cpu $1 -L "$folder/root" \\
    -E PYTHONHOME="$folder/root/usr" "$tools/arm64/usr/bin/python3.11" "\$@"
END
    chmod +x "$folder/python"
}
armv8="fp asimd evtstrm crc32 cpuid"
cpu cortex-a53 "$armv8" 0x0 0xd03 4
cpu cortex-a72 "$armv8" 0x0 0xd08 3
armv8_2="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop"
cpu cortex-a76 "$armv8_2 asimddp" 0x4 0xd0b 1

for name in cortex-a53 cortex-a72 cortex-a76; do
    "$tools/cpus/$name/python" -c "import platform; assert platform.machine() == 'aarch64'" ||
        fail "an emulator that runs arm64's Python as $name"
done
