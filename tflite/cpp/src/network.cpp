#include "fastscnn/network.hpp"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "fastscnn/label_map.hpp"
#include "fastscnn/litert_c.h"

namespace fastscnn {
namespace {

constexpr int kPadding = 32;  // a network pads its input to multiples of it

void check(LiteRtStatus status, const std::string& what) {
  if (status != 0) throw Failure(what + " (LiteRT's status " + std::to_string(status) + ")");
}

std::string shape_of(const LiteRtRankedTensorType& type) {
  std::string text = "(";
  for (unsigned i = 0; i < type.layout.rank; ++i) {
    text += (i ? ", " : "") + std::to_string(type.layout.dimensions[i]);
  }
  return text + ")";
}

double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

template <typename T>
std::vector<uint8_t> labels_of(const void* memory, const int32_t* shape) {
  const Logits<T> logits{static_cast<const T*>(memory), shape[1], shape[2], shape[3]};
  if constexpr (std::is_floating_point_v<T>) {
    const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(shape[1]) * shape[2] * shape[3];
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      if (!std::isfinite(logits.values[i])) {
        throw Failure("the model's logits are NaN or infinite: train it again");
      }
    }
  }
  return label_map(logits);
}

}  // namespace

struct Network::Parts {
  LiteRtEnvironment environment = nullptr;
  LiteRtModel model = nullptr;
  LiteRtOptions options = nullptr;
  LiteRtCompiledModel compiled = nullptr;
  LiteRtTensorBuffer input = nullptr, output = nullptr;
  LiteRtRankedTensorType input_type{}, output_type{};

  ~Parts() {
    if (input) LiteRtDestroyTensorBuffer(input);
    if (output) LiteRtDestroyTensorBuffer(output);
    if (compiled) LiteRtDestroyCompiledModel(compiled);
    if (options) LiteRtDestroyOptions(options);
    if (model) LiteRtDestroyModel(model);
    if (environment) LiteRtDestroyEnvironment(environment);
  }

  // The library exports no setter: options of the CPU travel as TOML under the name "xnnpack"
  // (litert/c/options/litert_cpu_options.cc).
  void set_threads(int threads) {
    char* toml = strdup(("num_threads = " + std::to_string(threads) + "\n").c_str());
    LiteRtOpaqueOptions cpu = nullptr;
    check(LiteRtCreateOpaqueOptions("xnnpack", toml, std::free, &cpu), "no options for the CPU");
    check(LiteRtAddOpaqueOptions(options, cpu), "the number of threads cannot be set");
  }

  void read_ends(const std::string& path) {
    LiteRtSignature signature = nullptr;
    check(LiteRtGetModelSignature(model, 0, &signature), path + ": no signature");
    size_t inputs = 0, outputs = 0;
    check(LiteRtGetNumSignatureInputs(signature, &inputs), path);
    check(LiteRtGetNumSignatureOutputs(signature, &outputs), path);
    if (inputs != 1 || outputs != 1) {
      throw Failure(path + ": expected one input and one output, got " + std::to_string(inputs) +
                    " and " + std::to_string(outputs));
    }
    LiteRtTensor tensor = nullptr;
    check(LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor), path);
    check(LiteRtGetRankedTensorType(tensor, &input_type), path);
    check(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &tensor), path);
    check(LiteRtGetRankedTensorType(tensor, &output_type), path);
  }

  void check_ends(const std::string& path) const {
    const auto& in = input_type.layout;
    if (in.rank != 4 || in.dimensions[0] != 1 || in.dimensions[3] != 3 ||
        input_type.element_type != kLiteRtElementTypeUInt8) {
      throw Failure(path + ": expected a picture (1, H, W, 3) of uint8 in, got " +
                    shape_of(input_type) + ": export it with --input uint8");
    }
    const auto& out = output_type.layout;
    const bool is_eighth =
        out.rank == 4 && out.dimensions[0] == 1 &&
        out.dimensions[1] * 8 == (in.dimensions[1] + kPadding - 1) / kPadding * kPadding &&
        out.dimensions[2] * 8 == (in.dimensions[2] + kPadding - 1) / kPadding * kPadding;
    if (!is_eighth || out.dimensions[3] > 254) {
      throw Failure(path + ": expected logits at 1/8 of the input out, got " +
                    shape_of(output_type) + ": export it with --outputs logits");
    }
  }
};

