//litert/tools:benchmark_model
adb push models/m.tflite /data/local/tmp/m.tflite
adb shell /data/local/tmp/benchmark_model --graph=/data/local/tmp/m.tflite --use_gpu=true --use_cpu=true --num_threads=4 --allow_fp16=true --gpu_low_priority=true
no flag: cpu.weight_cache_dir=/data/app/xnn
no flag: gpu.backend=opencl
no flag: gpu.serialization_dir=gpu
no flag: gpu.buffer_storage_type=texture_2d
no flag: gpu.serialize_program_cache=True
no flag: gpu.external_tensor_patterns=('state_',)
no flag: gpu.num_steps_of_command_buffer_preparations=2
no flag: gpu.wait_type=active
