// What the example of a C array calls of TFLite Micro's C++, declared by hand: its Python package
// has the compiled code, with all symbols, but no headers. Layouts are those of that version.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tflite {
struct Model;
namespace micro {
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
union TfLitePtrUnion {
  void* data;
  uint8_t* uint8;
  int8_t* int8;
};
struct TfLiteTensor {
  unsigned char quantization[24];
  TfLitePtrUnion data;
};
class MicroOpResolver;
class MicroResourceVariables;
class MicroProfilerInterface;

class MicroInterpreter {
 public:
  MicroInterpreter(const Model*, const MicroOpResolver&, unsigned char*, size_t,
                   MicroResourceVariables* = nullptr, MicroProfilerInterface* = nullptr,
                   bool preserve_all_tensors = false);
  ~MicroInterpreter();
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t);
  TfLiteTensor* output(size_t);

 private:
  alignas(16) unsigned char members_[1 << 16];
};
}  // namespace micro
}  // namespace tflite
