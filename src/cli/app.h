// The command line: parses it, runs a command, and turns errors into one line
// on stderr and an exit code.
//
//   0  done
//   1  the work failed: a file or a disk is not what it should be
//   2  the call was wrong
//   130 (death by SIGINT)  stopped by Ctrl-C; finished rows have been written

#ifndef ROPEWALK_CLI_APP_H_
#define ROPEWALK_CLI_APP_H_

namespace ropewalk::cli {

int Run(int argc, const char* const* argv);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_APP_H_
