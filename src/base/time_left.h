// How long a job still takes, by what its work has cost so far.

#ifndef ROPEWALK_BASE_TIME_LEFT_H_
#define ROPEWALK_BASE_TIME_LEFT_H_

#include <optional>

namespace ropewalk {

// Work in multiplications, in two kinds because a processor does them at two
// rates. A number of any unit is steady work.
struct Workload {
  Workload() = default;
  Workload(double steady_work, double growing_work = 0)  // NOLINT
      : steady(steady_work), growing(growing_work) {}

  double steady = 0;   // of a token the same wherever it stands: weights
  double growing = 0;  // more for later tokens: attention

  Workload& operator+=(const Workload& other) {
    steady += other.steady;
    growing += other.growing;
    return *this;
  }
};

inline Workload operator*(const Workload& work, double times) {
  return {work.steady * times, work.growing * times};
}

// Fits the seconds of a multiplication of either kind to what has been done, by
// least squares. While all of it was of one mixture, so that the two cannot be
// told apart, the ratio leans on kGrowingCost.
class TimeLeft {
 public:
  // What a multiplication of attention costs, in those of weights: roughly 1.1
  // for rope and 0.6 for rerope on two busy Zen 3 cores with AVX2 (`bench -d
  // 0,4k -p 512` of SmolLM2 135M Q4_1). A tenth of a long text replaces it.
  static constexpr double kGrowingCost = 1;

  // `done` took `seconds`. A piece should be of one mixture, such as a chunk.
  void Add(const Workload& done, double seconds);

  // Seconds that `work` will take; nothing before any work was done.
  std::optional<double> Of(const Workload& work) const;

 private:
  // Sums over the pieces, each weighed by the inverse square of its work.
  double steady_steady_ = 0;
  double steady_growing_ = 0;
  double growing_growing_ = 0;
  double steady_seconds_ = 0;
  double growing_seconds_ = 0;
};

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_TIME_LEFT_H_
