// A wish to stop (Ctrl-C, SIGTERM, a closed terminal or pipe), seen by long
// jobs at points where stopping loses nothing. Nothing here installs a handler
// of a signal: the program does that (program/ends.h) and passes on what comes.

#ifndef ROPEWALK_BASE_INTERRUPT_H_
#define ROPEWALK_BASE_INTERRUPT_H_

namespace ropewalk {

// A job says that from here on it looks for a wish to stop.
void CatchInterrupts();

// The job does not look any more: a signal ends the program at once.
void StopCatchingInterrupts();

// Forgets a pending Ctrl-C, for a program that goes on after it. Returns false
// if no Ctrl-C is pending, or another signal is.
bool ForgetInterrupt();

// For the handler of `signal`; async-signal-safe. Returns true if a job looks
// for it and it is the first: the job will see it. Returns false if the program
// has to end at once.
bool RequestInterrupt(int signal);

// The signal that RequestInterrupt was given first, or 0.
int PendingInterrupt();

// Throws Interrupted when a signal is pending.
void ThrowIfInterrupted();

// Removes the temporary files and ends the process by `signal`, so that a shell
// or a script sees what ended it (exit status 128 + signal). Async-signal-safe.
[[noreturn]] void DieOfSignal(int signal);

// The same by the pending signal.
[[noreturn]] void DieOfInterrupt();

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_INTERRUPT_H_
