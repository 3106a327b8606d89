// Errors, told apart by whose mistake they are.
//
// The caller's: std::invalid_argument, through Require. The world's (files,
// disks, networks): FormatError and IoError. Ours: ROPEWALK_CHECK, which calls
// the embedder's handler or prints and aborts. What an embedder sees of this
// stands in <ropewalk/error.h>. cli/ turns the first kind into exit code 2 and
// the second into exit code 1.

#ifndef ROPEWALK_BASE_ERROR_H_
#define ROPEWALK_BASE_ERROR_H_

#include <ropewalk/error.h>

#include <stdexcept>
#include <string>

namespace ropewalk {

// IoError for `path` from errno: "cannot ACTION 'path': No such file ...".
IoError IoErrorFromErrno(const std::string& action, const std::string& path);

// The work was stopped by Ctrl-C or SIGTERM.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

// Throws std::invalid_argument(message) unless `holds`.
inline void Require(bool holds, const std::string& message) {
  if (!holds) throw std::invalid_argument(message);
}

// Calls the CheckFailureHandler; aborts if that returns.
[[noreturn]] void CheckFailed(const char* file, int line, const char* what);

}  // namespace ropewalk

// An invariant of ours. Always on: a broken one would give silent nonsense.
#define ROPEWALK_CHECK(condition)                              \
  do {                                                         \
    if (!(condition)) {                                        \
      ::ropewalk::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                          \
  } while (false)

#endif  // ROPEWALK_BASE_ERROR_H_
