#include "base/temporary_files.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <climits>
#include <cstring>
#include <utility>

namespace ropewalk {
namespace {

enum State { kFree, kBeingWritten, kListed };

struct Slot {
  std::atomic<int> state = kFree;
  std::array<char, PATH_MAX> path = {};
};

// A global without locks, because a signal handler reads it.
constexpr int kSlots = 64;
std::array<Slot, kSlots> g_slots;
static_assert(std::atomic<int>::is_always_lock_free);

}  // namespace

TemporaryFileEntry::TemporaryFileEntry(const std::string& path) {
  if (path.size() >= PATH_MAX) return;
  for (int i = 0; i < kSlots; ++i) {
    Slot& slot = g_slots[static_cast<size_t>(i)];
    int expected = kFree;
    if (!slot.state.compare_exchange_strong(expected, kBeingWritten)) continue;
    std::memcpy(slot.path.data(), path.c_str(), path.size() + 1);
    slot.state = kListed;
    slot_ = i;
    return;
  }
}

TemporaryFileEntry::TemporaryFileEntry(TemporaryFileEntry&& other) noexcept
    : slot_(std::exchange(other.slot_, -1)) {}

TemporaryFileEntry& TemporaryFileEntry::operator=(
    TemporaryFileEntry&& other) noexcept {
  std::swap(slot_, other.slot_);
  return *this;
}

TemporaryFileEntry::~TemporaryFileEntry() {
  if (slot_ >= 0) g_slots[static_cast<size_t>(slot_)].state = kFree;
}

void RemoveTemporaryFiles() {
  for (const Slot& slot : g_slots) {
    if (slot.state == kListed) unlink(slot.path.data());
  }
}

}  // namespace ropewalk
