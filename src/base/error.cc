#include "base/error.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ropewalk {
namespace {

// Null: print.
std::atomic<CheckFailureHandler> check_failure_handler = nullptr;

}  // namespace

FormatError::FormatError(const std::string& path, int64_t offset,
                         const std::string& what)
    : std::runtime_error(path + ": byte " + std::to_string(offset) + ": " +
                         what),
      offset_(offset) {}

IoError IoErrorFromErrno(const std::string& action, const std::string& path) {
  return IoError("cannot " + action + " '" + path +
                 "': " + std::strerror(errno));
}

CheckFailureHandler SetCheckFailureHandler(CheckFailureHandler handler) {
  return check_failure_handler.exchange(handler);
}

void CheckFailed(const char* file, int line, const char* what) {
  if (const CheckFailureHandler handler = check_failure_handler.load()) {
    handler(file, line, what);
  } else {
    std::fprintf(stderr,
                 "ropewalk: internal error at %s:%d: %s does not hold. Please "
                 "report this with the command that led here.\n",
                 file, line, what);
  }
  std::abort();
}

}  // namespace ropewalk
