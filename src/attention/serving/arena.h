// Divides the scratch memory of a worker into arrays.

#ifndef ROPEWALK_ATTENTION_SERVING_ARENA_H_
#define ROPEWALK_ATTENTION_SERVING_ARENA_H_

#include <cstdint>

#include "base/aligned.h"

namespace ropewalk::attention {

// Hands out pieces of `memory`; if that is null, it only counts their floats.
class Arena {
 public:
  explicit Arena(float* memory) : memory_(memory) {}

  template <typename T = float>
  T* Take(int64_t count) {
    static_assert(sizeof(T) % sizeof(float) == 0 || sizeof(T) == 2);
    auto* part =
        memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment /
             static_cast<int64_t>(sizeof(float));
    return part;
  }
  int64_t used() const { return used_; }  // floats

 private:
  float* memory_;
  int64_t used_ = 0;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_ARENA_H_
