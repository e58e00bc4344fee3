// What LiteRT does not check in a file and then crashes at, computes without an end, or reads
// outside its memory for.
#pragma once

#include "model_file.hpp"

namespace fastscnn::internal {

// What running a file once takes.
struct Work {
  double macs = 0;    // multiply-accumulates
  int64_t bytes = 0;  // of all tensors that are no constants
};

// Makes sure that every operation is one that Fast-SCNN is exported with, that it has what it reads,
// and that shapes, types, options and scales fit each other, so that no kernel is left to find out.
// Throws Damaged, Unsupported.
Work check_graph(const ModelFile& file);

}  // namespace fastscnn::internal
