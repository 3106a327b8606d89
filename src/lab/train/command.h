// ropewalk train, as ropewalk-lab runs it.

#ifndef ROPEWALK_LAB_TRAIN_COMMAND_H_
#define ROPEWALK_LAB_TRAIN_COMMAND_H_

#include <CLI/CLI.hpp>

namespace ropewalk::lab::train {

// Adds the command to `app`; it runs when the command line is parsed. `argv`
// is the program's own, for the processes of --nproc.
void AddTrain(CLI::App& app, char** argv);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_COMMAND_H_
