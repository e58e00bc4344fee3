// segment MODEL.tflite PICTURE.ppm LABELS.pgm [THREADS] [RUNS]: the label map of a picture, and the
// median time of each step of RUNS runs.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "fastscnn/network.hpp"

namespace {

using fastscnn::Failure;

// A number of a PPM's header; comments go from # to the end of a line.
int number(std::istream& file, const std::string& path) {
  int sign = file.get();
  while (std::isspace(sign) || sign == '#') {
    while (sign == '#' && file && file.get() != '\n') {
    }
    sign = file.get();
  }
  int value = 0, digits = 0;
  for (; std::isdigit(sign) && digits < 6; ++digits, sign = file.get()) {
    value = 10 * value + sign - '0';
  }
  if (digits == 0 || !std::isspace(sign)) throw Failure(path + ": its header is damaged");
  return value;
}

std::vector<uint8_t> read_ppm(const std::string& path, int height, int width) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Failure(path + ": no such picture");
  char mark[2] = {0, 0};
  file.read(mark, 2);
  if (mark[0] != 'P' || mark[1] != '6') {
    throw Failure(path + ": not a PPM picture (P6): convert it with ImageMagick");
  }
  const int wide = number(file, path), high = number(file, path), top = number(file, path);
  if (wide != width || high != height || top != 255) {
    const std::string size = std::to_string(width) + "x" + std::to_string(height);
    throw Failure(path + ": " + std::to_string(wide) + "x" + std::to_string(high) +
                  ", the model takes " + size + ": convert IN -resize " + size + "! OUT.ppm");
  }
  std::vector<uint8_t> rgb(static_cast<size_t>(height) * width * 3);
  file.read(reinterpret_cast<char*>(rgb.data()), static_cast<std::streamsize>(rgb.size()));
  if (file.gcount() != static_cast<std::streamsize>(rgb.size())) {
    throw Failure(path + ": truncated");
  }
  return rgb;
}

void write_pgm(const std::string& path, const std::vector<uint8_t>& labels, int height, int width) {
  std::ofstream file(path, std::ios::binary);
  file << "P5\n" << width << " " << height << "\n255\n";
  file.write(reinterpret_cast<const char*>(labels.data()),
             static_cast<std::streamsize>(labels.size()));
  if (!file.flush()) throw Failure(path + ": cannot be written");
}

int count(const char* text, const std::string& what, int most) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*end || value < 1 || value > most) {
    throw Failure(what + " must be 1.." + std::to_string(most) + ", got " + text);
  }
  return static_cast<int>(value);
}

// A message for a terminal: all but printable ASCII as \xNN, for names may hold what steers it.
std::string printable(const std::string& text) {
  std::string shown;
  for (const unsigned char sign : text) {
    char escape[5] = {static_cast<char>(sign)};
    if (sign < 0x20 || sign > 0x7e) std::snprintf(escape, sizeof escape, "\\x%02x", sign);
    shown += escape;
  }
  return shown;
}

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return (times[(times.size() - 1) / 2] + times[times.size() / 2]) / 2;
}

void run(int argc, char** argv) {
  if (argc < 4 || argc > 6) {
    throw Failure("usage: segment MODEL.tflite PICTURE.ppm LABELS.pgm [THREADS] [RUNS]");
  }
  const int threads = argc > 4 ? count(argv[4], "THREADS", 256) : 2;
  const int runs = argc > 5 ? count(argv[5], "RUNS", 100000) : 1;
  fastscnn::Network network(argv[1], threads);
  const auto rgb = read_ppm(argv[2], network.height(), network.width());
  std::vector<uint8_t> labels;
  std::vector<double> forward, upsampling;
  for (int i = 0; i < runs; ++i) {
    labels = network.segment(rgb);
    forward.push_back(network.network_ms());
    upsampling.push_back(network.labels_ms());
  }
  write_pgm(argv[3], labels, network.height(), network.width());
  std::printf("network %.1f ms, labels %.1f ms: medians of %d, %d threads\n",
               median(forward), median(upsampling), runs, threads);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "segment: %s\n", printable(error.what()).c_str());
    return 2;
  }
}
