#include "lab/train/launch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/parallel.h"

namespace ropewalk::lab::train {
namespace {

using Clock = std::chrono::steady_clock;
// Once a process has failed, for the others to notice it, and then for them to
// come to a point where they look for a signal.
constexpr std::chrono::seconds kToNotice{3};
constexpr std::chrono::seconds kToEnd{20};

// A port that was free a moment ago.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  const bool found =
      fd >= 0 && bind(fd, any, size) == 0 && getsockname(fd, any, &size) == 0;
  if (fd >= 0) close(fd);
  if (!found) throw IoErrorFromErrno("bind", "127.0.0.1");
  return ntohs(address.sin_port);
}

void Set(const char* name, int64_t value) {
  setenv(name, std::to_string(value).c_str(), 1);
}

// What a process ended with. One that was killed could not say why.
int CodeOf(int status, size_t rank, size_t processes) {
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const int signal = WTERMSIG(status);
  if (signal == SIGINT || signal == SIGTERM) return 128 + signal;
  std::fprintf(stderr,
               "ropewalk: process %zu of %zu was ended by signal %d%s\n", rank,
               processes, signal, signal == SIGKILL ? " (out of memory?)" : "");
  return 1;
}

// Of all processes: a failure before the ends that followed from it.
int CodeOf(const std::vector<int>& codes) {
  int first = 0;
  for (const int code : codes) {
    if (code > 0 && code < 128) return code;
    if (first == 0) first = code;
  }
  return first;
}

}  // namespace

bool IsLaunched() { return std::getenv("WORLD_SIZE") != nullptr; }

int Launch(int processes, char** argv) {
  const int port = FreePort();
  const int64_t threads = std::max<int64_t>(1, AvailableCores() / processes);
  // Ctrl-C reaches the whole foreground group; the children stop together and
  // write their checkpoint, and we wait for them.
  CatchInterrupts();
  std::vector<pid_t> children;
  const pid_t parent = getpid();
  for (int rank = 0; rank < processes; ++rank) {
    const pid_t child = fork();
    if (child < 0) throw IoErrorFromErrno("start", "/proc/self/exe");
    if (child == 0) {
      // No orphan trains on when the launcher is killed.
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (getppid() != parent) _exit(1);
      Set("RANK", rank);
      Set("LOCAL_RANK", rank);
      Set("WORLD_SIZE", processes);
      Set("MASTER_PORT", port);
      setenv("MASTER_ADDR", "127.0.0.1", 1);
      Set("OMP_NUM_THREADS", threads);
      execv("/proc/self/exe", argv);
      _exit(127);
    }
    children.push_back(child);
  }
  std::vector<int> codes(children.size(), 0);
  int told = 0;
  const auto tell = [&](int signal) {
    if (signal == told) return;
    told = signal;
    for (const pid_t child : children) {
      if (child > 0) kill(child, signal);
    }
  };
  std::optional<Clock::time_point> failed_at;
  for (int running = processes; running > 0;) {
    int status = 0;
    // Not by a wait that sleeps: a signal between looking for one and falling
    // asleep would be missed.
    const pid_t ended = waitpid(-1, &status, WNOHANG);
    if (ended < 0 && errno != EINTR) {
      throw IoErrorFromErrno("wait for", "a process");
    }
    if (const int signal = PendingInterrupt(); signal != 0) {
      // It may have been for us alone, from a script say. Where all have it,
      // the same one again would kill; the other one is seen and no more.
      tell(signal == SIGINT ? SIGTERM : SIGINT);
    } else if (failed_at) {
      const auto waited = Clock::now() - *failed_at;
      if (waited > kToNotice + kToEnd) {
        tell(SIGKILL);
      } else if (waited > kToNotice) {
        tell(SIGTERM);
      }
    }
    if (ended <= 0) {
      usleep(10'000);
      continue;
    }
    const auto rank = static_cast<size_t>(
        std::find(children.begin(), children.end(), ended) - children.begin());
    if (rank == children.size()) continue;  // no process of ours
    children[rank] = 0;
    --running;
    codes[rank] = CodeOf(status, rank, children.size());
    if (codes[rank] != 0 && !failed_at) failed_at = Clock::now();
  }
  // A shell sees an interrupted command then, and not a failed one.
  const int code = CodeOf(codes);
  if (code != 0 && PendingInterrupt() != 0) DieOfInterrupt();
  return code;
}

}  // namespace ropewalk::lab::train
