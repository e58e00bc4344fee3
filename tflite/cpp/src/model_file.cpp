#include "model_file.hpp"

namespace fastscnn::internal {
namespace {

constexpr int kMaxRank = 6;  // dimensions that LiteRT's kernels have room for
constexpr size_t kMaxOps = 20'000;
constexpr int64_t kMaxBytes = int64_t{1} << 31;  // of a tensor: kernels count with 32 bits
constexpr int kCustom = 32;
// What compilers for NPUs put in the place of operations, as fastscnn_tf/tflite/custom_ops.py.
constexpr const char* kCompiled[] = {"ethos-u", "edgetpu-custom-op", "NeutronGraph", "vsi-npu",
                                     "DISPATCH_OP"};

int64_t size_of(int type) {
  switch (type) {
    case kFloat32:
    case kInt32: return 4;
    case kFloat16:
    case kInt16: return 2;
    case kUInt8:
    case kInt8:
    case kBool: return 1;
    case kInt64: return 8;
    default: return 0;
  }
}

[[noreturn]] void damaged(const std::string& where, int index, const std::string& what) {
  throw Damaged(where + " " + std::to_string(index) + " " + what);
}

[[noreturn]] void unsupported(const std::string& where, int index, const std::string& what) {
  throw Unsupported(where + " " + std::to_string(index) + " " + what);
}

// Whether `signature` says that sizes of a shape, those of -1, are chosen when the model is run.
bool is_open(const Shape& signature, const Shape& shape) {
  return std::equal(signature.begin(), signature.end(), shape.begin(), shape.end(),
                    [](int32_t named, int32_t size) { return named == size || named == -1; });
}

std::vector<int> indices(const std::vector<int32_t>& values, size_t count, const std::string& where,
                         int lowest) {
  for (const int32_t value : values) {
    if (value < lowest || value >= static_cast<int64_t>(count)) {
      throw Damaged(where + " names tensor " + std::to_string(value) + " of " +
                    std::to_string(count));
    }
  }
  return {values.begin(), values.end()};
}

}  // namespace

std::string text_of(const Shape& shape) {
  std::string text;
  for (const int32_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return "(" + text + ")";
}

int64_t Tensor::elements() const {
  int64_t count = 1;
  for (const int32_t size : shape) count *= size;  // a ModelFile has made sure that it fits
  return count;
}

int64_t Tensor::bytes() const { return elements() * size_of(type); }

std::vector<int32_t> Tensor::integers() const {
  std::vector<int32_t> values(type == kInt32 ? data.size / 4 : 0);
  if (!values.empty()) std::memcpy(values.data(), data.data, 4 * values.size());
  return values;
}

ModelFile::ModelFile(std::vector<uint8_t> content)
    : content_(std::move(content)), buffer_(content_.data(), content_.size()) {
  if (content_.size() < 8 || std::memcmp(&content_[4], "TFL3", 4) != 0) {
    throw Damaged("no TFL3 mark at byte 4");
  }
  const Table root(&buffer_, buffer_.follow(0));
  for (const Table& table : root.tables(4)) {
    // Files over 2 GB keep their buffers behind the flatbuffer; those are not read here.
    if (table.number<uint64_t>(1) > 1) throw Unsupported("a buffer lies behind the tables");
    buffers_.push_back(table.bytes(0));
  }
  for (const Table& table : root.tables(1)) {
    codes_.push_back(std::max<int>(table.number<int32_t>(3), table.number<int8_t>(0)));
    if (codes_.back() != kCustom) continue;
    const std::string name = table.text(1);
    if (std::find(std::begin(kCompiled), std::end(kCompiled), name) != std::end(kCompiled)) {
      throw Unsupported("it was compiled for an NPU (operation " + name +
                        "): take the .tflite that it was compiled from");
    }
  }
  read_metadata(root);
  const auto graphs = root.tables(2);
  if (graphs.size() != 1) throw Unsupported(std::to_string(graphs.size()) + " graphs, expected one");
  read_graph(graphs[0]);
  const auto signatures = root.tables(7);
  for (const Table& signature : signatures) check_signature(signature);
}

void ModelFile::read_metadata(const Table& root) {
  for (const Table& entry : root.tables(6)) {
    const uint32_t place = entry.number<uint32_t>(1);
    if (place >= buffers_.size() || !entry.has(0)) throw Damaged("metadata without a content");
    metadata[entry.text(0)] = buffers_[place];
  }
}

void ModelFile::read_graph(const Table& graph) {
  for (const Table& table : graph.tables(0)) {
    tensors.push_back(tensor(static_cast<int>(tensors.size()), table));
  }
  const auto entries = graph.tables(3);
  if (entries.size() > kMaxOps) throw Damaged("more operations than any real model has");
  for (const Table& entry : entries) ops.push_back(op(static_cast<int>(ops.size()), entry));
  inputs = indices(graph.numbers<int32_t>(1), tensors.size(), "the graph's input", 0);
  outputs = indices(graph.numbers<int32_t>(2), tensors.size(), "the graph's output", 0);
}

// A signature gives names to the graph's inputs and outputs, each once.
void ModelFile::check_signature(const Table& signature) const {
  if (signature.number<uint32_t>(4) != 0) throw Damaged("a signature of a graph that is not there");
  for (const auto& [slot, ends] : {std::pair(0, &inputs), std::pair(1, &outputs)}) {
    const auto entries = signature.tables(slot);
    std::vector<int> named;
    for (const Table& entry : entries) {
      if (!entry.has(0)) throw Damaged("a signature without names");
      named.push_back(static_cast<int>(entry.number<uint32_t>(1)));
    }
    std::vector<int> expected = *ends;
    std::sort(named.begin(), named.end());
    std::sort(expected.begin(), expected.end());
    if (named != expected) throw Damaged("a signature that names other tensors than the graph");
  }
}

Tensor ModelFile::tensor(int index, const Table& table) const {
  Tensor made;
  made.index = index;
  made.shape = table.numbers<int32_t>(0);
  made.type = table.number<int8_t>(1);
  const auto signature = table.numbers<int32_t>(7);
  if (!size_of(made.type)) unsupported("tensor", index, "has the type " + std::to_string(made.type));
  if (made.shape.size() > kMaxRank) unsupported("tensor", index, "has too many dimensions");
  int64_t bytes = size_of(made.type);
  for (const int32_t size : made.shape) {
    if (size < 1 || size > kMaxBytes / bytes) {
      damaged("tensor", index, "has an impossible shape " + text_of(made.shape));
    }
    bytes *= size;
  }
  if (!signature.empty() && signature != made.shape) {
    if (!is_open(signature, made.shape)) damaged("tensor", index, "has two shapes");
    unsupported("tensor", index, "has the open shape " + text_of(signature) +
                                     ", fixed ones are needed: export or convert it with them");
  }
  if (table.number<uint8_t>(5) || table.has(6)) unsupported("tensor", index, "is variable or sparse");
  const uint32_t place = table.number<uint32_t>(2);
  if (place >= buffers_.size()) damaged("tensor", index, "names a buffer that is not there");
  made.data = buffers_[place];
  if (made.constant() && static_cast<int64_t>(made.data.size) != bytes) {
    damaged("tensor", index, "holds " + std::to_string(made.data.size) +
                                 " bytes where its shape needs " + std::to_string(bytes));
  }
  if (const auto quantization = table.table(4)) {
    made.scales = quantization->numbers<float>(2);
    made.zeros = quantization->numbers<int64_t>(3);
    made.axis = quantization->number<int32_t>(6);
    if (quantization->number<uint8_t>(4)) unsupported("tensor", index, "is quantized in another way");
  }
  return made;
}

Op ModelFile::op(int index, const Table& table) const {
  Op made;
  made.index = index;
  const uint32_t place = table.number<uint32_t>(0);
  if (place >= codes_.size()) damaged("operation", index, "names a code that is not there");
  made.code = codes_[place];
  const std::string where = "operation " + std::to_string(index);
  made.inputs = indices(table.numbers<int32_t>(1), tensors.size(), where, -1);
  made.outputs = indices(table.numbers<int32_t>(2), tensors.size(), where, 0);
  made.options_type = table.number<uint8_t>(3);
  made.options = table.table(4);
  if (!table.numbers<int32_t>(8).empty()) unsupported("operation", index, "has further tensors");
  return made;
}

}  // namespace fastscnn::internal
