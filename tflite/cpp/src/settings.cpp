#include "settings.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "files.hpp"
#include "sha256.hpp"

namespace fastscnn::internal {
namespace {

using Json = nlohmann::json;

constexpr size_t kLargestSettings = 1 << 18, kLargestMetadata = 1 << 20;  // bytes
constexpr int kFormat = 1, kMaxThreads = 256;

// TFLITE_XNNPACK_DELEGATE_FLAG_* of xnnpack_delegate.h.
const std::map<std::string, uint32_t> kFlags = {
    {"qs8", 0x1},
    {"qu8", 0x2},
    {"force_fp16", 0x4},
    {"dynamic_fully_connected", 0x8},
    {"variable_operators", 0x10},
    {"transient_indirection_buffer", 0x20},
    {"enable_latest_operators", 0x40},
    {"enable_subgraph_reshaping", 0x80},
    {"slow_consistent_arithmetic", 0x200},
    {"disable_subgraph_reshaping", 0x400},
};

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

[[noreturn]] void bad(const std::string& where, const std::string& name, const std::string& expected,
                      const Json& value) {
  throw Failure(where + ": " + name + " must be " + expected + ", got " + shown(value));
}

std::string choice(const std::string& where, const std::string& name, const Json& value,
                   const std::vector<std::string>& choices) {
  std::string listed;
  for (const auto& each : choices) listed += (listed.empty() ? "" : ", ") + each;
  if (!value.is_string() || std::find(choices.begin(), choices.end(), value) == choices.end()) {
    bad(where, name, listed, value);
  }
  return value;
}

Json parsed(const std::string& text, const std::string& where) {
  try {
    Json value = Json::parse(text);
    if (value.is_object()) return value;
  } catch (const Json::exception&) {
  }
  throw Failure(where + ": not a JSON object");
}

uint32_t flags_of(const std::string& where, const Json& value) {
  uint32_t bits = 0;
  std::string known;
  for (const auto& [name, bit] : kFlags) known += (known.empty() ? "names among " : ", ") + name;
  if (!value.is_array()) bad(where, "cpu.xnnpack_flags", known, value);
  for (const Json& name : value) {
    const auto found = name.is_string() ? kFlags.find(name) : kFlags.end();
    if (found == kFlags.end() || bits & found->second) bad(where, "cpu.xnnpack_flags", known, value);
    bits |= found->second;
  }
  if ((bits & 0x80) && (bits & 0x400)) {
    throw Failure(where + ": cpu.xnnpack_flags: subgraph reshaping is both enabled and disabled: "
                          "keep one");
  }
  return bits;
}

// Options of the CPU, in LiteRT's words; those that it has no word for become notes.
void read_cpu(const Json& cpu, const std::string& where, int given, CpuSettings* made) {
  if (!cpu.is_object()) bad(where, "cpu", "named values", cpu);
  std::string mode;
  bool is_xnnpacks = false;
  for (const auto& [key, value] : cpu.items()) {
    const std::string name = "cpu." + key;
    if (value.is_null()) continue;
    if (key == "num_threads") {
      if (!value.is_number_integer() || value < 1 || value > kMaxThreads) {
        bad(where, name, "1.." + std::to_string(kMaxThreads), value);
      }
      const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
      const int threads = value;
      if (given == 0) made->threads = std::min(threads, cores);
      if (given == 0 && threads > cores) {
        const std::string count = std::to_string(cores);
        made->notes.push_back(name + "=" + std::to_string(threads) + ", but this machine has " +
                              count + " cores: " + count + " used");
      }
    } else if (key == "kernel_mode") {
      mode = choice(where, name, value, {"xnnpack", "builtin", "reference", "micro"});
      if (mode != "xnnpack" && mode != "builtin") {  // libLiteRt.so 2.3 takes builtin for reference
        throw Failure(where + ": " + name + "=" + mode + " is not supported here: LiteRT's "
                      "CompiledModel has xnnpack and builtin alone");
      }
      made->toml += "kernel_mode = \"" + mode + "\"\n";
    } else if (key == "enable_ynnpack") {
      if (!value.is_boolean()) bad(where, name, "true or false", value);
      made->toml += std::string("enable_ynnpack = ") + (value ? "true" : "false") + "\n";
    } else if (key == "xnnpack_flags") {
      is_xnnpacks = true;
      made->toml += "flags = " + std::to_string(flags_of(where, value)) + "\n";
    } else if (key == "weight_cache_dir") {
      is_xnnpacks = true;
      made->notes.push_back(name + "=" + shown(value) +
                            " is ignored: settings may not make this program write files");
    } else if (key == "xnnpack_runtime_flags" || key == "disable_delegate_clustering" ||
               key == "default_delegate_latest_features" || key == "disable_delegate_node_fusion" ||
               key == "compress_quantization_zero_points") {
      made->notes.push_back(name + "=" + shown(value) +
                            " is not applied: CompiledModel has no such option");
    } else {
      throw Failure(where + ": unknown option " + shown(name));
    }
  }
  if (is_xnnpacks && mode == "builtin") {
    throw Failure(where + ": cpu.xnnpack_flags and cpu.weight_cache_dir are XNNPACK's, which "
                          "cpu.kernel_mode=builtin keeps out");
  }
}

void read_values(const Json& values, const std::string& where, int given, CpuSettings* made) {
  if (!values.is_object()) bad(where, "settings", "named values", values);
  std::string device, accelerator = "cpu", api = "interpreter";
  for (const auto& [key, value] : values.items()) {
    if (key == "device" && value.is_string()) {
      device = value;
    } else if (key == "accelerator") {
      accelerator = choice(where, key, value, {"cpu", "gpu", "nnapi", "npu"});
    } else if (key == "api") {
      api = choice(where, key, value, {"interpreter", "compiled_model", "litert_js"});
    } else if (key == "cpu") {
      if (!value.is_null()) read_cpu(value, where, given, made);
    } else if (key != "device" && key != "cpu_fallback" && key != "gpu" && key != "nnapi" &&
               key != "npu") {
      throw Failure(where + ": unknown option " + shown(key) + ": expected device, accelerator, "
                    "api, cpu_fallback, cpu, gpu, nnapi or npu");
    }
  }
  if (device.rfind("android", 0) == 0 || api == "litert_js") {
    const int threads = made->threads;
    *made = {threads, "", {}};
    made->notes.push_back(std::string("its settings are for ") +
                          (api == "litert_js" ? "a browser" : "Android") +
                          "; on this machine the CPU runs it");
  } else if (accelerator != "cpu") {
    made->notes.push_back("accelerator=" + accelerator + " is not used: the CPU runs it");
  }
}

Json settings_in(const std::string& path, const std::string& model, const ModelFile& file) {
  const auto content = read_file(path, "settings file", kLargestSettings);
  const Json found = parsed({content.begin(), content.end()}, path);
  if (!found.contains("settings") || !found.contains("sha256") || !found["sha256"].is_string()) {
    throw Failure(path + ": no settings file: expected sha256 and settings");
  }
  if (!found.contains("format") || found["format"] != kFormat) {
    throw Failure(path + ": settings of another format, this program reads " +
                  std::to_string(kFormat) + ": write them anew with fastscnn settings, or update");
  }
  const std::string named = found["sha256"], digest = sha256(file.content());
  if (named != digest) {
    throw Failure(path + " belongs to another model: it names SHA-256 " + named.substr(0, 12) +
                  "..., " + model + " has " + digest.substr(0, 12) + "...: write it anew with "
                  "fastscnn settings, or delete it");
  }
  return found["settings"];
}

bool names(const Json& config, const char* field) {
  const Json list = config.value(field, Json::array());
  if (!list.is_array()) throw Damaged(std::string("metadata: config.") + field + " is no list");
  return std::find(list.begin(), list.end(), "logits") != list.end();
}

}  // namespace

About read_about(const ModelFile& file) {
  About about;
  const auto entry = file.metadata.find("fastscnn_tf");
  if (entry == file.metadata.end()) return about;
  const auto* text = reinterpret_cast<const char*>(entry->second.data);
  Json found;
  if (text && entry->second.size <= kLargestMetadata) {
    found = Json::parse(text, text + entry->second.size, nullptr, /*allow_exceptions=*/false);
  }
  if (!found.is_object()) throw Damaged("its fastscnn_tf metadata are no JSON object");
  const Json config = found.value("config", Json::object());
  if (!config.is_object()) throw Damaged("metadata: config is no JSON object");
  if (names(config, "align_corners")) about.sampling = Sampling::kAligned;
  if (names(config, "nearest")) about.sampling = Sampling::kNearest;
  const Json mean = found.value("mean", Json::array({128, 128, 128}));
  if (!mean.is_array() || mean.size() != 3) throw Damaged("metadata: mean is no three numbers");
  for (int i = 0; i < 3; ++i) {
    if (!mean[i].is_number()) throw Damaged("metadata: mean is no three numbers");
    about.mean[i] = mean[i];
  }
  if (found.contains("settings")) about.settings = found["settings"].dump();
  return about;
}

CpuSettings read_settings(const std::string& model, const ModelFile& file, const About& about,
                          const std::string& given, int threads) {
  CpuSettings made;
  if (threads > 0) made.threads = threads;
  const std::string beside = model + ".settings.json";
  struct stat status {};
  if (!given.empty() || lstat(beside.c_str(), &status) == 0) {
    const std::string& path = given.empty() ? beside : given;
    read_values(settings_in(path, model, file), path, threads, &made);
  } else if (!about.settings.empty()) {
    const std::string where = model + ": settings inside the file";
    read_values(parsed(about.settings, where), where, threads, &made);
  }
  return made;
}

}  // namespace fastscnn::internal
