//tflite/tools/benchmark:benchmark_model
./benchmark_model --graph=models/m.tflite --num_threads=4 --use_xnnpack=true --xnnpack_force_fp16=true --xnnpack_weight_cache_file_path=cache/m-0123456789abcdef.xnnpack --disable_delegate_clustering=true
no flag: cpu.xnnpack_flags=qs8,qu8
