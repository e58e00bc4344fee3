// A file is run once in a process of its own first, which may crash or not end, since no list of
// checks is ever whole. It is a net, no prison: the process runs as the same user.
#pragma once

#include <functional>
#include <string>

#include "checks.hpp"

namespace fastscnn::internal {

// Whether the person at this machine trusts all files: FASTSCNN_TRUSTED=1.
bool trusted_here();

// Runs `once`, which opens and runs the file at `path`, in a fork of this process, with limits of
// memory and time that follow from the work. Throws Failure where it fails there in whatever way.
void ensure_tried(const std::string& path, const Work& work, const std::function<void()>& once);

}  // namespace fastscnn::internal
