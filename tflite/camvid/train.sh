#!/usr/bin/env bash
# The training behind the CamVid weights, from random weights to the two .tflite files:
#   make camvid CAMVID=FOLDER [OUTPUT=camvid-output]
# Two and a half hours on two cores. Killed, it goes on where it stood when it is started again.
set -euo pipefail
camvid=${1:?usage: train.sh CAMVID [OUTPUT]}
output=${2:-camvid-output}
fastscnn=${FASTSCNN:-$(dirname "$0")/../../.venv/bin/fastscnn}
data=(--dataset camvid --data-dir "$camvid")
shape=(--size 352x480 --crop 256x352)
with_val=(--extra-dataset camvid --extra-split val --validate-every 0)

# On the train split, scored on val: what the recipe is worth.
"$fastscnn" train "${data[@]}" "${shape[@]}" --recipe strong --output "$output/train" --resume
"$fastscnn" train "${data[@]}" "${shape[@]}" --recipe finetune --epochs 8 --validate-every 8 \
  --seed 2 --init-from "$output/train/best.keras" --output "$output/train_lovasz" --resume
# The same again with val among the pictures, as the literature does before it scores on test; it
# goes on from the weights that are there.
"$fastscnn" train "${data[@]}" "${shape[@]}" "${with_val[@]}" --recipe strong --learning-rate 0.002 \
  --warmup-epochs 2 --seed 1 --init-from "$output/train/best.keras" --output "$output/trainval" \
  --resume
"$fastscnn" train "${data[@]}" "${shape[@]}" "${with_val[@]}" --recipe finetune --epochs 8 \
  --seed 2 --init-from "$output/trainval/best.keras" --output "$output/trainval_lovasz" --resume

for run in train_lovasz trainval_lovasz; do
  "$fastscnn" export "$output/$run/best.keras" --recipe float16 --force \
    --output "$output/${run}_float16.tflite"
  "$fastscnn" export "$output/$run/best.keras" --recipe int8 "${data[@]}" --force \
    --output "$output/${run}_int8.tflite"
done
for model in train_lovasz/best.keras train_lovasz_float16.tflite train_lovasz_int8.tflite; do
  "$fastscnn" evaluate "$output/$model" "${data[@]}" --json "$output/${model//\//_}.json" --force
done
"$fastscnn" evaluate "$output/train_lovasz/best.keras" "${data[@]}" --flip
"$fastscnn" agreement "$output"/trainval_lovasz_{float16,int8}.tflite "${data[@]}"
