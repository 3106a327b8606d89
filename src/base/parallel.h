// How kernels get threads without starting any: the caller hands them one of
// these. The runtime hands a ThreadPool, the lab its framework's own loop.

#ifndef ROPEWALK_BASE_PARALLEL_H_
#define ROPEWALK_BASE_PARALLEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace ropewalk {

// A non-owning view of a callable (task, worker); lives as long as the call.
class TaskRef {
 public:
  template <typename F, typename = std::enable_if_t<
                            !std::is_same_v<std::remove_cvref_t<F>, TaskRef>>>
  TaskRef(const F& f)  // NOLINT(google-explicit-constructor): a view
      : object_(&f),
        call_([](const void* object, int64_t task, int64_t worker) {
          (*static_cast<const F*>(object))(task, worker);
        }) {}
  void operator()(int64_t task, int64_t worker) const {
    call_(object_, task, worker);
  }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t, int64_t);
};

class ParallelFor {
 public:
  virtual ~ParallelFor() = default;

  // Number of workers; scratch memory is sized by it.
  virtual int64_t workers() const = 0;

  // Calls body(task, worker) once for every task in [0, tasks), worker in
  // [0, workers()), no two at once with the same worker. Tasks are handed out
  // in order, so the costly ones belong first. Returns when all are done and
  // rethrows the first exception. Not reentrant.
  virtual void Run(int64_t tasks, TaskRef body) = 0;
};

// Everything on the calling thread.
class SerialFor : public ParallelFor {
 public:
  int64_t workers() const override { return 1; }
  void Run(int64_t tasks, TaskRef body) override {
    for (int64_t task = 0; task < tasks; ++task) body(task, 0);
  }
};

// A pool of `threads` workers, the calling thread among them; 0 means one for
// each core this process may use. Throws std::invalid_argument beyond 1024.
std::unique_ptr<ParallelFor> MakeThreadPool(int64_t threads);

// Cores that this process may run on, at least 1. Two hardware threads of one
// core count once: kernels keep a core's arithmetic units busy, so a second
// thread there only takes turns.
int64_t AvailableCores();

// The number of cores behind the processors `cpus`. `folder` is what Linux has
// at /sys/devices/system/cpu; a processor of which it says nothing counts as a
// core.
int64_t CountCores(const std::vector<int>& cpus, const std::string& folder);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_PARALLEL_H_
