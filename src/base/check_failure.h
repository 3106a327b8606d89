// What happens when an invariant of ours does not hold. The macro that checks
// one is in base/error.h.

#ifndef ROPEWALK_BASE_CHECK_FAILURE_H_
#define ROPEWALK_BASE_CHECK_FAILURE_H_

namespace ropewalk {

// Called with the place and the text of a ROPEWALK_CHECK that failed. It may
// throw, which leaves the checking function. If it returns, the process aborts.
using CheckFailureHandler = void (*)(const char* file, int line,
                                     const char* condition);

// Sets the handler of the whole process and returns the one before. The
// default, which nullptr stands for, prints one line and aborts. Thread-safe.
CheckFailureHandler SetCheckFailureHandler(CheckFailureHandler handler);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_CHECK_FAILURE_H_
