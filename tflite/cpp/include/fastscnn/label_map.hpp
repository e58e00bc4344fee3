// The label map at the input's size from logits at 1/8 of it, exactly, without upsampling them all.
//
// Bilinear upsampling by 8 with half-pixel centres lays an 8x8 block of pixels between every four
// neighbouring logits (at the edges the outermost count twice). Every pixel of a block is a weighted
// mean of its four corners, so a class that wins all four corners wins the whole block. Only blocks
// on borders of classes are interpolated, and of them only the classes that may win somewhere
// inside: those whose greatest corner reaches the best of the classes' least corners.
//
// The weights are products of odd sixteenths, in 256ths here: sums of bytes are exact integers, sums
// of floats are made in double.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace fastscnn {

// Class scores (height, width, classes), row by row, all on one scale: uint8_t, int8_t or finite
// floats; at most 256 classes.
template <typename T>
struct Logits {
  const T* values;
  int height, width, classes;

  const T* cell(int row, int column) const {
    return values + (static_cast<std::ptrdiff_t>(row) * width + column) * classes;
  }
};

namespace internal {

constexpr int kFactor = 8, kHalf = kFactor / 2, kWhole = 2 * kFactor;

template <typename T>
using Sum = std::conditional_t<std::is_floating_point_v<T>, double, int32_t>;

// The four logits around a block, and the classes that may win in it.
template <typename T>
class Block {
 public:
  explicit Block(const Logits<T>& logits)
      : logits_(logits), names_(logits.classes), corners_(4 * logits.classes) {}

  // The block whose lower right corner is cell (row, column).
  void place(int row, int column) {
    const int above = std::max(row - 1, 0), below = std::min(row, logits_.height - 1);
    const int left = std::max(column - 1, 0), right = std::min(column, logits_.width - 1);
    const T* cells[4] = {logits_.cell(above, left), logits_.cell(above, right),
                         logits_.cell(below, left), logits_.cell(below, right)};
    T least = std::numeric_limits<T>::lowest();
    for (int c = 0; c < logits_.classes; ++c) {
      least = std::max(least, std::min({cells[0][c], cells[1][c], cells[2][c], cells[3][c]}));
    }
    count_ = 0;
    for (int c = 0; c < logits_.classes; ++c) {
      if (std::max({cells[0][c], cells[1][c], cells[2][c], cells[3][c]}) < least) continue;
      names_[count_] = static_cast<uint8_t>(c);
      for (int i = 0; i < 4; ++i) corners_[4 * count_ + i] = cells[i][c];
      ++count_;
    }
  }

  // Who wins in pixel (y, x) of the block; the lowest index wins a tie.
  uint8_t winner(int y, int x) const {
    const int down = 2 * y + 1, across = 2 * x + 1;
    const Sum<T> weights[4] = {
        static_cast<Sum<T>>((kWhole - down) * (kWhole - across)),
        static_cast<Sum<T>>((kWhole - down) * across),
        static_cast<Sum<T>>(down * (kWhole - across)), static_cast<Sum<T>>(down * across)};
    Sum<T> best = std::numeric_limits<Sum<T>>::lowest();
    uint8_t label = 0;
    for (int i = 0; i < count_; ++i) {
      const Sum<T>* corner = &corners_[4 * i];
      const Sum<T> value = weights[0] * corner[0] + weights[1] * corner[1] +
                           weights[2] * corner[2] + weights[3] * corner[3];
      if (value > best) {
        best = value;
        label = names_[i];
      }
    }
    return label;
  }

 private:
  const Logits<T>& logits_;
  std::vector<uint8_t> names_;
  std::vector<Sum<T>> corners_;
  int count_ = 0;
};

// The winner of each cell (height, width); the lowest index wins a tie.
template <typename T>
std::vector<uint8_t> winners_of(const Logits<T>& logits) {
  std::vector<uint8_t> winners(static_cast<std::size_t>(logits.height) * logits.width);
  const T* cell = logits.values;
  for (uint8_t& winner : winners) {
    winner = static_cast<uint8_t>(std::max_element(cell, cell + logits.classes) - cell);
    cell += logits.classes;
  }
  return winners;
}

}  // namespace internal

// (8 height, 8 width) class indices, row by row.
template <typename T>
std::vector<uint8_t> label_map(const Logits<T>& logits) {
  using namespace internal;
  const int height = logits.height, width = logits.width, stride = width * kFactor;
  const std::vector<uint8_t> winners = winners_of(logits);
  std::vector<uint8_t> labels(winners.size() * kFactor * kFactor);
  Block<T> block(logits);
  for (int row = 0; row <= height; ++row) {
    const int above = std::max(row - 1, 0), below = std::min(row, height - 1);
    const int top = std::max(row * kFactor - kHalf, 0);
    const int bottom = std::min(row * kFactor + kHalf, height * kFactor);
    for (int column = 0; column <= width; ++column) {
      const int left = std::max(column - 1, 0), right = std::min(column, width - 1);
      const int from = std::max(column * kFactor - kHalf, 0);
      const int to = std::min(column * kFactor + kHalf, stride);
      const uint8_t first = winners[above * width + left];
      const bool is_one = first == winners[above * width + right] &&
                          first == winners[below * width + left] &&
                          first == winners[below * width + right];
      if (!is_one) block.place(row, column);
      for (int y = top; y < bottom; ++y) {
        uint8_t* line = &labels[static_cast<std::size_t>(y) * stride];
        if (is_one) {
          std::fill(line + from, line + to, first);
          continue;
        }
        for (int x = from; x < to; ++x) {
          line[x] = block.winner(y - row * kFactor + kHalf, x - column * kFactor + kHalf);
        }
      }
    }
  }
  return labels;
}

}  // namespace fastscnn
