// The root of a flatbuffer: where its first four bytes point.
#pragma once
#include <cstdint>

namespace tflite {
struct Model;
inline const Model* GetModel(const void* bytes) {
  return reinterpret_cast<const Model*>(static_cast<const char*>(bytes) +
                                        *static_cast<const uint32_t*>(bytes));
}
}  // namespace tflite
