// A hash of large contents: to tell files apart at the speed of memory, not to
// resist anybody who wants two that are equal (base/sha256.h does).

#ifndef ROPEWALK_BASE_CONTENT_HASH_H_
#define ROPEWALK_BASE_CONTENT_HASH_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/parallel.h"

namespace ropewalk {

// Depends on every byte, on their order, and on where one part ends and the
// next begins.
class ContentHash {
 public:
  void Add(std::string_view bytes);
  // The same result with any number of threads.
  void Add(std::span<const std::byte> bytes, ParallelFor& threads);
  // 16 hexadecimal digits.
  std::string Hex() const;

 private:
  void Mix(uint64_t word);

  uint64_t state_ = 0x9e3779b97f4a7c15u;
};

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_CONTENT_HASH_H_
