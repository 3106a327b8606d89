// Errors, told apart by whose mistake they are.
//
//   std::invalid_argument  the caller's: an option out of range, an id outside
//                          the vocabulary, a text longer than the context. The
//                          message names the thing, the rule and the value.
//   FormatError            a file whose bytes are not what its format allows.
//   IoError                the operating system refused.
//   MemoryLimitError       the caller's own limit of memory would be passed.
//   std::runtime_error     the three above derive from it; alone it says that
//                          the model's numbers are broken (no finite logit).
//   std::bad_alloc         no memory.
//
// A function that throws has changed nothing, unless its comment says
// otherwise. Nothing here prints, exits or touches signals, but for a failed
// internal check, which is a fault of this library: see CheckFailureHandler.
//
// Stable: the classes and what they derive from. Not stable: the wording of
// messages.

#ifndef ROPEWALK_ERROR_H_
#define ROPEWALK_ERROR_H_

#include <ropewalk/export.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace ropewalk {

// A file whose bytes are not what its format allows.
class ROPEWALK_EXPORT FormatError : public std::runtime_error {
 public:
  FormatError(const std::string& path, int64_t offset, const std::string& what);

  // Byte in the file at which the problem was seen.
  int64_t offset() const { return offset_; }

 private:
  int64_t offset_;
};

// The operating system refused: a missing file, a full disk, no permission.
class ROPEWALK_EXPORT IoError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller's limit of memory would be passed, and nothing was done.
class ROPEWALK_EXPORT MemoryLimitError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What to do when a check of the library's own invariants fails. `condition`
// did not hold at `line` of the source file `file`; the strings are literals.
//
// The default prints one line to standard error and aborts. A handler may log,
// save what it can, throw, or end the process in its own way. One that throws
// leaves the objects that were in use in an unknown state: destroy them and
// nothing more. If a handler returns, the process is aborted, since to go on
// would give wrong results. It may be called from any thread.
using CheckFailureHandler = void (*)(const char* file, int line,
                                     const char* condition);

// Routes failed checks of the whole process to `handler`; null restores the
// default. Returns the handler before (null: the default). Any thread.
ROPEWALK_EXPORT CheckFailureHandler
SetCheckFailureHandler(CheckFailureHandler handler);

}  // namespace ropewalk

#endif  // ROPEWALK_ERROR_H_
