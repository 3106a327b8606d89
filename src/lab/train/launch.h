// Several processes of one run on this machine.

#ifndef ROPEWALK_LAB_TRAIN_LAUNCH_H_
#define ROPEWALK_LAB_TRAIN_LAUNCH_H_

namespace ropewalk::lab::train {

// Starts this program `processes` times with the same arguments and torchrun's
// variables, and waits. One that fails ends the others. Returns the exit code
// of the least rank that failed, 1 where it was killed, or 0; dies of a Ctrl-C
// as its processes did. Throws IoError.
int Launch(int processes, char** argv);

// Whether this process was started by Launch or by torchrun.
bool IsLaunched();

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_LAUNCH_H_
