#include "checks.hpp"

#include <cmath>
#include <numeric>
#include <set>

namespace fastscnn::internal {
namespace {

constexpr float kSmallest = 0x1p-126F;  // below, float32 has no full precision
constexpr int32_t kMostSteps = 1 << 16;  // strides, dilations and sides of windows
constexpr int kAddShift = 20;  // bits below the larger input's step in which ADD and SUB compute
constexpr int kSame = 0;

// One operation, as its rule looks at it. Whatever does not fit throws Damaged.
class Node {
 public:
  Node(const ModelFile& file, const Op& op, const char* name) : file_(file), op_(op), name_(name) {}

  [[noreturn]] void wrong(const std::string& what) const {
    throw Damaged("operation " + std::to_string(op_.index) + " (" + name_ + ") " + what);
  }

  void expect(bool holds, const char* what) const {
    if (!holds) wrong(what);
  }

  size_t count() const { return op_.inputs.size(); }

  bool has(size_t place) const { return place < count() && op_.inputs[place] >= 0; }

  const Tensor& in(size_t place) const {
    if (!has(place)) wrong("lacks an input");
    return file_.tensors[op_.inputs[place]];
  }

  const Tensor& out() const { return file_.tensors[op_.outputs[0]]; }

  template <typename T>
  T option(int slot, T otherwise = {}) const {
    return op_.options ? op_.options->number<T>(slot, otherwise) : otherwise;
  }

  int32_t steps(int slot, int32_t otherwise = 0) const {
    const auto value = option<int32_t>(slot, otherwise);
    if (value < 1 || value > kMostSteps) wrong("has the step " + std::to_string(value));
    return value;
  }

  // None, RELU, RELU_N1_TO_1 or RELU6: with others kernels compute without bounds.
  void check_activation(int slot) const {
    const auto value = option<int8_t>(slot);
    expect(value >= 0 && value <= 3, "has no such activation");
  }

  std::vector<int32_t> new_shape() const {
    return op_.options ? op_.options->numbers<int32_t>(0) : std::vector<int32_t>();
  }

  // Values of an input that must be a constant of int32, at least `least` of them.
  std::vector<int32_t> integers(size_t place, size_t least = 1) const {
    const auto values = in(place).integers();
    expect(values.size() >= least && values.size() <= 64, "has an input that is no constant of int32");
    return values;
  }

