#include "base/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "base/error.h"
#include "base/temporary_files.h"

namespace ropewalk {
namespace {

// Globals, because a signal has nowhere else to leave its mark.
std::atomic<int> g_signal = 0;
std::atomic<bool> g_awaited = false;
static_assert(std::atomic<int>::is_always_lock_free);

}  // namespace

void CatchInterrupts() { g_awaited = true; }

void StopCatchingInterrupts() { g_awaited = false; }

bool ForgetInterrupt() {
  int pending = SIGINT;
  return g_signal.compare_exchange_strong(pending, 0);
}

bool RequestInterrupt(int signal) {
  int none = 0;
  return g_awaited && g_signal.compare_exchange_strong(none, signal);
}

int PendingInterrupt() { return g_signal; }

void ThrowIfInterrupted() {
  if (g_signal != 0) throw Interrupted();
}

void DieOfSignal(int signal) {
  RemoveTemporaryFiles();
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
  // A handler runs with its own signal blocked.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  raise(signal);
  _exit(128 + signal);
}

void DieOfInterrupt() { DieOfSignal(g_signal); }

}  // namespace ropewalk
