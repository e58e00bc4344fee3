// segment MODEL.tflite PICTURE LABELS.pgm [THREADS] [RUNS] [--fit letterbox] [--settings FILE]
// [--trusted]: the label map of a picture at its own size, and the median time of each step of RUNS
// runs.
#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <cwctype>
#include <exception>
#include <string>
#include <vector>

#include "fastscnn/network.hpp"
#include "files.hpp"

namespace {

using fastscnn::Failure;

constexpr char kUsage[] =
    "usage: segment MODEL.tflite PICTURE LABELS.pgm [THREADS] [RUNS] [--fit resize|letterbox] "
    "[--settings FILE] [--trusted]";

struct Arguments {
  std::vector<std::string> places;
  fastscnn::Options options;
  fastscnn::Fit fit = fastscnn::Fit::kResize;
  int runs = 1;
};

std::string pgm(const std::vector<uint8_t>& labels, int height, int width) {
  std::string file = "P5\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n";
  return file.append(labels.begin(), labels.end());
}

int count(const std::string& text, const std::string& what, int most) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (*end || value < 1 || value > most) {
    throw Failure(what + " must be 1.." + std::to_string(most) + ", got " + text);
  }
  return static_cast<int>(value);
}

// Characters that a locale counts as printable and that are not seen: marks of direction, tags.
bool is_hidden(wchar_t sign) {
  static constexpr wchar_t kRanges[][2] = {{0xad, 0xad},     {0x61c, 0x61c},   {0x180e, 0x180e},
                                           {0x200b, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202e},
                                           {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
                                           {0xe0000, 0xe0fff}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [sign](const wchar_t* range) { return sign >= range[0] && sign <= range[1]; });
}

// A message for a terminal: what the locale does not print is \xNN, for names may hold what steers it.
std::string printable(const std::string& text) {
  std::string shown;
  for (size_t at = 0; at < text.size();) {
    wchar_t sign = 0;
    std::mbstate_t state{};
    const size_t count = std::mbrtowc(&sign, &text[at], text.size() - at, &state);
    const bool known = count > 0 && count <= text.size() - at;  // neither NUL nor an error
    const size_t end = at + (known ? count : 1);
    const bool plain = known && std::iswprint(static_cast<wint_t>(sign)) && !is_hidden(sign);
    if (plain) shown.append(text, at, end - at);
    for (; at < end; ++at) {
      char escape[5];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(text[at]));
      if (!plain) shown += escape;
    }
  }
  return shown;
}

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return (times[(times.size() - 1) / 2] + times[times.size() / 2]) / 2;
}

Arguments read_arguments(const std::vector<std::string>& given) {
  Arguments read;
  for (size_t i = 0; i < given.size(); ++i) {
    const bool takes_value = given[i] == "--fit" || given[i] == "--settings";
    if (takes_value && i + 1 == given.size()) throw Failure(kUsage);
    if (given[i] == "--trusted") {
      read.options.trusted = true;
    } else if (given[i] == "--settings") {
      read.options.settings = given[++i];
    } else if (given[i] == "--fit") {
      const std::string& fit = given[++i];
      if (fit != "resize" && fit != "letterbox") {
        throw Failure("--fit must be resize or letterbox, got " + fit);
      }
      if (fit == "letterbox") read.fit = fastscnn::Fit::kLetterbox;
    } else if (given[i].rfind("--", 0) == 0) {
      throw Failure(kUsage);
    } else {
      read.places.push_back(given[i]);
    }
  }
  const size_t places = read.places.size();
  if (places < 3 || places > 5) throw Failure(kUsage);
  if (places > 3) read.options.threads = count(read.places[3], "THREADS", 256);
  if (places > 4) read.runs = count(read.places[4], "RUNS", 100000);
  return read;
}

void run(const Arguments& given) {
  const fastscnn::Picture picture = fastscnn::read_picture(given.places[1]);
  fastscnn::Network network(given.places[0], given.options);
  for (const std::string& note : network.notes()) {
    std::fprintf(stderr, "segment: %s\n", printable(note).c_str());
  }
  std::vector<uint8_t> labels;
  std::vector<double> forward, upsampling;
  for (int i = 0; i < given.runs; ++i) {
    labels = network.segment(picture, given.fit);
    forward.push_back(network.network_ms());
    upsampling.push_back(network.labels_ms());
  }
  fastscnn::internal::write_file(given.places[2], pgm(labels, picture.height, picture.width));
  std::printf("network %.1f ms, labels %.1f ms: medians of %d, %d thread%s\n", median(forward),
              median(upsampling), given.runs, network.threads(), network.threads() > 1 ? "s" : "");
  if (std::fflush(stdout) != 0) {
    throw Failure(std::string("standard output: cannot be written (") + std::strerror(errno) + ")");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* locale = std::setlocale(LC_CTYPE, "");
  if (!locale || !std::strcmp(locale, "C")) std::setlocale(LC_CTYPE, "C.UTF-8");  // as Python does
  std::signal(SIGXFSZ, SIG_IGN);  // a file grown too large is an error of its writing
  const std::vector<std::string> given(argv + 1, argv + argc);
  if (std::find(given.begin(), given.end(), "--help") != given.end()) {
    std::puts(kUsage);
    return 0;
  }
  try {
    run(read_arguments(given));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "segment: %s\n", printable(error.what()).c_str());
    return 2;
  }
}
