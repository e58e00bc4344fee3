// A .tflite that runs on the CPU through LiteRT's CompiledModel.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fastscnn/failure.hpp"
#include "fastscnn/picture.hpp"

namespace fastscnn {

// How a file is opened.
struct Options {
  // CPU threads, 1..256; 0: those of the settings, else 2.
  int threads = 0;
  // A settings file of this very model; empty: what lies beside it (MODEL.settings.json), else what
  // came inside it.
  std::string settings;
  // Run the file at once: LiteRT gets it without a check of its operations, and without a run in a
  // process of its own first. FASTSCNN_TRUSTED=1 in the environment trusts all files.
  bool trusted = false;
};

class Network {
 public:
  // `path`: a .tflite with bytes in (uint8) and logits at 1/8 out. One that is not trusted is checked
  // and then run once in a fork of this process, so that it may crash there: open it before other
  // threads use LiteRT. Throws Failure.
  explicit Network(const std::string& path, const Options& options = {});
  ~Network();

  int height() const { return height_; }
  int width() const { return width_; }
  int threads() const { return threads_; }

  // What of the settings is not applied, one line each.
  const std::vector<std::string>& notes() const { return notes_; }

  // (height, width) class indices of a picture (height, width, 3) of RGB bytes. Throws Failure.
  std::vector<uint8_t> segment(const std::vector<uint8_t>& rgb);

  // Class indices of a picture of any size, at its own size. Throws Failure.
  std::vector<uint8_t> segment(const Picture& picture, Fit fit = Fit::kResize);

  // Milliseconds that the last picture took in the network, and from its logits to labels.
  double network_ms() const { return network_ms_; }
  double labels_ms() const { return labels_ms_; }

 private:
  std::vector<uint8_t> run(const std::vector<uint8_t>& rgb, const Box& box, int height, int width);

  struct Parts;
  std::unique_ptr<Parts> parts_;
  std::string path_;
  int height_ = 0, width_ = 0, threads_ = 0;
  std::vector<std::string> notes_;
  double network_ms_ = 0, labels_ms_ = 0;
};

}  // namespace fastscnn
