// stb_image with the two formats that are taken and nothing else of it, and with bounded memory.
#include "stb.hpp"

#include <cstdlib>

namespace fastscnn::internal {
namespace {

thread_local size_t most_bytes = 0;

void* bounded(void* memory, size_t bytes) {
  return bytes <= most_bytes ? std::realloc(memory, bytes) : nullptr;
}

}  // namespace

void bound_decoder(size_t bytes) { most_bytes = bytes; }

}  // namespace fastscnn::internal

#define STBI_MALLOC(bytes) fastscnn::internal::bounded(nullptr, bytes)
#define STBI_REALLOC(memory, bytes) fastscnn::internal::bounded(memory, bytes)
#define STBI_FREE(memory) std::free(memory)
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>
