// Pillow's Image.resize to the bit. Bilinear is two passes, each in fixed point with 22 bits and
// rounded to bytes. Along the rows comes first, unless the height shrinks by more than twice what the
// width does: so it is measured on Pillow 13.
#include <algorithm>
#include <cmath>

#include "fastscnn/picture.hpp"

namespace fastscnn {
namespace {

constexpr int kBits = 22;
constexpr int32_t kHalf = 1 << (kBits - 1);

// For each cell of the target: the first cell it reads, how many, and what they weigh.
struct Weights {
  std::vector<int> first, count;
  std::vector<int32_t> values;
  int most;

  Weights(int source, int target) : first(target), count(target) {
    const double scale = static_cast<double>(source) / target;
    const double support = std::max(scale, 1.0);  // the triangle is as wide as the step
    most = static_cast<int>(std::ceil(support)) * 2 + 1;
    values.resize(static_cast<size_t>(target) * most);
    std::vector<double> row(most);
    for (int i = 0; i < target; ++i) {
      const double center = (i + 0.5) * scale;
      const int low = std::max(static_cast<int>(center - support + 0.5), 0);
      const int n = std::min(static_cast<int>(center + support + 0.5), source) - low;
      double sum = 0;
      for (int k = 0; k < n; ++k) {
        const double distance = std::fabs((k + low - center + 0.5) * (1 / support));
        row[k] = distance < 1 ? 1 - distance : 0;
        sum += row[k];
      }
      for (int k = 0; k < n; ++k) {
        const double share = sum == 0 ? row[k] : row[k] / sum;
        values[static_cast<size_t>(i) * most + k] = static_cast<int32_t>(0.5 + share * (1 << kBits));
      }
      first[i] = low;
      count[i] = n;
    }
  }

  const int32_t* of(int cell) const { return &values[static_cast<size_t>(cell) * most]; }
};

// Weights are no less than 0 and sum up to 1 but for their rounding: only 255 can be passed.
uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::min(sum >> kBits, 255)); }

Picture along_rows(const Picture& picture, int width) {
  if (width == picture.width) return picture;
  const Weights weights(picture.width, width);
  Picture made{picture.height, width, {}};
  made.rgb.resize(static_cast<size_t>(made.height) * width * 3);
  uint8_t* to = made.rgb.data();
  for (int y = 0; y < made.height; ++y) {
    const uint8_t* line = &picture.rgb[static_cast<size_t>(y) * picture.width * 3];
    for (int x = 0; x < width; ++x) {
      const int32_t* weight = weights.of(x);
      const uint8_t* from = line + 3 * static_cast<ptrdiff_t>(weights.first[x]);
      int32_t red = kHalf, green = kHalf, blue = kHalf;
      for (int k = 0; k < weights.count[x]; ++k, from += 3) {
        red += from[0] * weight[k];
        green += from[1] * weight[k];
        blue += from[2] * weight[k];
      }
      *to++ = rounded(red);
      *to++ = rounded(green);
      *to++ = rounded(blue);
    }
  }
  return made;
}

Picture along_columns(const Picture& picture, int height) {
  if (height == picture.height) return picture;
  const Weights weights(picture.height, height);
  const size_t stride = static_cast<size_t>(picture.width) * 3;
  Picture made{height, picture.width, {}};
  made.rgb.resize(height * stride);
  std::vector<int32_t> sums(stride);
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int k = 0; k < weights.count[y]; ++k) {
      const int32_t weight = weights.of(y)[k];
      const uint8_t* from = &picture.rgb[static_cast<size_t>(weights.first[y] + k) * stride];
      for (size_t i = 0; i < stride; ++i) sums[i] += from[i] * weight;
    }
    std::transform(sums.begin(), sums.end(), &made.rgb[y * stride], rounded);
  }
  return made;
}

}  // namespace

Picture resized(const Picture& picture, int height, int width) {
  if (picture.height > height && picture.height - height > 2 * (picture.width - width)) {
    return along_rows(along_columns(picture, height), width);
  }
  return along_columns(along_rows(picture, width), height);
}

Box box_of(const Picture& picture, int height, int width, Fit fit) {
  Box box{0, 0, height, width};
  if (fit == Fit::kResize) return box;
  const auto share = [](int64_t side, int64_t times, int64_t by) {
    return std::max(1, static_cast<int>(std::nearbyint(static_cast<double>(side * times) / by)));
  };
  // Whole numbers decide which side fills the input.
  if (int64_t{picture.height} * width >= int64_t{picture.width} * height) {
    box.width = share(picture.width, height, picture.height);
  } else {
    box.height = share(picture.height, width, picture.width);
  }
  box.top = (height - box.height) / 2;
  box.left = (width - box.width) / 2;
  return box;
}

}  // namespace fastscnn
