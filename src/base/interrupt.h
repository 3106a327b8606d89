// Ctrl-C, seen by long jobs at points where stopping loses nothing.

#ifndef ROPEWALK_BASE_INTERRUPT_H_
#define ROPEWALK_BASE_INTERRUPT_H_

namespace ropewalk {

// From here on SIGINT and SIGTERM only set a flag; a second one kills at once.
void CatchInterrupts();

// The signal received since CatchInterrupts, or 0.
int PendingInterrupt();

// Throws Interrupted when a signal is pending.
void ThrowIfInterrupted();

// Ends the process by the pending signal, so that a shell or a script sees an
// interrupted child (exit status 130 for Ctrl-C).
[[noreturn]] void DieOfInterrupt();

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_INTERRUPT_H_