 private:
  const ModelFile& file_;
  const Op& op_;
  const char* name_;
};

bool is_byte(const Tensor& tensor) { return tensor.type == kInt8 || tensor.type == kUInt8; }

void same_types(const Node& node, const Tensor& other) {
  node.expect(other.type == node.out().type, "mixes types");
}

const Shape& rank(const Node& node, const Tensor& tensor, size_t expected) {
  node.expect(tensor.shape.size() == expected, "has an input of another rank");
  return tensor.shape;
}

// A side of what a window gives.
int32_t slid(const Node& node, int32_t side, int32_t window, int32_t step, int32_t dilation,
             int padding) {
  const int64_t reach = int64_t{window - 1} * dilation + 1;
  if (padding == kSame) return (side + step - 1) / step;
  node.expect(padding == 1, "has no such padding");
  node.expect(reach <= side, "has a window that is larger than what it reads");
  return static_cast<int32_t>((side - reach) / step + 1);
}

void kernel_types(const Node& node) {
  const int data = node.in(0).type, kernel = node.in(1).type;
  const bool fits = data == kernel || (data == kFloat32 && kernel == kInt8) ||
                    (data == kInt16 && kernel == kInt8);
  node.expect(fits && (data == kFloat32 || data == kUInt8 || data == kInt8 || data == kInt16),
              "has a kernel of another type");
  same_types(node, node.in(0));
  if (kernel != kFloat32) node.expect(!node.in(1).scales.empty(), "has a kernel without scales");
  if (!node.has(2)) return;
  const int bias = node.in(2).type;
  node.expect(bias == (data == kFloat32 ? kFloat32 : kInt32) || (data == kInt16 && bias == kInt64),
              "has a bias of another type");
}

// What a kernel that fits gives; among the options its dilations follow the activation.
Shape convolved(const Node& node, int32_t channels, int activation) {
  node.expect(node.count() <= 3, "has too many inputs");
  if (node.has(2)) node.expect(node.in(2).elements() == channels, "has a bias of another length");
  node.check_activation(activation);
  const Shape &image = node.in(0).shape, &kernel = node.in(1).shape;
  const int32_t down = node.steps(activation + 2, 1), across = node.steps(activation + 1, 1);
  const int padding = node.option<int8_t>(0);
  return {image[0], slid(node, image[1], kernel[1], node.steps(2), down, padding),
          slid(node, image[2], kernel[2], node.steps(1), across, padding), channels};
}

Shape convolution(const Node& node) {
  const Shape &image = rank(node, node.in(0), 4), &kernel = rank(node, node.in(1), 4);
  kernel_types(node);
  node.expect(kernel[3] == image[3], "has a kernel of other channels");
  return convolved(node, kernel[0], 3);
}

Shape depthwise(const Node& node) {
  const Shape &image = rank(node, node.in(0), 4), &kernel = rank(node, node.in(1), 4);
  kernel_types(node);
  node.expect(kernel[0] == 1 && int64_t{image[3]} * node.steps(3) == kernel[3],
              "has a kernel of other channels");
  return convolved(node, kernel[3], 4);
}

Shape pooling(const Node& node) {
  const Shape& image = rank(node, node.in(0), 4);
  same_types(node, node.in(0));
  node.check_activation(5);
  const int padding = node.option<int8_t>(0);
  return {image[0], slid(node, image[1], node.steps(4), node.steps(2), 1, padding),
          slid(node, image[2], node.steps(3), node.steps(1), 1, padding), image[3]};
}

Shape broadcast(const Node& node) {
  const Tensor &first = node.in(0), &second = node.in(1);
  same_types(node, first);
  same_types(node, second);
  node.check_activation(0);
  node.expect(first.shape.size() <= 4 && second.shape.size() <= 4, "has too many dimensions");
  Shape shape(std::max(first.shape.size(), second.shape.size()), 1);
  for (const Tensor* tensor : {&first, &second}) {
    const size_t skipped = shape.size() - tensor->shape.size();
    for (size_t i = skipped; i < shape.size(); ++i) {
      const int32_t size = tensor->shape[i - skipped];
      node.expect(size == shape[i] || size == 1 || shape[i] == 1, "adds shapes that do not fit");
      shape[i] = std::max(shape[i], size);
    }
  }
  return shape;
}

// ADD and SUB bring both inputs to one scale in whole numbers.
Shape sum(const Node& node) {
  const Shape shape = broadcast(node);
  if (is_byte(node.out())) {
    const float first = node.in(0).scales.at(0), second = node.in(1).scales.at(0);
    const double most = std::ldexp(double{node.out().scales.at(0)}, kAddShift);
    node.expect(2.0 * std::max(first, second) < most, "brings scales together that are too far apart");
  }
  return shape;
}

Shape mean(const Node& node) {
  const Shape& shape = node.in(0).shape;
  same_types(node, node.in(0));
  node.expect(shape.size() <= 4, "has too many dimensions");
  std::vector<bool> gone(shape.size());
  for (int32_t axis : node.integers(1)) {
    if (axis < 0) axis += static_cast<int32_t>(shape.size());
    node.expect(axis >= 0 && axis < static_cast<int32_t>(shape.size()), "has no such axis");
    gone[axis] = true;
  }
  const bool kept = node.option<uint8_t>(0);
  Shape result;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!gone[i]) result.push_back(shape[i]);
    if (gone[i] && kept) result.push_back(1);
  }
  return result;
}

