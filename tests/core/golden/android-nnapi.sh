//tflite/tools/benchmark:benchmark_model
adb push models/m.tflite /data/local/tmp/m.tflite
adb shell /data/local/tmp/benchmark_model --graph=/data/local/tmp/m.tflite --use_nnapi=true --nnapi_execution_preference=sustained_speed --disable_nnapi_cpu=true --nnapi_allow_fp16=false --max_delegated_partitions=3 --num_threads=4
