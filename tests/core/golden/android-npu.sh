//litert/tools:benchmark_model
adb push models/m.tflite /data/local/tmp/m.tflite
adb shell /data/local/tmp/benchmark_model --graph=/data/local/tmp/m.tflite --use_npu=true --use_cpu=true --num_threads=4 --dispatch_library_path=/data/local/tmp --compiler_plugin_library_path=/data/local/tmp