Shape resize(const Node& node) {
  const Shape& image = rank(node, node.in(0), 4);
  same_types(node, node.in(0));
  const auto size = node.integers(1, 2);
  node.expect(size.size() == 2, "has no size");
  return {image[0], size[0], size[1], image[3]};
}

Shape concatenation(const Node& node) {
  Shape shape = node.in(0).shape;
  int32_t axis = node.option<int32_t>(0);
  if (axis < 0) axis += static_cast<int32_t>(shape.size());
  node.expect(axis >= 0 && axis < static_cast<int32_t>(shape.size()), "has no such axis");
  node.check_activation(1);
  int64_t together = 0;
  for (size_t i = 0; i < node.count(); ++i) {
    Shape other = node.in(i).shape;
    same_types(node, node.in(i));
    node.expect(other.size() == shape.size(), "puts shapes together that do not fit");
    together += other[axis];
    other[axis] = shape[axis];
    node.expect(other == shape, "puts shapes together that do not fit");
  }
  node.expect(together <= INT32_MAX, "is too long");
  shape[axis] = static_cast<int32_t>(together);
  return shape;
}

Shape slice(const Node& node) {
  const Shape& shape = node.in(0).shape;
  same_types(node, node.in(0));
  const auto begin = node.integers(1), end = node.integers(2), step = node.integers(3);
  node.expect(begin.size() == shape.size() && end.size() == shape.size() &&
                  step.size() == shape.size() && shape.size() <= 5,
              "cuts in other dimensions than there are");
  node.expect(!node.option<int32_t>(2) && !node.option<int32_t>(3) && !node.option<uint8_t>(5),
              "cuts in a way that Fast-SCNN does not");
  Shape result;
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto marked = [&](int slot) { return node.option<int32_t>(slot) >> i & 1; };
    const auto place = [&](int32_t at) { return at < 0 ? int64_t{at} + shape[i] : int64_t{at}; };
    node.expect(step[i] >= 1 && step[i] <= kMostSteps, "cuts in steps that Fast-SCNN has not");
    const int64_t first = marked(0) ? 0 : place(begin[i]);
    const int64_t last = marked(4) ? first + 1 : marked(1) ? shape[i] : place(end[i]);
    node.expect(first >= 0 && first < last && last <= shape[i], "cuts outside of what there is");
    if (!marked(4)) result.push_back(static_cast<int32_t>((last - first + step[i] - 1) / step[i]));
  }
  return result;
}

Shape padding(const Node& node) {
  Shape shape = node.in(0).shape;
  same_types(node, node.in(0));
  const auto sides = node.integers(1);
  node.expect(rank(node, node.in(1), 2)[0] == static_cast<int32_t>(shape.size()) &&
                  sides.size() == 2 * shape.size() && shape.size() <= 5,
              "pads other dimensions than there are");
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto fits = [](int32_t side) { return side >= 0 && side <= kMostSteps; };
    node.expect(fits(sides[2 * i]) && fits(sides[2 * i + 1]), "pads by an impossible number");
    const int64_t size = int64_t{shape[i]} + sides[2 * i] + sides[2 * i + 1];
    node.expect(size <= INT32_MAX, "is too long");
    shape[i] = static_cast<int32_t>(size);
  }
  return shape;
}

Shape reshape(const Node& node) {
  same_types(node, node.in(0));
  Shape shape = node.has(1) ? node.integers(1) : node.new_shape();
  const int64_t count = node.in(0).elements();
  int64_t product = 1;
  int32_t* open = nullptr;
  for (int32_t& size : shape) {
    node.expect(size >= 1 || (size == -1 && !open), "has an impossible shape");
    if (size == -1) {
      open = &size;
    } else {
      node.expect(product <= count / size, "has an impossible shape");
      product *= size;
    }
  }
  if (open) *open = static_cast<int32_t>(count / product);
  node.expect(open ? count % product == 0 : count == product, "has an impossible shape");
  return shape;
}

