//tflite/tools/benchmark:benchmark_model
adb push models/m.tflite /data/local/tmp/m.tflite
adb shell /data/local/tmp/benchmark_model --graph=/data/local/tmp/m.tflite --use_gpu=true --gpu_precision_loss_allowed=true --gpu_experimental_enable_quant=true --gpu_inference_for_sustained_speed=true --gpu_backend=cl --max_delegated_partitions=1 --delegate_serialize_dir=/data/local/tmp/gpu --delegate_serialize_token=street --num_threads=4 --use_xnnpack=true
