// Pictures from files, and at a network's size, as fastscnn_tf/core/images and runtime/fit.py have them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fastscnn/failure.hpp"

namespace fastscnn {

// (height, width, 3) RGB bytes, row by row.
struct Picture {
  int height = 0, width = 0;
  std::vector<uint8_t> rgb;
};

// How a picture comes to a network's size: stretched, or with its proportions kept and the rest
// filled with the model's mean.
enum class Fit { kResize, kLetterbox };

// Where a picture lies in a network's input, in pixels.
struct Box {
  int top = 0, left = 0, height = 0, width = 0;
};

// A JPEG, PNG or binary PPM (P6) of at most 89 megapixels: upright by EXIF, alpha and a transparent
// colour over black, 16 bits as 8. Throws Failure.
Picture read_picture(const std::string& path);

// Pillow 13's bilinear resize, antialiased when shrinking, to the bit.
Picture resized(const Picture& picture, int height, int width);

// Where a picture lies in a network's input of (height, width).
Box box_of(const Picture& picture, int height, int width, Fit fit);

}  // namespace fastscnn