Shape transpose(const Node& node) {
  const Shape& shape = node.in(0).shape;
  same_types(node, node.in(0));
  const auto order = node.integers(1);
  node.expect(rank(node, node.in(1), 1)[0] == static_cast<int32_t>(shape.size()),
              "turns other dimensions than there are");
  std::vector<bool> taken(shape.size());
  Shape result;
  for (const int32_t axis : order) {
    node.expect(axis >= 0 && axis < static_cast<int32_t>(shape.size()) && !taken[axis],
                "has no such axis, or has it twice");
    taken[axis] = true;
    result.push_back(shape[axis]);
  }
  return result;
}

Shape unary(const Node& node) {
  same_types(node, node.in(0));
  return node.in(0).shape;
}

Shape quantize(const Node& node) {
  const int from = node.in(0).type, to = node.out().type;
  node.expect(is_byte(node.out()) || to == kInt16, "gives another type");
  node.expect(from == kFloat32 || is_byte(node.in(0)) || from == kInt16, "takes another type");
  node.expect(from == kFloat32 || from == kInt16 || to != kInt16, "widens a type");
  return node.in(0).shape;
}

Shape dequantize(const Node& node) {
  const int from = node.in(0).type;
  node.expect(node.out().type == kFloat32, "gives another type");
  node.expect(from == kFloat16 || is_byte(node.in(0)) || from == kInt16, "takes another type");
  return node.in(0).shape;
}

Shape cast(const Node& node) {
  node.expect(node.out().type == kFloat32 && node.in(0).type != kFloat16, "casts another type");
  return node.in(0).shape;
}

struct Rule {
  int code;
  const char* name;
  int options;  // type of its options; 0: it has none, or they do not matter
  size_t inputs;  // at least
  bool scaled;  // bytes need a scale
  Shape (*shape)(const Node&);
};

// What the exports of fastscnn_tf hold; numbers are those of schema.fbs.
constexpr Rule kRules[] = {
    {0, "ADD", 11, 2, true, sum},
    {1, "AVERAGE_POOL_2D", 5, 1, true, pooling},
    {2, "CONCATENATION", 10, 1, true, concatenation},
    {3, "CONV_2D", 1, 2, true, convolution},
    {4, "DEPTHWISE_CONV_2D", 2, 2, true, depthwise},
    {6, "DEQUANTIZE", 0, 1, true, dequantize},
    {14, "LOGISTIC", 0, 1, true, unary},
    {17, "MAX_POOL_2D", 5, 1, true, pooling},
    {18, "MUL", 21, 2, true, broadcast},
    {19, "RELU", 0, 1, true, unary},
    {21, "RELU6", 0, 1, true, unary},
    {22, "RESHAPE", 17, 1, false, reshape},
    {23, "RESIZE_BILINEAR", 15, 2, true, resize},
    {34, "PAD", 0, 2, true, padding},
    {39, "TRANSPOSE", 26, 2, false, transpose},
    {40, "MEAN", 27, 2, true, mean},
    {41, "SUB", 28, 2, true, sum},
    {42, "DIV", 29, 2, true, broadcast},
    {45, "STRIDED_SLICE", 32, 4, false, slice},
    {53, "CAST", 0, 1, false, cast},
    {74, "SUM", 27, 2, true, mean},
    {97, "RESIZE_NEAREST_NEIGHBOR", 74, 2, false, resize},
    {114, "QUANTIZE", 0, 1, true, quantize},
};

const Rule& rule_of(const Op& op) {
  for (const Rule& rule : kRules) {
    if (rule.code == op.code) return rule;
  }
  throw Unsupported("operation " + std::to_string(op.index) + " is of kind " +
                    std::to_string(op.code) + ", which no Fast-SCNN is exported with: only a " +
                    "trusted file may hold it");
}

