#include "lab/train/launch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/parallel.h"

namespace ropewalk::lab::train {
namespace {

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
  int failure = 0;
  bool told = false;
  while (!children.empty()) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0) {
      if (errno != EINTR) throw IoErrorFromErrno("wait for", "a process");
      // A signal for us alone, from a script say, is passed on once.
      if (const int signal = PendingInterrupt(); signal != 0 && !told) {
        told = true;
        for (const pid_t child : children) kill(child, signal);
      }
      continue;
    }
    std::erase(children, ended);
    const int code =
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code != 0 && failure == 0) {
      failure = code;
      // The others notice by their connections; this is for those that wait
      // elsewhere.
      if (PendingInterrupt() == 0) {
        for (const pid_t child : children) kill(child, SIGTERM);
      }
    }
  }
  return failure;
}

}  // namespace ropewalk::lab::train
