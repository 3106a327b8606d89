#include "base/large_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/error.h"

namespace ropewalk {

LargeMemory::LargeMemory(int64_t size) {
  if (size <= 0) return;
  void* memory =
      mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<uint8_t*>(memory);
  size_ = size;
#ifdef MADV_HUGEPAGE
  // The result is ignored: without huge pages only the time differs.
  madvise(memory, static_cast<size_t>(size), MADV_HUGEPAGE);
#endif
}

LargeMemory::LargeMemory(LargeMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

LargeMemory& LargeMemory::operator=(LargeMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

LargeMemory::~LargeMemory() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(size_));
}

void DropPages(std::span<const std::byte> bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + bytes.size()) / page * page;
  if (first >= last) return;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

void LockMemory(Untouched untouched) {
  int flags = MCL_CURRENT | MCL_FUTURE;
#ifdef MCL_ONFAULT
  if (untouched == Untouched::kLater) flags |= MCL_ONFAULT;
#else
  (void)untouched;
#endif
  if (mlockall(flags) == 0) return;
  throw IoError(std::string("the system does not allow to lock memory (") +
                std::strerror(errno) +
                "); `ulimit -l` says how much it allows");
}

}  // namespace ropewalk
