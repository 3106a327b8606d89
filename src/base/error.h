// Errors, told apart by whose mistake they are.
//
// The caller's: std::invalid_argument, through Require. The world's (files,
// disks, networks): FormatError and IoError. Ours: ROPEWALK_CHECK, which
// prints and aborts. cli/ turns the first kind into exit code 2 and the second
// into exit code 1.

#ifndef ROPEWALK_BASE_ERROR_H_
#define ROPEWALK_BASE_ERROR_H_

#include <cstdint>
#include <stdexcept>
#include <string>

namespace ropewalk {

// A file whose bytes are not what its format allows.
class FormatError : public std::runtime_error {
 public:
  FormatError(const std::string& path, int64_t offset, const std::string& what);

  // Byte in the file at which the problem was seen.
  int64_t offset() const { return offset_; }

 private:
  int64_t offset_;
};

// The operating system refused: a missing file, a full disk, no permission.
class IoError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller's limit of memory would be passed, and nothing was done.
class MemoryLimitError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

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
