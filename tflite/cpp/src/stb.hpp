#pragma once

#include <cstddef>

namespace fastscnn::internal {

// The largest piece of memory that stb_image gets in this thread from now on.
void bound_decoder(size_t bytes);

}  // namespace fastscnn::internal
