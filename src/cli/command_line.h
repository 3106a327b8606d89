// The command as it was typed, for reports that say how they were made.

#ifndef ROPEWALK_CLI_COMMAND_LINE_H_
#define ROPEWALK_CLI_COMMAND_LINE_H_

#include <string>
#include <vector>

namespace ropewalk::cli {

// Joined by spaces and quoted for a POSIX shell where they need it.
std::string QuoteCommand(const std::vector<std::string>& arguments);

// The arguments of this process, so joined.
std::string CommandLine();

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_COMMAND_LINE_H_
