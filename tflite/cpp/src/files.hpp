// Files of strangers, read whole and within bounds.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "fastscnn/failure.hpp"

namespace fastscnn::internal {

// The content of a regular file of at most `largest` bytes. Throws Failure; messages say `what` is
// missing.
inline std::vector<uint8_t> read_file(const std::string& path, const std::string& what,
                                      size_t largest) {
  const int file = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // a pipe must not block
  if (file < 0) throw Failure(path + ": no such " + what);
  struct stat status {};
  std::string reason;
  std::vector<uint8_t> content;
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    reason = "not a regular file, expected a " + what;
  } else if (static_cast<uint64_t>(status.st_size) > largest) {
    reason = "a " + what + " of more than " + std::to_string(largest >> 10) + " KB";
  } else {
    content.resize(static_cast<size_t>(status.st_size));
    size_t done = 0;
    while (done < content.size()) {
      const ssize_t count = read(file, content.data() + done, content.size() - done);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    if (done < content.size()) reason = "cannot be read";
  }
  close(file);
  if (!reason.empty()) throw Failure(path + ": " + reason);
  return content;
}

}  // namespace fastscnn::internal
