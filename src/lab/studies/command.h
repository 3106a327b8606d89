// ropewalk reproduce.

#ifndef ROPEWALK_LAB_STUDIES_COMMAND_H_
#define ROPEWALK_LAB_STUDIES_COMMAND_H_

#include <CLI/CLI.hpp>

namespace ropewalk::lab::studies {

void AddReproduce(CLI::App& app);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_COMMAND_H_
