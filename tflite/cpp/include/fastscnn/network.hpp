// A .tflite that runs on the CPU through LiteRT's CompiledModel.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace fastscnn {

// One line for the person: what was expected, what came, what to do.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Network {
 public:
  // `path`: a .tflite with bytes in (uint8) and logits out. Throws Failure.
  Network(const std::string& path, int threads);
  ~Network();

  int height() const { return height_; }
  int width() const { return width_; }

  // (height, width) class indices of a picture (height, width, 3) of RGB bytes. Throws Failure.
  std::vector<uint8_t> segment(const std::vector<uint8_t>& rgb);

  // Milliseconds that the last picture took in the network, and from its logits to labels.
  double network_ms() const { return network_ms_; }
  double labels_ms() const { return labels_ms_; }

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  std::string path_;
  int height_ = 0, width_ = 0;
  double network_ms_ = 0, labels_ms_ = 0;
};

}  // namespace fastscnn
