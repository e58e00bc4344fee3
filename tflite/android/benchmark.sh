#!/usr/bin/env bash
# Times a .tflite on a phone at the end of a cable, with the flags that its settings ask for:
#
#     benchmark.sh MODEL.tflite [--for android-gpu|android-nnapi|android-npu] [--tool PROGRAM]
#
# Without --for the settings that travel with the model hold. PROGRAM is LiteRT's benchmark_model,
# built for arm64-v8a (its Bazel target is printed); without it the one on the phone, in
# /data/local/tmp, is used. Several phones: set ANDROID_SERIAL.
set -euo pipefail

phone=/data/local/tmp
usage="usage: benchmark.sh MODEL.tflite [--for DEVICE] [--tool PROGRAM]"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
    echo "benchmark.sh: $1" >&2
    exit 2
}

model="" device="" tool=""
while [ $# -gt 0 ]; do
    case $1 in
    --for) device=${2:-} && [ -n "$device" ] || fail "--for needs a device; $usage" ;;
    --tool) tool=${2:-} && [ -n "$tool" ] || fail "--tool needs a program; $usage" ;;
    -*) fail "unknown option $1; $usage" ;;
    *) [ -z "$model" ] && model=$1 && shift && continue || fail "one model at a time; $usage" ;;
    esac
    shift 2
done
[ -n "$model" ] || fail "$usage"
[ -f "$model" ] || fail "$model: no such model file"
[ -z "$tool" ] || [ -f "$tool" ] || fail "$tool: no such program"

fastscnn=${FASTSCNN:-}
for found in "$here/../../.venv/bin/fastscnn" fastscnn; do
    [ -n "$fastscnn" ] || fastscnn=$(command -v "$found" || true)
done
[ -n "$fastscnn" ] || fail "fastscnn is missing, which turns settings into flags: pip install ."
command -v adb >/dev/null || fail "adb is missing: install Android's platform tools (Debian: apt-get install adb)"

# Settings for --for lie beside a copy: those beside the model stay as they are.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -n "$device" ]; then
    cp "$model" "$work/"
    model=$work/$(basename "$model")
    $fastscnn settings "$model" --for "$device" >/dev/null
fi
commands=$($fastscnn settings "$model" --flags)
grep -q '^adb push ' <<<"$commands" ||
    fail "the settings of $model are not for a phone: say --for android-gpu, android-nnapi or android-npu"

adb start-server >/dev/null 2>&1 || fail "adb cannot start its server: adb start-server says why"
state=$(adb get-state 2>&1) || fail "no phone: ${state##*error: } (USB debugging on and allowed? adb devices lists them)"
[ "$state" = device ] || fail "the phone is $state, expected device: unlock it and allow USB debugging"

if [ -n "$tool" ]; then
    adb push "$tool" "$phone/benchmark_model"
    adb shell chmod 755 "$phone/benchmark_model"
fi
adb shell "test -x $phone/benchmark_model" ||
    fail "no benchmark_model on the phone: build $(sed -n 's/^# benchmark_model is bazel target //p' <<<"$commands") for arm64-v8a and give it as --tool"

echo "$commands" | grep '^#' || true
echo "# phone: $(adb shell getprop ro.product.manufacturer) $(adb shell getprop ro.product.model), Android $(adb shell getprop ro.build.version.release)"
grep -v '^#' <<<"$commands" >"$work/run.sh"
set -x
. "$work/run.sh"
