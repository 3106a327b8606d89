#include "base/parallel.h"

#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace ropewalk {
namespace {

inline void CpuRelax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Workers spin for a short while between calls, because the calls of one
// forward pass follow each other within microseconds, and then sleep.
class ThreadPool : public ParallelFor {
 public:
  explicit ThreadPool(int64_t threads) : workers_(threads) {
    for (int64_t worker = 1; worker < threads; ++worker) {
      threads_.emplace_back([this, worker] { Work(worker); });
    }
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  ~ThreadPool() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  int64_t workers() const override { return workers_; }

  void Run(int64_t tasks, TaskRef body) override {
    if (tasks <= 0) return;
    if (workers_ == 1 || tasks == 1) {
      for (int64_t task = 0; task < tasks; ++task) body(task, 0);
      return;
    }
    body_ = &body;
    tasks_ = tasks;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(workers_ - 1, std::memory_order_relaxed);
    error_ = nullptr;
    {
      const std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    TakeTasks(0);
    while (busy_.load(std::memory_order_acquire) != 0) CpuRelax();
    body_ = nullptr;
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  static constexpr int kSpins = 2000;

  void TakeTasks(int64_t worker) {
    try {
      while (true) {
        const int64_t task = next_.fetch_add(1, std::memory_order_relaxed);
        if (task >= tasks_) return;
        (*body_)(task, worker);
      }
    } catch (...) {
      next_.store(tasks_, std::memory_order_relaxed);
      const std::lock_guard lock(mutex_);
      if (error_ == nullptr) error_ = std::current_exception();
    }
  }

  void Work(int64_t worker) {
    uint64_t seen = 0;
    while (true) {
      for (int spin = 0;
           spin < kSpins && generation_.load(std::memory_order_acquire) == seen;
           ++spin) {
        CpuRelax();
      }
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] {
          return generation_.load(std::memory_order_relaxed) != seen;
        });
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_) return;
      TakeTasks(worker);
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  const int64_t workers_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> next_{0};
  std::atomic<int64_t> busy_{0};
  const TaskRef* body_ = nullptr;
  int64_t tasks_ = 0;
  std::exception_ptr error_;
};

}  // namespace

int64_t AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return std::max<int64_t>(1, CPU_COUNT(&set));
  }
  return std::max<int64_t>(1, std::thread::hardware_concurrency());
}

std::unique_ptr<ParallelFor> MakeThreadPool(int64_t threads) {
  Require(threads >= 0 && threads <= 1024,
          "threads must be between 1 and 1024 (0: one a core), got " +
              std::to_string(threads));
  return std::make_unique<ThreadPool>(threads == 0 ? AvailableCores()
                                                   : threads);
}

}  // namespace ropewalk
