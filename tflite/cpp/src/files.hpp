// Files of strangers, read whole and within bounds, and files that are written whole.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

// Writes a file whole or not at all: until then, what was there stays. A device is written into.
// Throws Failure.
inline void write_file(const std::string& path, const std::string& content) {
  char* real = realpath(path.c_str(), nullptr);  // behind links, such as /dev/stdout
  const std::string target = real ? real : path;
  std::free(real);
  struct stat status {};
  const bool replaced = stat(target.c_str(), &status) != 0 || S_ISREG(status.st_mode);
  const std::string temporary = target.substr(0, target.rfind('/') + 1) + ".segment." +
                                std::to_string(getpid()) + ".part";
  const std::string& written = replaced ? temporary : target;
  const int flags = replaced ? O_CREAT | O_EXCL : 0;
  if (replaced) unlink(written.c_str());  // what a killed process left
  const int file = open(written.c_str(), O_WRONLY | O_CLOEXEC | flags, 0666);
  bool whole = file >= 0;
  for (size_t done = 0; whole && done < content.size();) {
    const ssize_t count = write(file, content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    whole = count > 0;
    done += whole ? static_cast<size_t>(count) : 0;
  }
  int error = whole ? 0 : errno;
  if (file >= 0 && close(file) != 0 && !error) error = errno;  // a full disk may be noticed late
  if (replaced && !error && std::rename(written.c_str(), target.c_str()) != 0) error = errno;
  if (!error) return;
  if (replaced && file >= 0) unlink(written.c_str());
  throw Failure(path + ": cannot be written (" + std::strerror(error) + ")");
}

}  // namespace fastscnn::internal
