// Memory for gigabytes of weights, and what to do with a file's pages once
// their contents are there.

#ifndef ROPEWALK_BASE_LARGE_MEMORY_H_
#define ROPEWALK_BASE_LARGE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace ropewalk {

// `size` bytes of zeros, in huge pages where the system has them. Pages take
// memory when they are first written. Movable.
class LargeMemory {
 public:
  LargeMemory() = default;
  // Throws std::bad_alloc.
  explicit LargeMemory(int64_t size);
  LargeMemory(LargeMemory&& other) noexcept;
  LargeMemory& operator=(LargeMemory&& other) noexcept;
  ~LargeMemory();

  uint8_t* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  int64_t size_ = 0;
};

// Gives back the memory of the whole pages of a mapped file within `bytes`.
// They are read again when they are next used.
void DropPages(std::span<const std::byte> bytes);

// What LockMemory does with pages that were not read or written yet.
enum class Untouched {
  kRead,   // they are read now, so that all of a mapped file is in memory
  kLater,  // they are locked when they are first read or written
};

// Keeps all memory of the process, now and later, from being swapped out.
// Throws IoError if the system does not allow it.
void LockMemory(Untouched untouched);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_LARGE_MEMORY_H_
