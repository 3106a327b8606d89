// A progress bar with rate and time left on a terminal, a plain line now and
// then elsewhere. Everything goes to stderr.

#ifndef ROPEWALK_BASE_PROGRESS_H_
#define ROPEWALK_BASE_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "base/time_left.h"

namespace ropewalk {

// One thread at a time.
class Progress {
 public:
  // Nothing is shown for work that ends within a second. `unit` is what is
  // counted ("tokens"). `total_work` is the sum of the work of all Add calls,
  // in any unit; none means unknown. Work stands apart from the count where
  // later units cost more than earlier ones, as tokens of a long text do.
  Progress(std::string label, const Workload& total_work, std::string unit);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  void Add(int64_t count, const Workload& work);
  void Add(int64_t count) { Add(count, static_cast<double>(count)); }
  void SetLabel(const std::string& label) { label_ = label; }

  // Wipes the bar, so that a line of text can be printed above it; the next
  // Add draws it again.
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;

  void Draw(Clock::time_point now);

  std::string label_;
  std::string unit_;
  Workload total_work_;
  Workload work_;
  TimeLeft time_;
  int64_t done_ = 0;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_;
  Clock::time_point last_;  // the end of the last piece of work
  Clock::time_point next_draw_;
};

// "3m 20s", "45s", "2h 05m".
std::string FormatDuration(double seconds);

// "1.5 MiB".
std::string FormatBytes(int64_t bytes);

// "12.3k", "4.1M": three digits of a rate or a count.
std::string FormatCount(double count);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_PROGRESS_H_
