#include "fastscnn/network.hpp"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "checks.hpp"
#include "fastscnn/postprocess.hpp"
#include "files.hpp"
#include "litert_c.h"
#include "settings.hpp"
#include "trial.hpp"

namespace fastscnn {
namespace {

using internal::About;
using internal::CpuSettings;
using internal::ModelFile;

constexpr int kPadding = 32;  // a network pads its input to multiples of it
constexpr int kMaxThreads = 256;
constexpr int kMaxClasses = 254;
constexpr size_t kLargest = size_t{2} << 30;  // bytes of a file; its offsets reach no further

void check(LiteRtStatus status, const std::string& what) {
  if (status != 0) throw Failure(what + " (LiteRT's status " + std::to_string(status) + ")");
}

std::string shape_of(const LiteRtRankedTensorType& type) {
  const int32_t* sizes = type.layout.dimensions;
  return internal::text_of({sizes, sizes + type.layout.rank});
}

int padded(int side) { return (side + kPadding - 1) / kPadding * kPadding; }

double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

template <typename T>
std::vector<uint8_t> labels_of(const void* memory, const int32_t* shape, const Frame& frame,
                               int height, int width) {
  const Logits<T> logits{static_cast<const T*>(memory), shape[1], shape[2], shape[3]};
  if constexpr (std::is_floating_point_v<T>) {
    const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(shape[1]) * shape[2] * shape[3];
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      if (!std::isfinite(logits.values[i])) {
        throw Failure("the model's logits are NaN or infinite: train it again");
      }
    }
  }
  return labels_from_logits(logits, frame, height, width);
}

std::unique_ptr<ModelFile> read_model(const std::string& path) {
  auto content = internal::read_file(path, "model file", kLargest);
  if (content.size() < 8 || std::memcmp(&content[4], "TFL3", 4) != 0) {
    throw Failure(path + ": not a .tflite file (no TFL3 mark at byte 4)");
  }
  return std::make_unique<ModelFile>(std::move(content));
}

}  // namespace

// What LiteRT makes of a file, and the file.
struct Network::Parts {
  std::unique_ptr<ModelFile> file;
  About about;
  LiteRtEnvironment environment = nullptr;
  LiteRtModel model = nullptr;
  LiteRtOptions options = nullptr;
  LiteRtCompiledModel compiled = nullptr;
  LiteRtTensorBuffer input = nullptr, output = nullptr;
  LiteRtRankedTensorType input_type{}, output_type{};

  ~Parts() { close(); }

  void close() {
    if (input) LiteRtDestroyTensorBuffer(input);
    if (output) LiteRtDestroyTensorBuffer(output);
    if (compiled) LiteRtDestroyCompiledModel(compiled);
    if (options) LiteRtDestroyOptions(options);
    if (model) LiteRtDestroyModel(model);
    if (environment) LiteRtDestroyEnvironment(environment);
    input = output = nullptr;
    compiled = nullptr, options = nullptr, model = nullptr, environment = nullptr;
  }

  void open(const std::string& path, const CpuSettings& settings) {
    // The CPU alone: the GPU's library needs atomics that a Raspberry Pi 4 lacks.
    const LiteRtEnvOption wanted[2] = {
        {kLiteRtEnvOptionTagAutoRegisterAccelerators,
         {kLiteRtAnyTypeInt, {kLiteRtHwAcceleratorCpu}}},
        {kLiteRtEnvOptionTagMinLoggerSeverity, {kLiteRtAnyTypeInt, {kLiteRtLogSeverityError}}},
    };
    check(LiteRtCreateEnvironment(2, wanted, &environment), "LiteRT does not start");
    const auto& content = file->content();
    check(LiteRtCreateModelFromBuffer(environment, content.data(), content.size(), &model),
          path + ": not a .tflite file that LiteRT can read");
    read_ends(path);
    check(LiteRtCreateOptions(&options), "no options");
    check(LiteRtSetOptionsHardwareAccelerators(options, kLiteRtHwAcceleratorCpu), "no CPU");
    set_cpu(settings);
    check(LiteRtCreateCompiledModel(environment, model, options, &compiled),
          path + ": it cannot be compiled for this CPU");
    make_buffers(path);
  }

  // The library exports no setter: options of the CPU travel as TOML under the name "xnnpack"
  // (litert/c/options/litert_cpu_options.cc).
  void set_cpu(const CpuSettings& settings) {
    const std::string text =
        settings.toml + "num_threads = " + std::to_string(settings.threads) + "\n";
    LiteRtOpaqueOptions cpu = nullptr;
    check(LiteRtCreateOpaqueOptions("xnnpack", strdup(text.c_str()), std::free, &cpu),
          "no options for the CPU");
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
    check_ends(path);
  }

  void check_ends(const std::string& path) const {
    const auto& in = input_type.layout;
    if (in.rank != 4 || in.dimensions[0] != 1 || in.dimensions[3] != 3 ||
        input_type.element_type != kLiteRtElementTypeUInt8) {
      throw Failure(path + ": expected a picture (1, H, W, 3) of uint8 in, got " +
                    shape_of(input_type) + ": export it with --input uint8");
    }
    const auto& out = output_type.layout;
    const bool is_eighth = out.rank == 4 && out.dimensions[0] == 1 &&
                           int64_t{out.dimensions[1]} * 8 == padded(in.dimensions[1]) &&
                           int64_t{out.dimensions[2]} * 8 == padded(in.dimensions[2]);
    if (!is_eighth || out.dimensions[3] < 1 || out.dimensions[3] > kMaxClasses) {
      throw Failure(path + ": expected logits at 1/8 of the input out, got " +
                    shape_of(output_type) + ": export it with --outputs logits");
    }
  }

