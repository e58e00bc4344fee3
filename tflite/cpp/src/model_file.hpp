// A .tflite from anywhere as plain data: every index, length and shape is checked, and LiteRT has not
// seen it yet. Field numbers are those of the TFLite schema (schema.fbs), names and checks those of
// fastscnn_tf/tflite/parser.py.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "flatbuffer.hpp"

namespace fastscnn::internal {

using Shape = std::vector<int32_t>;

enum Type { kFloat32 = 0, kFloat16 = 1, kInt32 = 2, kUInt8 = 3, kInt64 = 4, kBool = 6, kInt16 = 7,
            kInt8 = 9 };

struct Tensor {
  int index = 0;
  Shape shape;
  int type = 0;
  Span data;  // of a constant
  std::vector<float> scales;
  std::vector<int64_t> zeros;
  int axis = 0;

  bool constant() const { return data.size > 0; }
  int64_t elements() const;
  int64_t bytes() const;
  // Values of an int32 constant, such as axes.
  std::vector<int32_t> integers() const;
};

struct Op {
  int index = 0, code = 0, options_type = 0;
  std::vector<int> inputs, outputs;  // of the inputs -1: left out
  std::optional<Table> options;
};

class ModelFile {
 public:
  // Throws Damaged, Unsupported.
  explicit ModelFile(std::vector<uint8_t> content);
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  const std::vector<uint8_t>& content() const { return content_; }

  std::vector<Tensor> tensors;
  std::vector<Op> ops;
  std::vector<int> inputs, outputs;
  std::map<std::string, Span> metadata;

 private:
  void read_metadata(const Table& root);
  void read_graph(const Table& graph);
  void check_signature(const Table& signature) const;
  Tensor tensor(int index, const Table& table) const;
  Op op(int index, const Table& table) const;

  std::vector<uint8_t> content_;
  FlatBuffer buffer_;
  std::vector<Span> buffers_;
  std::vector<int> codes_;
};

std::string text_of(const Shape& shape);

}  // namespace fastscnn::internal
