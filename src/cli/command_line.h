// The command as it was typed, for reports that say how they were made.

#ifndef ROPEWALK_CLI_COMMAND_LINE_H_
#define ROPEWALK_CLI_COMMAND_LINE_H_

#include <string>

namespace ropewalk::cli {

// The arguments of this process, joined by spaces and quoted for a POSIX shell
// where they need it.
std::string CommandLine();

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_COMMAND_LINE_H_
