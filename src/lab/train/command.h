// ropewalk train, as ropewalk-lab runs it.

#ifndef ROPEWALK_LAB_TRAIN_COMMAND_H_
#define ROPEWALK_LAB_TRAIN_COMMAND_H_

#include <CLI/CLI.hpp>

namespace ropewalk::lab::train {

// Adds the command to `app`; it runs when the command line is parsed.
void AddTrain(CLI::App& app);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_COMMAND_H_
