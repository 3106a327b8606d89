#include "program/ends.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/temporary_files.h"
#include "base/text.h"

namespace ropewalk::program {
namespace {

// Globals for the handlers of signals, which may use nothing else. Set once,
// before any handler is installed.
EndOptions g_options;
std::string g_stop_line;
std::string g_bad_map_line;
std::atomic<bool> g_said = false;  // that a signal ends this process

// Not where it would have to wait, for a reader that may never come: nothing
// could end a process that hangs in a handler.
void WriteToStderr(const std::string& line) {
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  if (poll(&ready, 1, 0) != 1) return;
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

extern "C" void OnStop(int signal) {
  const int error = errno;
  // Each write to a closed pipe brings a SIGPIPE; a job sees the first. A
  // launcher passes on what the terminal has sent to all processes already.
  const bool may_come_again = signal == SIGPIPE || g_options.quiet_stop;
  if (RequestInterrupt(signal) || (may_come_again && PendingInterrupt() != 0)) {
    errno = error;
    return;
  }
  RemoveTemporaryFiles();
  if (signal != SIGPIPE && !g_said.exchange(true)) WriteToStderr(g_stop_line);
  DieOfSignal(signal);
}

extern "C" void OnBadMap(int signal, siginfo_t* info, void*) {
  // Of a page behind the end of its file, or one that could not be read. Other
  // causes are no matter of files.
  if (info->si_code != BUS_ADRERR && info->si_code != BUS_OBJERR) {
    DieOfSignal(signal);
  }
  if (g_said.exchange(true)) {
    while (true) pause();  // another thread is about to end the process
  }
  RemoveTemporaryFiles();
  WriteToStderr(g_bad_map_line);
  _exit(1);
}

// abort() goes on to end the process when this returns.
extern "C" void OnAbort(int) { RemoveTemporaryFiles(); }

void Install(int signal, struct sigaction action) {
  // All others wait meanwhile.
  sigfillset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

bool IsIgnored(int signal) {
  struct sigaction now {};
  return sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

// A file opened while a standard stream is closed (`>&-`) would take its
// number, and results would end up in it. Opened the wrong way round, so that
// using such a stream still fails.
void OccupyStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) == -1) {
      (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
}

// Whoever read standard output has gone and wants no more, nor a complaint.
void DieIfNobodyReads() {
  if (PendingInterrupt() == SIGPIPE && std::ferror(stdout) != 0) {
    DieOfInterrupt();
  }
}

// Buffered results that cannot be written are a failure like any other.
int Flush() {
  errno = 0;  // a write that failed earlier has left no cause here
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  int error = errno;
  DieIfNobodyReads();
  // The write that failed may have been an earlier one, whose reason is lost.
  // The next one fails for the same; should it not, what is there is incomplete
  // anyway.
  if (error == 0 && write(STDOUT_FILENO, "\n", 1) < 0) error = errno;
  return Fail(std::string("cannot write to standard output") +
                  (error == 0 ? "" : std::string(": ") + std::strerror(error)),
              1);
}

// What was printed before the work failed comes before the line that says so.
int FailOf(const std::exception& error, int code) {
  DieIfNobodyReads();
  std::fflush(stdout);
  std::string what = error.what();
  if (g_options.first_line) what.resize(std::min(what.find('\n'), what.size()));
  return Fail(what, code);
}

}  // namespace

void PrepareEnds(const EndOptions& options) {
  OccupyStandardStreams();
  g_options = options;
  // On a terminal the line may stand behind a progress bar or a text.
  const std::string start = isatty(STDERR_FILENO) != 0 ? "\n" : "";
  g_stop_line = options.quiet_stop ? "" : start + "ropewalk: interrupted\n";
  g_bad_map_line = start + "ropewalk: " + options.mapped +
                   " changed or could not be read while it was in use\n";
  struct sigaction stop {};
  stop.sa_handler = OnStop;
  stop.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    const bool may_be_ignored = signal == SIGHUP || signal == SIGPIPE;
    if (!may_be_ignored || !IsIgnored(signal)) Install(signal, stop);
  }
  struct sigaction at_once {};
  at_once.sa_handler = [](int signal) {
    RemoveTemporaryFiles();
    if (!g_said.exchange(true)) WriteToStderr(g_stop_line);
    DieOfSignal(signal);
  };
  for (const int signal : {SIGQUIT, SIGXCPU}) Install(signal, at_once);
  struct sigaction map {};
  map.sa_sigaction = OnBadMap;
  map.sa_flags = SA_SIGINFO;
  Install(SIGBUS, map);
  struct sigaction abort {};
  abort.sa_handler = OnAbort;
  Install(SIGABRT, abort);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  Install(SIGXFSZ, ignore);
}

int RunToEnd(const std::function<int()>& work) {
  try {
    const int code = work();
    return code == 0 ? Flush() : code;
  } catch (const Interrupted&) {
    std::fflush(stdout);
    if (PendingInterrupt() != SIGPIPE && !g_said.exchange(true)) {
      std::fprintf(stderr, "%s\n", g_options.interrupted.c_str());
    }
    DieOfInterrupt();
  } catch (const std::invalid_argument& error) {
    return FailOf(error, 2);
  } catch (const std::bad_alloc&) {
    // Without an allocation, which could fail as well.
    std::fprintf(stderr, "ropewalk: out of memory%s\n",
                 g_options.out_of_memory.c_str());
    return 1;
  } catch (const std::exception& error) {
    return FailOf(error, 1);
  }
}

int Fail(const std::string& message, int code) {
  // Names out of a hostile file must not steer the terminal.
  std::fprintf(stderr, "ropewalk: %s\n",
               Printable(message, message.size() * 4).c_str());
  return code;
}

}  // namespace ropewalk::program
