//tflite/tools/benchmark:benchmark_model
adb push models/m.tflite /data/local/tmp/m.tflite
adb shell /data/local/tmp/benchmark_model --graph=/data/local/tmp/m.tflite --use_nnapi=true --nnapi_execution_preference=sustained_speed --nnapi_execution_priority=high --nnapi_accelerator_name=google-edgetpu --disable_nnapi_cpu=true --nnapi_allow_fp16=false --nnapi_use_burst_mode=true --max_delegated_partitions=3 --delegate_serialize_dir=/data/local/tmp/nn --delegate_serialize_token=m-0123456789abcdef --num_threads=4
no flag: nnapi.max_execution_timeout_ns=1000000
