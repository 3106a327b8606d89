#include "base/interrupt.h"

#include <csignal>
#include <cstdlib>

#include "base/error.h"

namespace ropewalk {
namespace {

// A global, because a signal has nowhere else to leave its mark.
volatile std::sig_atomic_t g_signal = 0;

extern "C" void RememberSignal(int signal) {
  g_signal = signal;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void CatchInterrupts() {
  std::signal(SIGINT, RememberSignal);
  std::signal(SIGTERM, RememberSignal);
}

int PendingInterrupt() { return g_signal; }

void ThrowIfInterrupted() {
  if (g_signal != 0) throw Interrupted();
}

void DieOfInterrupt() {
  const int signal = g_signal;
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  std::_Exit(128 + signal);
}

}  // namespace ropewalk
