#include "fastscnn/picture.hpp"

#include <stb_image.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <memory>

#include "files.hpp"
#include "stb.hpp"

namespace fastscnn {
namespace {

using internal::read_file;
using Bytes = std::vector<uint8_t>;

constexpr size_t kLargest = size_t{384} << 20;       // bytes of a file
constexpr int64_t kMostPixels = 89'478'485;          // as Pillow allows
constexpr int64_t kMostScanned = int64_t{1} << 31;   // pixels times scans of a JPEG
constexpr size_t kSpareMemory = size_t{64} << 20;

bool begins(const Bytes& content, size_t at, const char* mark, size_t count) {
  return content.size() >= at + count && std::memcmp(&content[at], mark, count) == 0;
}

void check_size(const std::string& path, int64_t height, int64_t width) {
  if (height < 1 || width < 1 || width > kMostPixels / height) {
    throw Failure(path + ": " + std::to_string(height) + "x" + std::to_string(width) +
                  " pixels (height x width): expected 1 to 89 million");
  }
}

// A number of a PPM's header; comments go from # to the end of a line.
int number(const Bytes& content, size_t* at, const std::string& path) {
  const auto next = [&] { return *at < content.size() ? content[(*at)++] : -1; };
  int sign = next();
  while (sign == '#' || std::isspace(sign)) {
    while (sign == '#') {
      int skipped = next();
      while (skipped >= 0 && skipped != '\n') skipped = next();
      sign = skipped;
    }
    if (std::isspace(sign)) sign = next();
  }
  int value = 0, digits = 0;
  for (; std::isdigit(sign) && digits < 6; ++digits, sign = next()) value = 10 * value + sign - '0';
  if (digits == 0 || !std::isspace(sign)) throw Failure(path + ": its header is damaged");
  return value;
}

Picture read_ppm(const Bytes& content, const std::string& path) {
  size_t at = 2;
  Picture picture;
  picture.width = number(content, &at, path);
  picture.height = number(content, &at, path);
  const int most = number(content, &at, path);
  if (most < 1 || most > 65535) {
    throw Failure(path + ": its samples go to " + std::to_string(most) + ", expected 1 to 65535");
  }
  check_size(path, picture.height, picture.width);
  const bool wide = most > 255;
  picture.rgb.resize(static_cast<size_t>(picture.height) * picture.width * 3);
  if ((content.size() - at) / (wide ? 2 : 1) < picture.rgb.size()) {
    throw Failure(path + ": truncated");
  }
  Bytes scaled(wide ? 65536 : 256);  // of each sample, as Pillow has it
  for (size_t i = 0; i < scaled.size(); ++i) {
    const double value = std::nearbyint(static_cast<double>(i) / most * 255);
    scaled[i] = static_cast<uint8_t>(std::min(value, 255.0));
  }
  for (uint8_t& value : picture.rgb) {
    size_t sample = content[at++];
    if (wide) sample = sample << 8 | content[at++];
    value = scaled[sample];
  }
  return picture;
}

// EXIF's orientation in a TIFF block: 1 is upright, 2 to 8 are turned or mirrored.
int orientation_in(const uint8_t* block, size_t size) {
  const bool little = size >= 8 && block[0] == 'I';
  const auto read = [&](size_t at, int count) -> uint32_t {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 8 | block[at + (little ? count - 1 - i : i)];
    return value;
  };
  if (size < 8 || read(2, 2) != 42) return 1;
  const size_t start = read(4, 4);
  if (start > size - 2) return 1;
  const uint32_t entries = read(start, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t at = start + 2 + 12 * size_t{i};
    if (at + 12 > size) return 1;
    if (read(at, 2) != 0x0112) continue;
    const uint32_t value = read(at + 8, 2);
    return read(at + 2, 2) == 3 && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

int orientation_of_jpeg(const Bytes& content) {
  size_t at = 2;
  while (at + 4 <= content.size() && content[at] == 0xff && content[at + 1] != 0xda) {
    const size_t length = static_cast<size_t>(content[at + 2]) << 8 | content[at + 3];
    if (content[at + 1] == 0xff) {
      ++at;
      continue;
    }
    if (length < 2 || at + 2 + length > content.size()) return 1;
    if (content[at + 1] == 0xe1 && length >= 8 && begins(content, at + 4, "Exif\0\0", 6)) {
      return orientation_in(content.data() + at + 10, length - 8);
    }
    at += 2 + length;
  }
  return 1;
}

uint32_t crc32(const uint8_t* data, size_t size) {
  static const auto table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; ++i) {
      made[i] = i;
      for (int k = 0; k < 8; ++k) made[i] = made[i] & 1 ? made[i] >> 1 ^ 0xedb88320 : made[i] >> 1;
    }
    return made;
  }();
  uint32_t sum = 0xffffffff;
  for (size_t i = 0; i < size; ++i) sum = table[(sum ^ data[i]) & 0xff] ^ sum >> 8;
  return ~sum;
}

// What a PNG's chunks say of its pixels.
struct Notes {
  int orientation = 1;
  bool deep_grey = false;                // of 16 bits
  std::array<int, 3> clear{-1, -1, -1};  // RGB that is transparent
};

// The transparent colour in a tRNS chunk as Pillow takes it: the low bytes, whatever the depth.
std::array<int, 3> transparent(const uint8_t* chunk, size_t size, int depth, bool color,
                               const std::string& path) {
  if (size < (color ? 6 : 2)) {
    throw Failure(path + ": a damaged PNG: its transparent colour has " + std::to_string(size) +
                  " bytes");
  }
  if (color) return {chunk[1], chunk[3], chunk[5]};
  const int grey = depth > 1 ? chunk[1] : chunk[0] || chunk[1] ? 255 : 0;
  return {grey, grey, grey};
}

// Makes sure that a PNG is whole and not too large, which its decoder does not. A chunk with a
// transparent colour is renamed: the decoder, which has another rule for it, passes over it.
Notes notes_of_png(Bytes& content, const std::string& path) {
  const auto word = [&](size_t at) {
    return static_cast<uint32_t>(content[at]) << 24 | content[at + 1] << 16 | content[at + 2] << 8 |
           content[at + 3];
  };
  Notes notes;
  int depth = 0, kind = 3;
  for (size_t at = 8; at + 12 <= content.size();) {
    const size_t length = word(at);
    if (length > content.size() - at - 12) break;
    if (word(at + 8 + length) != crc32(&content[at + 4], length + 4)) {
      throw Failure(path + ": a damaged PNG: a checksum does not fit");
    }
    const uint8_t* chunk = &content[at + 8];
    if (begins(content, at + 4, "IHDR", 4) && length >= 13) {
      check_size(path, word(at + 12), word(at + 8));
      depth = chunk[8], kind = chunk[9];
      notes.deep_grey = kind == 0 && depth == 16;
    }
    if (begins(content, at + 4, "tRNS", 4) && kind != 3) {
      if ((kind == 0 && depth < 16) || kind == 2) {
        notes.clear = transparent(chunk, length, depth, kind == 2, path);
      }
      content[at + 4] = 'x';
    }
    if (begins(content, at + 4, "eXIf", 4)) notes.orientation = orientation_in(chunk, length);
    if (begins(content, at + 4, "IEND", 4)) return notes;
    at += 12 + length;
  }
  throw Failure(path + ": truncated");
}

Picture turned(const Picture& picture, int orientation) {
  if (orientation == 1) return picture;
  const bool across = orientation >= 5;
  const int height = picture.height, width = picture.width;
  Picture made{across ? width : height, across ? height : width, Bytes(picture.rgb.size())};
  uint8_t* to = made.rgb.data();
  const bool upside = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool mirrored = orientation == 2 || orientation == 3 || orientation >= 7;
  for (int y = 0; y < made.height; ++y) {
    for (int x = 0; x < made.width; ++x, to += 3) {
      int row = across ? x : y, column = across ? y : x;
      if (upside) row = height - 1 - row;
      if (mirrored) column = width - 1 - column;
      const size_t from = (static_cast<size_t>(row) * width + column) * 3;
      std::copy_n(&picture.rgb[from], 3, to);
    }
  }
  return made;
}

// RGBA over black, as Pillow's alpha_composite computes it.
uint8_t over_black(uint8_t value, uint8_t alpha) {
  const uint32_t scaled = uint32_t{value} * alpha * 128 + (0x80 << 7);
  return static_cast<uint8_t>(((scaled >> 8) + scaled) >> 8 >> 7);
}

Picture decoded(const Bytes& content, const std::string& path, bool deep_grey = false) {
  const auto* data = content.data();
  const int size = static_cast<int>(content.size());
  int height = 0, width = 0, channels = 0;
  internal::bound_decoder(kSpareMemory);
  if (!stbi_info_from_memory(data, size, &width, &height, &channels)) {
    throw Failure(path + ": not a readable picture (" + stbi_failure_reason() + ")");
  }
  check_size(path, height, width);
  const size_t pixels = static_cast<size_t>(height) * width;
  internal::bound_decoder(16 * pixels + kSpareMemory);  // 16-bit RGBA, twice
  const bool alpha = channels == 2 || channels == 4;
  const auto load = [&](auto* loader, int wanted) -> void* {
    return loader(data, size, &width, &height, &channels, wanted);
  };
  const std::unique_ptr<void, decltype(&stbi_image_free)> found(
      deep_grey ? load(stbi_load_16_from_memory, 1) : load(stbi_load_from_memory, alpha ? 4 : 3),
      stbi_image_free);
  if (!found) throw Failure(path + ": not a readable picture (" + stbi_failure_reason() + ")");
  Picture picture{height, width, Bytes(pixels * 3)};
  if (deep_grey) {  // rounded, where several channels of 16 bits lose their lower halves
    const auto* grey = static_cast<const uint16_t*>(found.get());
    for (size_t i = 0; i < picture.rgb.size(); ++i) {
      picture.rgb[i] = static_cast<uint8_t>((grey[i / 3] + 128) / 257);
    }
    return picture;
  }
  const auto* from = static_cast<const uint8_t*>(found.get());
  if (!alpha) {
    picture.rgb.assign(from, from + picture.rgb.size());
    return picture;
  }
  for (size_t i = 0; i < pixels; ++i, from += 4) {
    for (size_t c = 0; c < 3; ++c) picture.rgb[3 * i + c] = over_black(from[c], from[3]);
  }
  return picture;
}

// Makes sure that a JPEG has an end, which its decoder does not miss, and not so many scans of its
// pixels, which take no bytes to speak of, but time.
void check_scans(const Bytes& content, const std::string& path) {
  int64_t scans = 0;
  bool ended = false;
  for (size_t i = 0; i + 1 < content.size(); ++i) {
    if (content[i] != 0xff) continue;
    if (content[i + 1] == 0xda) ++scans, ended = false;
    if (content[i + 1] == 0xd9) ended = true;
  }
  int height = 0, width = 0, channels = 0;
  internal::bound_decoder(kSpareMemory);
  if (!stbi_info_from_memory(content.data(), static_cast<int>(content.size()), &width, &height,
                             &channels)) {
    return;  // the decoder will say why
  }
  check_size(path, height, width);
  if (scans > kMostScanned / (int64_t{height} * width)) {
    throw Failure(path + ": a JPEG of too many scans");
  }
  if (!ended) throw Failure(path + ": truncated");
}

}  // namespace

Picture read_picture(const std::string& path) {
  Bytes content = read_file(path, "picture", kLargest);
  if (begins(content, 0, "P6", 2)) return read_ppm(content, path);
  if (begins(content, 0, "\x89PNG\r\n\x1a\n", 8)) {
    const Notes notes = notes_of_png(content, path);
    Picture picture = decoded(content, path, notes.deep_grey);
    for (size_t i = 0; i < picture.rgb.size(); i += 3) {
      if (std::equal(notes.clear.begin(), notes.clear.end(), &picture.rgb[i])) {
        std::fill_n(&picture.rgb[i], 3, uint8_t{0});
      }
    }
    return turned(picture, notes.orientation);
  }
  if (begins(content, 0, "\xff\xd8\xff", 3)) {
    check_scans(content, path);
    return turned(decoded(content, path), orientation_of_jpeg(content));
  }
  throw Failure(path + ": not a JPEG, PNG or binary PPM (P6)");
}

}  // namespace fastscnn
