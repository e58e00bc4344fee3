// Parts of the library by themselves, for test_cpp.py:
//   check labels TYPE HEIGHT WIDTH CLASSES LOGITS LABELS
//   check frame TYPE HEIGHT WIDTH CLASSES LOGITS LABELS
//     SIZE PADDED ORIGIN TARGET (two numbers each) half_pixel|aligned|nearest
//   check picture FILE RGB [HEIGHT WIDTH]   (the first line of output is its own height and width)
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fastscnn/picture.hpp"
#include "fastscnn/postprocess.hpp"

namespace {

using Bytes = std::vector<uint8_t>;

void write(const char* path, const Bytes& made) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(made.data()), static_cast<std::streamsize>(made.size()));
}

template <typename T>
Bytes labels(const std::vector<char>& bytes, const std::vector<std::string>& words) {
  const auto number = [&](size_t at) { return std::stoi(words[at]); };
  const fastscnn::Logits<T> logits{reinterpret_cast<const T*>(bytes.data()), number(2), number(3),
                                   number(4)};
  if (words[0] == "labels") return fastscnn::label_map(logits);
  using fastscnn::Sampling;
  const Sampling sampling = words[15] == "aligned"   ? Sampling::kAligned
                            : words[15] == "nearest" ? Sampling::kNearest
                                                     : Sampling::kHalfPixel;
  const fastscnn::Frame frame{number(7), number(8),  number(9), number(10),
                              sampling,  number(11), number(12)};
  return fastscnn::labels_from_logits(logits, frame, number(13), number(14));
}

}  // namespace

int main(int count, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + count);
  if (words[0] == "picture") {
    try {
      fastscnn::Picture picture = fastscnn::read_picture(words[1]);
      std::printf("%d %d\n", picture.height, picture.width);
      if (count > 4) picture = resized(picture, std::stoi(words[3]), std::stoi(words[4]));
      write(argv[3], picture.rgb);
    } catch (const fastscnn::Failure& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return 2;
    }
    return 0;
  }
  std::ifstream file(words[5], std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  write(argv[7], words[1] == "float32" ? labels<float>(bytes, words)
                 : words[1] == "uint8" ? labels<uint8_t>(bytes, words)
                                       : labels<int8_t>(bytes, words));
}