void check_scales(const Tensor& tensor) {
  const auto expect = [&](bool holds, const char* what) {
    if (!holds) throw Damaged("tensor " + std::to_string(tensor.index) + " " + what);
  };
  for (const float scale : tensor.scales) {
    // A channel without any weight may have the scale 0, but no range that values are put into.
    expect(std::isfinite(scale) && scale >= (tensor.constant() ? 0.0F : kSmallest),
           "has a scale that is not above 0");
  }
  for (const int64_t zero : tensor.zeros) {
    const bool fits = tensor.type == kInt8    ? zero >= -128 && zero <= 127
                      : tensor.type == kUInt8 ? zero >= 0 && zero <= 255
                                              : zero == 0;
    expect(fits, "has a zero point outside of its type");
  }
  expect(tensor.scales.size() == tensor.zeros.size(), "has scales without zero points");
  if (tensor.scales.size() > 1) {
    const bool fits = tensor.constant() && tensor.axis >= 0 &&
                      tensor.axis < static_cast<int32_t>(tensor.shape.size()) &&
                      tensor.shape[tensor.axis] == static_cast<int64_t>(tensor.scales.size());
    expect(fits, "has scales for other channels");
  }
}

// Every input is a constant, comes in, or was made before; nothing is made twice.
void check_order(const ModelFile& file) {
  std::set<int> made(file.inputs.begin(), file.inputs.end());
  for (const int index : file.inputs) {
    if (file.tensors[index].constant()) throw Damaged("an input of the graph is a constant");
  }
  for (const Op& op : file.ops) {
    const std::string where = "operation " + std::to_string(op.index);
    if (op.outputs.size() != 1) throw Damaged(where + " has more or less than one output");
    for (const int index : op.inputs) {
      if (index >= 0 && !file.tensors[index].constant() && !made.count(index)) {
        throw Damaged(where + " reads what nothing has made");
      }
    }
    if (file.tensors[op.outputs[0]].constant() || !made.insert(op.outputs[0]).second) {
      throw Damaged(where + " writes where something is already");
    }
  }
  for (const int index : file.outputs) {
    if (!made.count(index)) throw Damaged("nothing makes an output of the graph");
  }
}

void check_op(const ModelFile& file, const Op& op, const Rule& rule) {
  const Node node(file, op, rule.name);
  node.expect(op.inputs.size() >= rule.inputs, "has too few inputs");
  node.expect(!rule.options || op.options_type == (op.options ? rule.options : op.options_type),
              "has options of another operation");
  if (rule.scaled) {
    for (size_t i = 0; i <= rule.inputs; ++i) {
      const Tensor& tensor = i < rule.inputs ? node.in(i) : node.out();
      node.expect(!is_byte(tensor) || !tensor.scales.empty(), "computes with a tensor without scale");
    }
  }
  const Shape shape = rule.shape(node);
  if (shape != node.out().shape) {
    node.wrong("gives " + text_of(shape) + ", its output is " + text_of(node.out().shape));
  }
}

}  // namespace

Work check_graph(const ModelFile& file) {
  for (const Op& op : file.ops) rule_of(op);
  for (const Tensor& tensor : file.tensors) check_scales(tensor);
  check_order(file);
  Work work;
  for (const Op& op : file.ops) {
    const Rule& rule = rule_of(op);
    check_op(file, op, rule);
    const Tensor& out = file.tensors[op.outputs[0]];
    double each = 1;
    if (rule.options == 1 || rule.options == 2) {
      const Shape& kernel = file.tensors[op.inputs[1]].shape;
      each = 1.0 * kernel[1] * kernel[2] * (rule.options == 1 ? kernel[3] : 1);
    } else if (rule.options == 5) {
      each = 1.0 * op.options->number<int32_t>(3) * op.options->number<int32_t>(4);
    }
    work.macs += each * static_cast<double>(out.elements()) +
                 static_cast<double>(file.tensors[op.inputs[0]].elements());
    work.bytes += out.bytes();
  }
  return work;
}

}  // namespace fastscnn::internal
