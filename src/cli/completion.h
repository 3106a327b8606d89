// What shells and man(1) know of the commands, made from the commands
// themselves, so that it cannot fall behind.

#ifndef ROPEWALK_CLI_COMPLETION_H_
#define ROPEWALK_CLI_COMPLETION_H_

#include <CLI/CLI.hpp>
#include <string>

namespace ropewalk::cli {

// A script that bash reads: commands, their options and files.
std::string BashCompletion(const CLI::App& app);

// A file _ropewalk for zsh's fpath, with what each option does.
std::string ZshCompletion(const CLI::App& app);

// The page ropewalk(1) in roff.
std::string ManPage(const CLI::App& app);

// Adds `ropewalk completion bash|zsh|man`.
void AddCompletion(CLI::App& app);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_COMPLETION_H_
