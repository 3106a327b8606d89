#include "base/error.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ropewalk {

FormatError::FormatError(const std::string& path, int64_t offset,
                         const std::string& what)
    : std::runtime_error(path + ": byte " + std::to_string(offset) + ": " +
                         what),
      offset_(offset) {}

IoError IoErrorFromErrno(const std::string& action, const std::string& path) {
  return IoError("cannot " + action + " '" + path +
                 "': " + std::strerror(errno));
}

void CheckFailed(const char* file, int line, const char* what) {
  std::fprintf(stderr,
               "ropewalk: internal error at %s:%d: %s does not hold. Please "
               "report this with the command that led here.\n",
               file, line, what);
  std::abort();
}

}  // namespace ropewalk
