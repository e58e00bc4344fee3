// The resolver that an example fills: it gives out the package's own kernels, of the operations that
// were added and of no others.
#pragma once
#include <cstdlib>
#include <set>

#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite {
enum BuiltinOperator : int32_t {};  // numbers of the schema

namespace micro {
struct TFLMRegistration;
using Parser = void* (*)();

class MicroOpResolver {
 public:
  virtual const TFLMRegistration* FindOp(BuiltinOperator) const = 0;
  virtual const TFLMRegistration* FindOp(const char*) const = 0;
  virtual Parser GetOpDataParser(BuiltinOperator) const = 0;
  virtual ~MicroOpResolver() {}
};
}  // namespace micro

// All kernels; its first member is the table of virtual functions.
class PythonOpsResolver : public micro::MicroOpResolver {
 public:
  PythonOpsResolver();
  const micro::TFLMRegistration* FindOp(BuiltinOperator) const override;
  const micro::TFLMRegistration* FindOp(const char*) const override;
  micro::Parser GetOpDataParser(BuiltinOperator) const override;
  ~PythonOpsResolver() override;

 private:
  alignas(16) unsigned char members_[1 << 16];
};

namespace micro {
template <unsigned count>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  void AddAdd() { add(0); }
  void AddConcatenation() { add(2); }
  void AddConv2D() { add(3); }
  void AddDepthwiseConv2D() { add(4); }
  void AddReshape() { add(22); }
  void AddResizeBilinear() { add(23); }
  void AddMean() { add(40); }
  void AddStridedSlice() { add(45); }
  void AddQuantize() { add(114); }

  const TFLMRegistration* FindOp(BuiltinOperator op) const override {
    return added_.count(op) ? all().FindOp(op) : nullptr;
  }
  const TFLMRegistration* FindOp(const char*) const override { return nullptr; }
  Parser GetOpDataParser(BuiltinOperator op) const override { return all().GetOpDataParser(op); }

 private:
  // Through the table, since the package's class inherits these functions.
  static const MicroOpResolver& all() {
    static PythonOpsResolver* resolver = new PythonOpsResolver;
    MicroOpResolver* volatile known = resolver;
    return *known;
  }
  void add(int op) {
    added_.insert(op);
    if (added_.size() > count) std::abort();
  }
  std::set<int> added_;
};
}  // namespace micro
}  // namespace tflite
