// How a run of a program ends: one line on stderr, an exit code, no temporary
// file. What is process-wide is here, and only main() calls it: libraries
// install no handlers.
//
//   0        done
//   1        the work failed: a file or a disk is not what it should be
//   2        the call was wrong
//   128 + n  (death by signal n) stopped; 130 is Ctrl-C, 141 a closed pipe

#ifndef ROPEWALK_PROGRAM_ENDS_H_
#define ROPEWALK_PROGRAM_ENDS_H_

#include <functional>
#include <string>

namespace ropewalk::program {

struct EndOptions {
  // The line for work that was stopped and has kept what it had.
  std::string interrupted = "ropewalk: interrupted";
  // The file that is read through a map, for the line when it shrinks or its
  // disk fails.
  std::string mapped = "the model file";
  std::string out_of_memory;  // advice behind "out of memory"
  bool first_line = false;    // messages go on with a stack trace: cut it off
  bool quiet_stop = false;    // another process says that a signal ended this
};

// Prepares the process; main() calls it first and once.
//
// SIGINT, SIGTERM, SIGHUP: the first is a wish to stop (base/interrupt.h) where
//   a job looks for one; else, and the second time, the process dies of it at
//   once. SIGQUIT and SIGXCPU always do that. Temporary files are removed, and
//   one line says so.
// SIGPIPE: the same, but quietly, as of any program that writes to `head`, and
//   without the second time, since every write brings another.
// SIGXFSZ: ignored, so that a file size limit is a failed write like a full
//   disk.
// SIGBUS from a map: one line, exit code 1.
// SIGABRT: temporary files are removed.
//
// SIGHUP and SIGPIPE stay ignored where they were (nohup). Standard streams
// that are closed are opened on /dev/null, so that no file gets their number.
void PrepareEnds(const EndOptions& options);

// Runs `work` and gives the exit code. What it throws is told in one line, and
// standard output is flushed, whose failure is one like any other. Does not
// return where a signal or a closed pipe has stopped the work.
int RunToEnd(const std::function<int()>& work);

// Prints "ropewalk: MESSAGE" to stderr as one line, whatever the message holds,
// and returns `code`.
int Fail(const std::string& message, int code);

}  // namespace ropewalk::program

#endif  // ROPEWALK_PROGRAM_ENDS_H_
