// The label map at any size from logits, as fastscnn_tf/runtime/postprocess.py makes it.
//
// Logits at 1/8 are interpolated to the size that the network works at, its padding is cut off, and
// from there they go to the target's size: all steps are linear, so they are one table of weights
// per axis. The argmax comes last, and only where classes meet are logits interpolated: by blocks of
// 8x8 pixels where the target is the input's own size (label_map.hpp), in float32 and by tiles
// elsewhere.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "fastscnn/label_map.hpp"

namespace fastscnn {

// Where an interpolation reads: linearly between half-pixel centres; linearly where the first and
// last cells' centres fall onto each other (`align_corners`); or the nearest of half-pixel centres.
enum class Sampling { kHalfPixel, kAligned, kNearest };

// How logits lie over a network's input: they are upsampled to (padded_height, padded_width), and
// (height, width) pixels from (top, left) on are what is looked at.
struct Frame {
  int height, width, padded_height, padded_width;
  Sampling sampling = Sampling::kHalfPixel;
  int top = 0, left = 0;
};

namespace internal {

// What each cell of the target reads along one axis: at most two neighbours that read two cells
// each.
struct Axis {
  static constexpr int kMost = 4;
  std::vector<int> first, count;
  std::vector<float> weights;

  const float* of(int cell) const { return &weights[static_cast<size_t>(cell) * kMost]; }
};

// One cell of (target, source) as Python's interpolation_matrix has it: the lower of the two cells
// that are read, and the share of the upper one.
inline std::pair<int, float> read_at(int cell, int source, int target, Sampling sampling) {
  double position = 0;
  if (sampling == Sampling::kNearest) {
    const float scale = static_cast<float>(source) / static_cast<float>(target);
    position = std::floor((static_cast<float>(cell) + 0.5F) * scale);
  } else if (sampling == Sampling::kAligned) {
    const float scale =
        static_cast<float>(source - 1) / static_cast<float>(std::max(target - 1, 1));
    position = static_cast<float>(cell) * scale;
  } else {
    position = (cell + 0.5) * source / target - 0.5;
  }
  const double low = std::floor(position);
  return {static_cast<int>(low), static_cast<float>(position - low)};
}

// Adds what a cell of the target reads, each weight times `share`, to `row` (source).
inline void add_weights(int cell, int source, int target, Sampling sampling, float share,
                        std::vector<float>* row) {
  const auto [low, upper] = read_at(cell, source, target, sampling);
  const int a = std::clamp(low, 0, source - 1), b = std::clamp(low + 1, 0, source - 1);
  const float lower = 1 - upper;
  if (a == b) {
    (*row)[a] = std::fma(share, lower + upper, (*row)[a]);
    return;
  }
  (*row)[a] = std::fma(share, lower, (*row)[a]);
  (*row)[b] = std::fma(share, upper, (*row)[b]);
}

// Logits to the padded size, cut to `model` cells from `origin` on, then to the target.
inline Axis axis_of(int source, int padded, int model, int target, Sampling sampling, int origin) {
  Axis axis{std::vector<int>(target), std::vector<int>(target),
            std::vector<float>(static_cast<size_t>(target) * Axis::kMost)};
  std::vector<float> row(source);
  const auto inner = [&](int cell, float share) {
    if (source == padded) {
      row[cell + origin] += share;
    } else {
      add_weights(cell + origin, source, padded, sampling, share, &row);
    }
  };
  for (int i = 0; i < target; ++i) {
    int low = i, high = i;
    if (model == target) {
      inner(i, 1);
    } else {
      const auto [cell, upper] = read_at(i, model, target, Sampling::kHalfPixel);
      low = std::clamp(cell, 0, model - 1), high = std::clamp(cell + 1, 0, model - 1);
      if (low == high) {
        inner(low, (1 - upper) + upper);
      } else {
        inner(low, 1 - upper);
        inner(high, upper);
      }
    }
    const int from = source == padded ? low + origin
                                      : std::max(read_at(low + origin, source, padded, sampling).first, 0);
    const int to = std::min(from + 2 * Axis::kMost, source);
    bool found = false;
    for (int cell = from; cell < to; ++cell) {
      if (row[cell] == 0) continue;
      if (!found) axis.first[i] = cell;
      found = true;
      axis.count[i] = std::min(cell - axis.first[i] + 1, Axis::kMost);
      axis.weights[static_cast<size_t>(i) * Axis::kMost + axis.count[i] - 1] = row[cell];
      row[cell] = 0;
    }
  }
  return axis;
}

// Cells start..end of a target, and the first and last cell that they read.
struct Band {
  int start, end, low, high;

  Band(const Axis& axis, int from, int until) : start(from), end(until) {
    low = axis.first[from], high = low;
    for (int i = from; i < until; ++i) {
      low = std::min(low, axis.first[i]);
      high = std::max(high, axis.first[i] + axis.count[i] - 1);
    }
  }
};

template <typename T>
class Tile {
 public:
  static constexpr int kHeight = 32, kWidth = 128;