  void make_buffers(const std::string& path) {
    LiteRtTensorBufferRequirements needs = nullptr;
    check(LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, 0, &needs), path);
    check(LiteRtCreateManagedTensorBufferFromRequirements(environment, &input_type, needs, &input),
          path + ": no memory");
    check(LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, 0, &needs), path);
    check(LiteRtCreateManagedTensorBufferFromRequirements(environment, &output_type, needs,
                                                          &output), path + ": no memory");
  }

  void run(const std::string& path, const std::vector<uint8_t>& rgb) {
    void* memory = nullptr;
    check(LiteRtLockTensorBuffer(input, &memory, kLiteRtTensorBufferLockModeWrite), path);
    std::memcpy(memory, rgb.data(), rgb.size());
    check(LiteRtUnlockTensorBuffer(input), path);
    check(LiteRtRunCompiledModel(compiled, 0, 1, &input, 1, &output), path + ": it fails");
  }
};

Network::Network(const std::string& path, const Options& options)
    : parts_(new Parts), path_(path) {
  if (options.threads < 0 || options.threads > kMaxThreads) {
    throw Failure("threads must be 1.." + std::to_string(kMaxThreads) + ", got " +
                  std::to_string(options.threads));
  }
  Parts& p = *parts_;
  const bool trusted = options.trusted || internal::trusted_here();
  internal::Work work;
  try {
    p.file = read_model(path);
    p.about = internal::read_about(*p.file);
    if (!trusted) work = internal::check_graph(*p.file);
  } catch (const internal::Unsupported& error) {
    throw Failure(path + ": not supported here: " + error.what());
  } catch (const internal::Damaged& error) {
    throw Failure(path + ": damaged .tflite file (" + error.what() + "); it was not run here");
  }
  const auto settings =
      internal::read_settings(path, *p.file, p.about, options.settings, options.threads);
  threads_ = settings.threads;
  notes_ = settings.notes;
  const auto size = [&p] {
    return static_cast<size_t>(p.input_type.layout.dimensions[1]) *
           static_cast<size_t>(p.input_type.layout.dimensions[2]) * 3;
  };
  if (!trusted) {
    internal::ensure_tried(path, work, [&] {
      p.open(path, settings);
      std::vector<uint8_t> noise(size());
      for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<uint8_t>(i * 2654435761U >> 13);
      p.run(path, noise);
      p.close();
    });
  }
  p.open(path, settings);
  height_ = p.input_type.layout.dimensions[1];
  width_ = p.input_type.layout.dimensions[2];
}

Network::~Network() = default;

std::vector<uint8_t> Network::segment(const std::vector<uint8_t>& rgb) {
  if (rgb.size() != static_cast<size_t>(height_) * width_ * 3) {
    throw Failure("expected a picture of " + std::to_string(height_) + "x" +
                  std::to_string(width_) + " (height x width) in RGB, got " +
                  std::to_string(rgb.size()) + " bytes");
  }
  return run(rgb, {0, 0, height_, width_}, height_, width_);
}

std::vector<uint8_t> Network::segment(const Picture& picture, Fit fit) {
  const size_t count = static_cast<size_t>(std::max(picture.height, 0)) * 3;
  if (picture.height < 1 || picture.width < 1 ||
      picture.rgb.size() != count * static_cast<size_t>(picture.width)) {
    throw Failure("expected a picture of three bytes a pixel");
  }
  const Box box = box_of(picture, height_, width_, fit);
  const Picture inner = resized(picture, box.height, box.width);
  if (box.height == height_ && box.width == width_) {
    return run(inner.rgb, box, picture.height, picture.width);
  }
  std::vector<uint8_t> whole(static_cast<size_t>(height_) * width_ * 3);
  for (size_t i = 0; i < whole.size(); ++i) {
    const double fill = std::nearbyint(parts_->about.mean[i % 3]);
    whole[i] = static_cast<uint8_t>(std::min(std::max(fill, 0.0), 255.0));
  }
  const size_t row = static_cast<size_t>(box.width) * 3;
  for (int y = 0; y < box.height; ++y) {
    const size_t to = (static_cast<size_t>(box.top + y) * width_ + box.left) * 3;
    std::copy_n(&inner.rgb[y * row], row, &whole[to]);
  }
  return run(whole, box, picture.height, picture.width);
}

// The (height, width) labels of what lies in the box.
std::vector<uint8_t> Network::run(const std::vector<uint8_t>& rgb, const Box& box, int height,
                                  int width) {
  Parts& p = *parts_;
  const double start = now_ms();
  p.run(path_, rgb);
  const double between = now_ms();
  const Frame frame{box.height, box.width,  padded(height_), padded(width_), p.about.sampling,
                    box.top,    box.left};
  void* memory = nullptr;
  check(LiteRtLockTensorBuffer(p.output, &memory, kLiteRtTensorBufferLockModeRead), path_);
  const int32_t* shape = p.output_type.layout.dimensions;
  std::vector<uint8_t> labels;
  switch (p.output_type.element_type) {
    case kLiteRtElementTypeFloat32:
      labels = labels_of<float>(memory, shape, frame, height, width);
      break;
    case kLiteRtElementTypeUInt8:
      labels = labels_of<uint8_t>(memory, shape, frame, height, width);
      break;
    case kLiteRtElementTypeInt8:
      labels = labels_of<int8_t>(memory, shape, frame, height, width);
      break;
    default: throw Failure(path_ + ": expected logits of float32, uint8 or int8");
  }
  check(LiteRtUnlockTensorBuffer(p.output), path_);
  network_ms_ = between - start;
  labels_ms_ = now_ms() - between;
  return labels;
}

}  // namespace fastscnn
