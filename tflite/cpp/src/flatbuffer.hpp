// Reading a flatbuffer that nobody vouches for, as fastscnn_tf/tflite/flatbuffer_reader.py does: an
// offset outside the file is an error, and a file may be read no further than its size allows, since
// vectors that point into each other multiply. For little-endian machines.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fastscnn::internal {

// What the bytes say cannot be true; the message says what.
class Damaged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The file may be whole, but holds what this library does not run; the message says what.
class Unsupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Span {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

class FlatBuffer {
 public:
  FlatBuffer(const uint8_t* bytes, size_t size)
      : bytes_(bytes), size_(size), budget_(std::min<size_t>(size / 4 + 1000, 8'000'000)) {}

  size_t size() const { return size_; }

  const uint8_t* at(uint64_t position, uint64_t count) const {
    if (position > size_ || count > size_ - position) {
      throw Damaged("an offset points outside the file");
    }
    return bytes_ + position;
  }

  template <typename T>
  T number(uint64_t position) const {
    T value;
    std::memcpy(&value, at(position, sizeof value), sizeof value);
    return value;
  }

  uint64_t follow(uint64_t position) const { return position + number<uint32_t>(position); }

  // Takes elements from what may still be read.
  void spend(uint64_t count) {
    if (count > budget_) throw Damaged("more elements than its size has room for");
    budget_ -= count;
  }

 private:
  const uint8_t* bytes_;
  size_t size_;
  uint64_t budget_;
};

// One table; fields are named by their place in the schema.
class Table {
 public:
  Table(FlatBuffer* buffer, uint64_t position) : buffer_(buffer), position_(position) {
    buffer_->spend(1);
    const int64_t fields =
        static_cast<int64_t>(position) - buffer_->number<int32_t>(position);
    if (fields < 0) throw Damaged("an offset points outside the file");
    fields_ = static_cast<uint64_t>(fields);
    length_ = buffer_->number<uint16_t>(fields_);
  }

  bool has(int slot) const { return place(slot) != 0; }

  template <typename T>
  T number(int slot, T otherwise = {}) const {
    const uint64_t found = place(slot);
    return found ? buffer_->number<T>(found) : otherwise;
  }

  std::optional<Table> table(int slot) const {
    const uint64_t found = place(slot);
    if (!found) return std::nullopt;
    return Table(buffer_, buffer_->follow(found));
  }

  std::vector<Table> tables(int slot) const {
    std::vector<Table> found;
    if (!place(slot)) return found;
    const auto [start, count] = vector(slot, 4);
    buffer_->spend(count);
    for (uint64_t i = 0; i < count; ++i) {
      found.emplace_back(buffer_, buffer_->follow(start + 4 * i));
    }
    return found;
  }

  template <typename T>
  std::vector<T> numbers(int slot) const {
    if (!place(slot)) return {};
    const auto [start, count] = vector(slot, sizeof(T));
    buffer_->spend(count);
    std::vector<T> values(count);
    if (count) std::memcpy(values.data(), buffer_->at(start, count * sizeof(T)), count * sizeof(T));
    return values;
  }

  // A vector of bytes, not copied.
  Span bytes(int slot) const {
    if (!place(slot)) return {};
    const auto [start, count] = vector(slot, 1);
    return {buffer_->at(start, count), count};
  }

  // A string, cut at 4096 bytes.
  std::string text(int slot) const {
    const Span found = bytes(slot);
    const size_t count = std::min<size_t>(found.size, 4096);
    buffer_->spend(count / 8);
    return std::string(reinterpret_cast<const char*>(found.data), count);
  }

 private:
  uint64_t place(int slot) const {
    const uint64_t entry = 4 + 2 * static_cast<uint64_t>(slot);
    if (entry + 2 > length_) return 0;
    const uint16_t offset = buffer_->number<uint16_t>(fields_ + entry);
    return offset ? position_ + offset : 0;
  }

  // Position of the first element, and how many there are.
  std::pair<uint64_t, uint64_t> vector(int slot, uint64_t element) const {
    const uint64_t start = buffer_->follow(place(slot));
    const uint64_t count = buffer_->number<uint32_t>(start);
    buffer_->at(start + 4, count * element);
    return {start + 4, count};
  }

  FlatBuffer* buffer_;
  uint64_t position_, fields_ = 0, length_ = 0;
};

}  // namespace fastscnn::internal