  Tile(const Logits<T>& logits, const Axis& rows, const Axis& columns)
      : logits_(logits), rows_(rows), columns_(columns), best_(kHeight * kWidth) {
    greatest_.resize(logits.classes);
    least_.resize(logits.classes);
  }

  // The winners of a tile in which several classes may win; the lowest index wins a tie.
  void contest(const Band& down, const Band& across, uint8_t* labels, size_t stride) {
    std::fill(greatest_.begin(), greatest_.end(), std::numeric_limits<T>::lowest());
    std::fill(least_.begin(), least_.end(), std::numeric_limits<T>::max());
    for (int y = down.low; y <= down.high; ++y) {
      for (int x = across.low; x <= across.high; ++x) {
        const T* cell = logits_.cell(y, x);
        for (int c = 0; c < logits_.classes; ++c) {
          greatest_[c] = std::max(greatest_[c], cell[c]);
          least_[c] = std::min(least_[c], cell[c]);
        }
      }
    }
    const T bar = *std::max_element(least_.begin(), least_.end());
    std::fill(best_.begin(), best_.end(), -std::numeric_limits<float>::infinity());
    for (int c = 0; c < logits_.classes; ++c) {
      if (greatest_[c] >= bar) enter(c, down, across, labels, stride);
    }
  }

 private:
  void enter(int c, const Band& down, const Band& across, uint8_t* labels, size_t stride) {
    line_.resize(across.high - across.low + 1);
    float* best = best_.data();
    for (int y = down.start; y < down.end; ++y) {
      std::fill(line_.begin(), line_.end(), 0.0F);
      for (int k = 0; k < rows_.count[y]; ++k) {
        const float weight = rows_.of(y)[k];
        const T* from = logits_.cell(rows_.first[y] + k, across.low) + c;
        for (float& sum : line_) {
          sum += weight * static_cast<float>(*from);
          from += logits_.classes;
        }
      }
      for (int x = across.start; x < across.end; ++x, ++best) {
        const float* weights = columns_.of(x);
        const float* from = &line_[columns_.first[x] - across.low];
        float value = 0;
        for (int k = 0; k < columns_.count[x]; ++k) value += weights[k] * from[k];
        if (value > *best) {
          *best = value;
          labels[y * stride + x] = static_cast<uint8_t>(c);
        }
      }
    }
  }

  const Logits<T>& logits_;
  const Axis &rows_, &columns_;
  std::vector<float> best_, line_;
  std::vector<T> greatest_, least_;
};

template <typename T>
std::vector<uint8_t> interpolated_labels(const Logits<T>& logits, const Frame& frame, int height,
                                         int width) {
  const Axis rows = axis_of(logits.height, frame.padded_height, frame.height, height,
                            frame.sampling, frame.top);
  const Axis columns =
      axis_of(logits.width, frame.padded_width, frame.width, width, frame.sampling, frame.left);
  const auto winners = winners_of(logits);
  std::vector<uint8_t> labels(static_cast<size_t>(height) * width);
  const auto only_winner = [&](const Band& down, const Band& across) {
    const uint8_t* line = &winners[static_cast<size_t>(down.low) * logits.width];
    const uint8_t only = line[across.low];
    for (int y = down.low; y <= down.high; ++y, line += logits.width) {
      for (int x = across.low; x <= across.high; ++x) {
        if (line[x] != only) return -1;
      }
    }
    return static_cast<int>(only);
  };
  using Part = Tile<T>;
  Part tile(logits, rows, columns);
  for (int top = 0; top < height; top += Part::kHeight) {
    const Band down(rows, top, std::min(top + Part::kHeight, height));
    for (int left = 0; left < width; left += Part::kWidth) {
      const Band across(columns, left, std::min(left + Part::kWidth, width));
      const int only = only_winner(down, across);
      if (only < 0) {
        tile.contest(down, across, labels.data(), width);
        continue;
      }
      for (int y = down.start; y < down.end; ++y) {
        const auto line = labels.begin() + static_cast<ptrdiff_t>(y) * width;
        std::fill(line + across.start, line + across.end, static_cast<uint8_t>(only));
      }
    }
  }
  return labels;
}

}  // namespace internal

// (height, width) class indices, row by row, of what `frame` looks at; the lowest index wins a tie.
template <typename T>
std::vector<uint8_t> labels_from_logits(const Logits<T>& logits, const Frame& frame, int height,
                                        int width) {
  using internal::kFactor;
  const bool eighths = logits.height * kFactor == frame.padded_height &&
                       logits.width * kFactor == frame.padded_width;
  if (!eighths || frame.sampling != Sampling::kHalfPixel || frame.height != height ||
      frame.width != width) {
    return internal::interpolated_labels(logits, frame, height, width);
  }
  const auto whole = label_map(logits);
  std::vector<uint8_t> labels(static_cast<size_t>(height) * width);
  for (int y = 0; y < height; ++y) {
    const auto from = whole.begin() + static_cast<ptrdiff_t>(frame.top + y) * frame.padded_width;
    std::copy_n(from + frame.left, width, labels.begin() + static_cast<ptrdiff_t>(y) * width);
  }
  return labels;
}

}  // namespace fastscnn
