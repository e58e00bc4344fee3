//litert/tools:benchmark_model
adb push models/m.tflite /data/local/tmp/m.tflite
adb shell /data/local/tmp/benchmark_model --graph=/data/local/tmp/m.tflite --use_gpu=true --use_cpu=false --require_full_delegation=true --allow_fp16=true
