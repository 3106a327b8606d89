#include "base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
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
//
// `tickets_` counts the tasks not yet taken. A worker that wins a ticket pins
// the call it belongs to, because Run returns only when every task is done; so
// a worker that wakes late finds no ticket and touches nothing, and nobody
// ever waits for a sleeping thread.
class ThreadPool : public ParallelFor {
 public:
  explicit ThreadPool(int64_t threads) : workers_(threads) {
    try {
      for (int64_t worker = 1; worker < threads; ++worker) {
        threads_.emplace_back([this, worker] { Work(worker); });
      }
    } catch (const std::system_error& error) {
      Stop();
      throw IoError("cannot start " + std::to_string(threads) +
                    " threads: " + error.what());
    }
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  ~ThreadPool() override { Stop(); }

  int64_t workers() const override { return workers_; }

  void Run(int64_t tasks, TaskRef body) override {
    if (tasks <= 0) return;
    if (workers_ == 1 || tasks == 1) {
      for (int64_t task = 0; task < tasks; ++task) body(task, 0);
      return;
    }
    body_ = &body;
    tasks_ = tasks;
    error_ = nullptr;
    done_.store(0, std::memory_order_relaxed);
    tickets_.store(tasks);
    if (sleepers_.load() > 0) {
      const std::lock_guard lock(mutex_);
      wake_.notify_all();
    }
    TakeTasks(0);
    for (int64_t spin = 0; done_.load(std::memory_order_acquire) != tasks;
         ++spin) {
      // More threads than cores: let the others get on with it.
      if (spin < kSpins) {
        CpuRelax();
      } else {
        std::this_thread::yield();
      }
    }
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  static constexpr int kSpins = 2000;

  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void TakeTasks(int64_t worker) {
    while (true) {
      const int64_t left = tickets_.fetch_sub(1);
      if (left <= 0) return;
      try {
        (*body_)(tasks_ - left, worker);
      } catch (...) {
        {
          const std::lock_guard lock(mutex_);
          if (error_ == nullptr) error_ = std::current_exception();
        }
        // Tasks that nobody has taken yet count as done.
        const int64_t dropped = tickets_.exchange(0);
        if (dropped > 0) done_.fetch_add(dropped, std::memory_order_relaxed);
      }
      done_.fetch_add(1, std::memory_order_release);
    }
  }

  void Work(int64_t worker) {
    while (!stop_) {
      for (int spin = 0; spin < kSpins && tickets_.load() <= 0; ++spin) {
        CpuRelax();
      }
      if (tickets_.load() <= 0) {
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1);
        wake_.wait(lock, [&] { return stop_ || tickets_.load() > 0; });
        sleepers_.fetch_sub(1);
        if (stop_) return;
      }
      TakeTasks(worker);
    }
  }

  const int64_t workers_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> sleepers_{0};
  std::atomic<int64_t> tickets_{0};
  std::atomic<int64_t> done_{0};
  const TaskRef* body_ = nullptr;  // of the call in progress
  int64_t tasks_ = 0;
  std::exception_ptr error_;
};

}  // namespace

int64_t CountCores(const std::vector<int>& cpus, const std::string& folder) {
  // All threads of a core have the same list of siblings.
  std::set<std::string> cores;
  for (const int cpu : cpus) {
    const std::string name = "cpu" + std::to_string(cpu);
    std::ifstream file(folder + "/" + name + "/topology/thread_siblings_list");
    std::string siblings;
    std::getline(file, siblings);
    cores.insert(siblings.empty() ? name : siblings);
  }
  return std::max<int64_t>(1, static_cast<int64_t>(cores.size()));
}

int64_t AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
    return CountCores(cpus, "/sys/devices/system/cpu");
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
