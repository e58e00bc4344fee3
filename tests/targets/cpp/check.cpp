// check TYPE HEIGHT WIDTH CLASSES LOGITS LABELS: the label map of logits in a file, for test_cpp.py.
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fastscnn/label_map.hpp"

template <typename T>
std::vector<uint8_t> labels(const std::vector<char>& bytes, char** sizes) {
  const fastscnn::Logits<T> logits{reinterpret_cast<const T*>(bytes.data()), std::stoi(sizes[0]),
                                   std::stoi(sizes[1]), std::stoi(sizes[2])};
  return fastscnn::label_map(logits);
}

int main(int, char** argv) {
  std::ifstream file(argv[5], std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const std::string type = argv[1];
  const auto made = type == "float32" ? labels<float>(bytes, argv + 2)
                    : type == "uint8" ? labels<uint8_t>(bytes, argv + 2)
                                      : labels<int8_t>(bytes, argv + 2);
  std::ofstream(argv[6], std::ios::binary)
      .write(reinterpret_cast<const char*>(made.data()), static_cast<std::streamsize>(made.size()));
}
