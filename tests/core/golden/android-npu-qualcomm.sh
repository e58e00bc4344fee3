//litert/tools:benchmark_model
adb push models/m.tflite /data/local/tmp/m.tflite
adb shell /data/local/tmp/benchmark_model --graph=/data/local/tmp/m.tflite --use_npu=true --use_cpu=true --num_threads=4 --dispatch_library_path=/vendor/lib64 --compiler_plugin_library_path=/data/local/tmp --compiler_cache_path=/data/local/tmp/compiled
no flag: npu.qualcomm.htp_performance_mode=burst
no flag: npu.qualcomm.optimization_level=O3
no flag: npu.qualcomm.graph_priority=high
