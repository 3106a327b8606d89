// The command line: parses it, runs a command, and turns errors into one line
// on stderr and an exit code (program/ends.h has them).

#ifndef ROPEWALK_CLI_APP_H_
#define ROPEWALK_CLI_APP_H_

namespace ropewalk::cli {

// main() has called program::PrepareEnds before.
int Run(int argc, const char* const* argv);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_APP_H_
