// What travels with a model: its settings for a device (fastscnn settings), and the metadata of its
// export.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fastscnn/postprocess.hpp"
#include "model_file.hpp"

namespace fastscnn::internal {

// What the metadata inside a .tflite say of how it is fed and read; defaults where there are none.
struct About {
  Sampling sampling = Sampling::kHalfPixel;
  double mean[3] = {128, 128, 128};
  std::string settings;  // as JSON, or empty
};

About read_about(const ModelFile& file);  // throws Damaged

// How the CPU runs a model.
struct CpuSettings {
  int threads = 2;
  std::string toml;                // the other options, as LiteRT takes them
  std::vector<std::string> notes;  // what is not applied, one line each
};

// The settings in `given`, or beside the model, or inside it, or none. `threads` above 0 takes the
// place of theirs. Options that make the runtime load or write files do not count: whoever made the
// model chose them. Throws Failure.
CpuSettings read_settings(const std::string& model, const ModelFile& file, const About& about,
                          const std::string& given, int threads);

}  // namespace fastscnn::internal
