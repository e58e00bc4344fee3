#!/usr/bin/env bash
# The training behind the CamVid weights, from random weights to the four .tflite files:
#   make camvid CAMVID=FOLDER [OUTPUT=camvid-output]
# Some eight hours on two cores, two of them for the network of half the width. Killed, it goes on
# where it stood when it is started again.
set -euo pipefail
camvid=${1:?usage: train.sh CAMVID [OUTPUT]}
output=${2:-camvid-output}
bin=${BIN:-$(dirname "$0")/../../.venv/bin}
fastscnn=$bin/fastscnn
data=(--dataset camvid --data-dir "$camvid")
shape=(--size 352x480 --crop 256x352)
# The last stage looks at pictures of twice their size, so that what is small in them is seen large.
large=(--size 704x960 --crop 352x480 --recipe settle --seed 3)
val=(--extra-dataset camvid --extra-split val)
with_val=("${val[@]}" --validate-every 0)
use=448x608 # the size at which the weights score best on val

# On the train split, scored on val: what the recipe is worth.
"$fastscnn" train "${data[@]}" "${shape[@]}" --recipe strong --output "$output/train" --resume
"$fastscnn" train "${data[@]}" "${shape[@]}" --recipe finetune --epochs 8 --validate-every 8 \
  --seed 2 --init-from "$output/train/best.keras" --output "$output/train_lovasz" --resume
"$fastscnn" train "${data[@]}" "${large[@]}" --init-from "$output/train_lovasz/best.keras" \
  --output "$output/train_settle" --resume
# The same again with val among the pictures, as the literature does before it scores on test; it
# goes on from the weights that are there.
"$fastscnn" train "${data[@]}" "${shape[@]}" "${with_val[@]}" --recipe strong --learning-rate 0.002 \
  --warmup-epochs 2 --seed 1 --init-from "$output/train/best.keras" --output "$output/trainval" \
  --resume
"$fastscnn" train "${data[@]}" "${shape[@]}" "${with_val[@]}" --recipe finetune --epochs 8 \
  --seed 2 --init-from "$output/trainval/best.keras" --output "$output/trainval_lovasz" --resume
"$fastscnn" train "${data[@]}" "${large[@]}" "${with_val[@]}" \
  --init-from "$output/trainval_lovasz/best.keras" --output "$output/trainval_settle" --resume

# Both once more: as long again without class weights, then the last stage with a small camera's
# faults, and int8 in the loop, taught by the float weights.
tune() { # OUTPUT RUN TUNED OPTIONS...
  "$fastscnn" quantize "$1/$2/best.keras" "${data[@]}" --size "$use" "${@:4}" --epochs 3 \
    --validate-every 3 --distill-weight 10 --output "$1/$3" --resume
}
long=(--recipe strong --class-weights none --learning-rate 0.002 --warmup-epochs 2 --seed 4)
last=(--size 704x960 --crop 352x480 --recipe settle --augment camera)
"$fastscnn" train "${data[@]}" "${shape[@]}" "${long[@]}" --validate-every 50 \
  --init-from "$output/train_settle/best.keras" --output "$output/train_long" --resume
"$fastscnn" train "${data[@]}" "${last[@]}" --seed 5 --validate-every 16 \
  --init-from "$output/train_long/last.keras" --output "$output/train_last" --resume
tune "$output" train_last train_qat
"$fastscnn" train "${data[@]}" "${shape[@]}" "${with_val[@]}" "${long[@]}" \
  --init-from "$output/trainval_settle/best.keras" --output "$output/trainval_long" --resume
"$fastscnn" train "${data[@]}" "${with_val[@]}" "${last[@]}" --seed 5 \
  --init-from "$output/trainval_long/last.keras" --output "$output/trainval_last" --resume
tune "$output" trainval_last trainval_qat "${val[@]}"

# Half the width, in one long run each.
half=$output/width_0.5
narrow=(--width 0.5 --recipe strong --class-weights none --epochs 300)
"$fastscnn" train "${data[@]}" "${shape[@]}" "${narrow[@]}" --validate-every 50 \
  --output "$half/train" --resume
"$fastscnn" train "${data[@]}" "${last[@]}" --seed 1 --validate-every 16 \
  --init-from "$half/train/last.keras" --output "$half/train_last" --resume
tune "$half" train_last train_qat
"$fastscnn" train "${data[@]}" "${shape[@]}" "${with_val[@]}" "${narrow[@]}" \
  --output "$half/trainval" --resume
"$fastscnn" train "${data[@]}" "${with_val[@]}" "${last[@]}" --seed 1 \
  --init-from "$half/trainval/last.keras" --output "$half/trainval_last" --resume
tune "$half" trainval_last trainval_qat "${val[@]}"

ship=("$bin/python" "$(dirname "$0")/ship.py" "$camvid")
"${ship[@]}" "$output" --size "$use"
"${ship[@]}" "$half" --size "$use" --name fastscnn_camvid_0.5
