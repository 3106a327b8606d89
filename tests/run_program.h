// Runs the program as a user's shell would: arguments, environment, limits,
// signals; gives back what it printed and how it ended.

#ifndef TESTS_RUN_PROGRAM_H_
#define TESTS_RUN_PROGRAM_H_

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ropewalk {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// What the program has printed so far.
struct ProgramOutput {
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::map<std::string, std::string> environment;  // over this process's
  std::string program = ROPEWALK_BINARY;
  std::string stdout_path;    // written there instead of being captured
  bool close_stdout = false;  // as `>&-` does
  int stdin_fd = -1;          // given as standard input; -1: /dev/null
  double timeout_seconds = kSanitized ? 300 : 60;  // some run 10 times slower
  int64_t memory_bytes = 0;  // of address space; 0: unlimited. Left out
                             // under a sanitizer, whose shadow is huge
  int64_t file_bytes = 0;    // largest file it may write; 0: unlimited
  // Asked again and again while the program runs; `signal` is sent once, when
  // it first says yes.
  std::function<bool(const ProgramOutput&)> signal_when;
  int signal = SIGINT;
};

struct ProgramResult : ProgramOutput {
  int exit_code = -1;  // -1: it did not exit by itself
  int signal = 0;      // that ended it
  bool timed_out = false;
  bool signalled = false;  // signal_when said yes
};

namespace run_program_internal {

// Between fork and exec: only calls that are safe there.
[[noreturn]] inline void BecomeProgram(char* const* argv, char* const* envp,
                                       const ProgramOptions& options, int out,
                                       int err) {
  const auto limit = [](auto resource, int64_t bytes) {
    const rlimit value{static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)};
    setrlimit(resource, &value);
  };
  dup2(options.stdin_fd >= 0 ? options.stdin_fd : open("/dev/null", O_RDONLY),
       0);
  dup2(err, 2);
  if (options.close_stdout) {
    close(1);
  } else if (!options.stdout_path.empty()) {
    dup2(open(options.stdout_path.c_str(), O_WRONLY | O_CREAT, 0644), 1);
  } else {
    dup2(out, 1);
  }
  for (int fd = 3; fd < 64; ++fd) close(fd);
  if (options.memory_bytes > 0 && !kSanitized) {
    limit(RLIMIT_AS, options.memory_bytes);
  }
  if (options.file_bytes > 0) {
    limit(RLIMIT_FSIZE, options.file_bytes);
    signal(SIGXFSZ, SIG_IGN);  // so that write fails, as on a full disk
  }
  limit(RLIMIT_CORE, 0);
  execve(argv[0], argv, envp);
  _exit(127);
}

inline std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) {
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

inline std::vector<std::string> Environment(
    const std::map<std::string, std::string>& changes) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (changes.count(text.substr(0, text.find('='))) == 0) {
      all.push_back(text);
    }
  }
  for (const auto& [name, value] : changes) all.push_back(name + "=" + value);
  return all;
}

// Appends what is there; false at the end.
inline bool ReadSome(int fd, std::string& text) {
  char buffer[65536];
  const ssize_t count = read(fd, buffer, sizeof(buffer));
  if (count > 0) text.append(buffer, static_cast<size_t>(count));
  return count > 0 || (count < 0 && errno == EINTR);
}

}  // namespace run_program_internal

// Runs the program with `arguments` to its end, or kills it at the time limit.
inline ProgramResult RunProgram(const std::vector<std::string>& arguments,
                                const ProgramOptions& options = {}) {
  namespace internal = run_program_internal;
  using Clock = std::chrono::steady_clock;
  std::vector<std::string> words = {options.program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const std::vector<std::string> environment =
      internal::Environment(options.environment);
  const std::vector<char*> argv = internal::Pointers(words);
  const std::vector<char*> envp = internal::Pointers(environment);
  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) std::abort();
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    internal::BecomeProgram(argv.data(), envp.data(), options, out[1], err[1]);
  }
  close(out[1]);
  close(err[1]);

  ProgramResult result;
  const Clock::time_point end =
      Clock::now() + std::chrono::milliseconds(
                         static_cast<int64_t>(1000 * options.timeout_seconds));
  pollfd ends[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  // A closed end is given to poll as -1, which it passes over.
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    poll(ends, 2, options.signal_when ? 1 : 50);
    if (ends[0].revents != 0 && !internal::ReadSome(out[0], result.out)) {
      ends[0].fd = -1;
    }
    if (ends[1].revents != 0 && !internal::ReadSome(err[0], result.err)) {
      ends[1].fd = -1;
    }
    if (options.signal_when && !result.signalled &&
        options.signal_when(result)) {
      kill(child, options.signal);
      result.signalled = true;
    }
    if (!result.timed_out && Clock::now() > end) {
      result.timed_out = true;
      kill(child, SIGKILL);
    }
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  close(out[0]);
  close(err[0]);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

}  // namespace ropewalk

#endif  // TESTS_RUN_PROGRAM_H_
