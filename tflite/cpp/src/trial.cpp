#include "trial.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "fastscnn/failure.hpp"

namespace fastscnn::internal {
namespace {

constexpr int64_t kSpareMemory = int64_t{3} << 30;  // copies of weights, scratch memory of kernels
constexpr double kSpeed = 200e6;  // multiply-accumulates a second: a fifth of reference kernels'
constexpr double kBaseSeconds = 15, kMostSeconds = 300;
constexpr double kPatience = 60;  // seconds more, for what neither ends nor computes

void limit(decltype(RLIMIT_AS) which, rlim_t value) {
  rlimit now{};
  if (getrlimit(which, &now) != 0) return;
  now.rlim_cur = std::min(value, now.rlim_max);
  setrlimit(which, &now);
}

[[noreturn]] void try_out(int pipe, const std::string& path, const Work& work, double seconds,
                          const std::function<void()>& once) {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const int64_t memory = pages * sysconf(_SC_PAGESIZE) + kSpareMemory + 4 * work.bytes;
  limit(RLIMIT_AS, static_cast<rlim_t>(memory));
  limit(RLIMIT_CPU, static_cast<rlim_t>(seconds));
  limit(RLIMIT_CORE, 0);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    std::signal(signal, SIG_DFL);
  }
  const int nowhere = open("/dev/null", O_WRONLY);  // LiteRT says there what it says again later
  if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
  std::string reason = "ran";
  try {
    once();
  } catch (const Failure& error) {
    reason = error.what();
  } catch (const std::exception& error) {
    reason = path + ": it fails (" + error.what() + ")";
  }
  const ssize_t written = write(pipe, reason.data(), std::min<size_t>(reason.size(), 1000));
  _exit(written > 0 ? 0 : 1);
}

// What the child says, until it has said it, has ended, or `seconds` are over.
std::string heard(int pipe, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds));
  std::string text;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd waiting{pipe, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    char part[1024];
    const ssize_t count = ready > 0 ? read(pipe, part, sizeof part) : 0;
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(part, static_cast<size_t>(count));
  }
}

}  // namespace

bool trusted_here() {
  const char* said = std::getenv("FASTSCNN_TRUSTED");
  return said && std::strcmp(said, "1") == 0;
}

void ensure_tried(const std::string& path, const Work& work, const std::function<void()>& once) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Failure(path + ": it cannot be tried out (no pipe)");
  const double seconds = std::min(kBaseSeconds + work.macs / kSpeed, kMostSeconds);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    try_out(ends[1], path, work, seconds, once);
  }
  close(ends[1]);
  const std::string said = child > 0 ? heard(ends[0], kPatience + 4 * seconds) : "";
  close(ends[0]);
  if (child < 0) throw Failure(path + ": it cannot be tried out (no process)");
  if (said.empty()) kill(child, SIGKILL);  // which changes nothing for one that has crashed
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (said == "ran") return;
  if (!said.empty()) throw Failure(said);
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (signal == SIGXCPU || signal == SIGKILL) {
    throw Failure(path + ": too slow, damaged or hostile: no end within its time or memory");
  }
  throw Failure(path + ": damaged or hostile: LiteRT crashes (signal " + std::to_string(signal) +
                "); it was not run here");
}

}  // namespace fastscnn::internal
