#!/usr/bin/env bash
# The training behind the CamVid weights, from random weights to the six .tflite files:
#   make camvid CAMVID=FOLDER [OUTPUT=camvid-output]
# The seconds in the logs of what ships add up to 20 hours, most runs on one core: five of them
# for the network of half the width, three for the wider one. Killed, it goes on where it stood when
# it is started again.
set -euo pipefail
camvid=${1:?usage: train.sh CAMVID [OUTPUT]}
output=${2:-camvid-output}
bin=${BIN:-$(dirname "$0")/../../.venv/bin}
fastscnn=$bin/fastscnn
data=(--dataset camvid --data-dir "$camvid")
shape=(--size 352x480 --crop 256x352)
# The last stage looks at images of twice their size, so that what is small in them is seen large.
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
# The same again with val among the images, as the literature does before it scores on test; it
# goes on from the weights that are there.
"$fastscnn" train "${data[@]}" "${shape[@]}" "${with_val[@]}" --recipe strong --learning-rate 0.002 \
  --warmup-epochs 2 --seed 1 --init-from "$output/train/best.keras" --output "$output/trainval" \
  --resume
"$fastscnn" train "${data[@]}" "${shape[@]}" "${with_val[@]}" --recipe finetune --epochs 8 \
  --seed 2 --init-from "$output/trainval/best.keras" --output "$output/trainval_lovasz" --resume
"$fastscnn" train "${data[@]}" "${large[@]}" "${with_val[@]}" \
  --init-from "$output/trainval_lovasz/best.keras" --output "$output/trainval_settle" --resume

# Both twice more: as long again without class weights, then the last stage with a small camera's
# faults, which goes on by two seeds whose weights are averaged. At the end int8 in the loop, taught
# by the float weights.
further=(--recipe strong --class-weights none --learning-rate 0.002 --warmup-epochs 2)
last=(--size 704x960 --crop 352x480 --recipe settle --augment camera)
onward() { # FROM LONG LAST SEED OPTIONS...
  "$fastscnn" train "${data[@]}" "${shape[@]}" "${further[@]}" "${@:5}" --seed "$4" \
    --init-from "$output/$1/best.keras" --output "$output/$2" --resume
  "$fastscnn" train "${data[@]}" "${last[@]}" "${@:5}" --seed "$(($4 + 1))" \
    --init-from "$output/$2/last.keras" --output "$output/$3" --resume
}
more() { # FROM RUN SEED OPTIONS...
  "$fastscnn" train "${data[@]}" "${last[@]}" --epochs 40 --validate-every 40 "${@:4}" \
    --seed "$3" --init-from "$1" --output "$2" --resume
}
averaged() { # FOLDER FROM RUNS OPTIONS...
  local seeds=(10 12)
  for seed in "${seeds[@]}"; do
    more "$1/$2/best.keras" "$1/$3_more_$seed" "$seed" "${@:4}"
  done
  [ -f "$1/$3_averaged.keras" ] || "$bin/python" "$(dirname "$0")/average.py" \
    "$1/$3_averaged.keras" "${seeds[@]/#/$1/$3_more_}"
}
tune() { # OUTPUT WEIGHTS TUNED OPTIONS...
  "$fastscnn" quantize "$1/$2" "${data[@]}" --size "$use" --epochs 3 --validate-every 3 \
    --distill-weight 10 "${@:4}" --output "$1/$3" --resume
}
onward train_settle train_long train_last 4 --validate-every 50
onward train_last train_longer train_end 6 --validate-every 50
averaged "$output" train_end train
tune "$output" train_averaged.keras train_qat
onward trainval_settle trainval_long trainval_last 4 "${with_val[@]}"
onward trainval_last trainval_longer trainval_end 6 "${with_val[@]}"
averaged "$output" trainval_end trainval "${with_val[@]}"
tune "$output" trainval_averaged.keras trainval_qat "${val[@]}"

# Half the width, in one long run each before the last stage.
half=$output/width_0.5
narrow=(--width 0.5 --recipe strong --class-weights none --epochs 300)
longer=(--epochs 12 --validate-every 4 --learning-rate 5e-4) # it loses more to int8 than the others
"$fastscnn" train "${data[@]}" "${shape[@]}" "${narrow[@]}" --validate-every 50 \
  --output "$half/train" --resume
"$fastscnn" train "${data[@]}" "${last[@]}" --seed 1 --validate-every 16 \
  --init-from "$half/train/last.keras" --output "$half/train_last" --resume
averaged "$half" train_last train
tune "$half" train_averaged.keras train_qat "${longer[@]}"
"$fastscnn" train "${data[@]}" "${shape[@]}" "${with_val[@]}" "${narrow[@]}" \
  --output "$half/trainval" --resume
"$fastscnn" train "${data[@]}" "${with_val[@]}" "${last[@]}" --seed 1 \
  --init-from "$half/trainval/last.keras" --output "$half/trainval_last" --resume
averaged "$half" trainval_last trainval "${with_val[@]}"
tune "$half" trainval_averaged.keras trainval_qat "${val[@]}" "${longer[@]}"

# One and a half times the width: from the network of width 1, made wider without changing what it
# computes, so that its epochs need not be run again.
wide=$output/width_1.5
mkdir -p "$wide"
broaden() { # FROM RUNS OPTIONS...
  [ -f "$wide/$2.keras" ] || "$bin/python" "$(dirname "$0")/widen.py" "$output/$1/best.keras" \
    "$wide/$2.keras" --width 1.5
  "$fastscnn" train "${data[@]}" "${last[@]}" --validate-every 16 "${@:3}" --seed 9 \
    --init-from "$wide/$2.keras" --output "$wide/$2_last" --resume
  more "$wide/$2_last/best.keras" "$wide/$2_more" 10 "${@:3}"
}
broaden train_end train
tune "$wide" train_more/best.keras train_qat
broaden trainval_end trainval "${with_val[@]}"
tune "$wide" trainval_more/best.keras trainval_qat "${val[@]}"

ship=("$bin/python" "$(dirname "$0")/ship.py" "$camvid")
"${ship[@]}" "$output" --size "$use" --stage averaged.keras
"${ship[@]}" "$half" --size "$use" --stage averaged.keras --name fastscnn_camvid_0.5
"${ship[@]}" "$wide" --size "$use" --stage more --name fastscnn_camvid_1.5
