#include "base/memory.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

namespace ropewalk {
namespace {

// The number that a file holds; "max" and what cannot be read are nothing.
std::optional<int64_t> NumberIn(const char* path) {
  std::ifstream file(path);
  int64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

}  // namespace

int64_t AvailableMemory() {
  int64_t available = 0;
  std::ifstream info("/proc/meminfo");
  std::string name;
  for (int64_t kib = 0; info >> name >> kib; info.ignore(256, '\n')) {
    if (name == "MemAvailable:") available = kib * 1024;
  }
  const auto most = NumberIn("/sys/fs/cgroup/memory.max");
  const auto used = NumberIn("/sys/fs/cgroup/memory.current");
  if (most && used) {
    // The kernel takes pages of files back before it runs out.
    int64_t left = *most - *used;
    std::ifstream stat("/sys/fs/cgroup/memory.stat");
    for (int64_t bytes = 0; stat >> name >> bytes;) {
      if (name == "inactive_file" || name == "active_file") left += bytes;
    }
    // 0 would say that nothing is known.
    left = std::max<int64_t>(1, left);
    available = available == 0 ? left : std::min(available, left);
  }
  return available;
}

}  // namespace ropewalk
