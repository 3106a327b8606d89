// The shared kernels on LibTorch's threads.

#ifndef ROPEWALK_LAB_OPS_THREADS_H_
#define ROPEWALK_LAB_OPS_THREADS_H_

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/parallel.h"

namespace ropewalk::lab::ops {

// Tasks are handed out one by one, so uneven ones balance themselves.
class AtParallelFor : public ParallelFor {
 public:
  int64_t workers() const override { return at::get_num_threads(); }

  void Run(int64_t tasks, TaskRef body) override {
    std::atomic<int64_t> next{0};
    const int64_t threads = std::min(workers(), tasks);
    at::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
      for (int64_t worker = first; worker < last; ++worker) {
        for (int64_t task = next++; task < tasks; task = next++) {
          body(task, worker);
        }
      }
    });
  }
};

// body(first, last) over [0, rows) in runs of about `floats` numbers, where a
// row has `width`: fewer are not worth a thread.
template <typename Body>
void ForRows(int64_t rows, int64_t width, const Body& body) {
  const int64_t grain =
      std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width));
  at::parallel_for(0, rows, grain, body);
}

}  // namespace ropewalk::lab::ops

#endif  // ROPEWALK_LAB_OPS_THREADS_H_
