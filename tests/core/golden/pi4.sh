//tflite/tools/benchmark:benchmark_model
./benchmark_model --graph=models/m.tflite --num_threads=4 --use_xnnpack=true