Network::Network(const std::string& path, int threads) : parts_(new Parts), path_(path) {
  Parts& p = *parts_;
  // The CPU alone: the GPU's library needs atomics that a Raspberry Pi 4 lacks.
  const LiteRtEnvOption options[2] = {
      {kLiteRtEnvOptionTagAutoRegisterAccelerators,
       {kLiteRtAnyTypeInt, {kLiteRtHwAcceleratorCpu}}},
      {kLiteRtEnvOptionTagMinLoggerSeverity, {kLiteRtAnyTypeInt, {kLiteRtLogSeverityError}}},
  };
  check(LiteRtCreateEnvironment(2, options, &p.environment), "LiteRT does not start");
  check(LiteRtCreateModelFromFile(p.environment, path.c_str(), &p.model),
        path + ": not a .tflite file that can be read");
  p.read_ends(path);
  p.check_ends(path);
  check(LiteRtCreateOptions(&p.options), "no options");
  check(LiteRtSetOptionsHardwareAccelerators(p.options, kLiteRtHwAcceleratorCpu), "no CPU");
  p.set_threads(threads);
  check(LiteRtCreateCompiledModel(p.environment, p.model, p.options, &p.compiled),
        path + ": it cannot be compiled for this CPU");
  LiteRtTensorBufferRequirements needs = nullptr;
  check(LiteRtGetCompiledModelInputBufferRequirements(p.compiled, 0, 0, &needs), path);
  check(LiteRtCreateManagedTensorBufferFromRequirements(p.environment, &p.input_type, needs,
                                                        &p.input), path + ": no memory");
  check(LiteRtGetCompiledModelOutputBufferRequirements(p.compiled, 0, 0, &needs), path);
  check(LiteRtCreateManagedTensorBufferFromRequirements(p.environment, &p.output_type, needs,
                                                        &p.output), path + ": no memory");
  height_ = p.input_type.layout.dimensions[1];
  width_ = p.input_type.layout.dimensions[2];
}

Network::~Network() = default;

std::vector<uint8_t> Network::segment(const std::vector<uint8_t>& rgb) {
  if (rgb.size() != static_cast<size_t>(height_) * width_ * 3) {
    throw Failure("expected a picture of " + std::to_string(width_) + "x" +
                  std::to_string(height_) + ", got " + std::to_string(rgb.size()) + " bytes");
  }
  Parts& p = *parts_;
  const double start = now_ms();
  void* memory = nullptr;
  check(LiteRtLockTensorBuffer(p.input, &memory, kLiteRtTensorBufferLockModeWrite), path_);
  std::memcpy(memory, rgb.data(), rgb.size());
  check(LiteRtUnlockTensorBuffer(p.input), path_);
  check(LiteRtRunCompiledModel(p.compiled, 0, 1, &p.input, 1, &p.output), path_ + ": it fails");
  const double between = now_ms();
  check(LiteRtLockTensorBuffer(p.output, &memory, kLiteRtTensorBufferLockModeRead), path_);
  const int32_t* shape = p.output_type.layout.dimensions;
  std::vector<uint8_t> padded;
  switch (p.output_type.element_type) {
    case kLiteRtElementTypeFloat32: padded = labels_of<float>(memory, shape); break;
    case kLiteRtElementTypeUInt8: padded = labels_of<uint8_t>(memory, shape); break;
    case kLiteRtElementTypeInt8: padded = labels_of<int8_t>(memory, shape); break;
    default: throw Failure(path_ + ": expected logits of float32, uint8 or int8");
  }
  check(LiteRtUnlockTensorBuffer(p.output), path_);
  std::vector<uint8_t> labels(static_cast<size_t>(height_) * width_);
  for (int y = 0; y < height_; ++y) {
    std::memcpy(&labels[static_cast<size_t>(y) * width_],
                &padded[static_cast<size_t>(y) * shape[2] * 8], width_);
  }
  network_ms_ = between - start;
  labels_ms_ = now_ms() - between;
  return labels;
}

}  // namespace fastscnn
