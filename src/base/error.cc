#include "base/error.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/check_failure.h"

namespace ropewalk {
namespace {

void PrintAndAbort(const char* file, int line, const char* condition) {
  std::fprintf(stderr,
               "ropewalk: internal error at %s:%d: %s does not hold. Please "
               "report this with the command that led here.\n",
               file, line, condition);
  std::abort();
}

std::atomic<CheckFailureHandler> g_check_failure_handler = PrintAndAbort;

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
  return g_check_failure_handler.exchange(handler == nullptr ? PrintAndAbort
                                                             : handler);
}

void CheckFailed(const char* file, int line, const char* what) {
  g_check_failure_handler.load()(file, line, what);
  std::abort();
}

}  // namespace ropewalk
