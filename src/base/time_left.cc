#include "base/time_left.h"

#include <algorithm>

namespace ropewalk {
namespace {

// The deviation of a piece's time from the fit, by other processes and turns
// of the processor's clock, and that of the ratio from kGrowingCost.
constexpr double kNoise = 0.15;
constexpr double kSpread = 0.7;

}  // namespace

void TimeLeft::Add(const Workload& done, double seconds) {
  const double work = done.steady + kGrowingCost * done.growing;
  if (!(work > 0) || !(seconds >= 0)) return;
  // Times scatter in proportion to themselves, so pieces count relatively.
  const double p = done.steady / work;
  const double q = done.growing / work;
  const double t = seconds / work;
  steady_steady_ += p * p;
  steady_growing_ += p * q;
  growing_growing_ += q * q;
  steady_seconds_ += p * t;
  growing_seconds_ += q * t;
}

std::optional<double> TimeLeft::Of(const Workload& work) const {
  if (steady_steady_ + growing_growing_ == 0) return std::nullopt;
  // Minimises sum (t - a p - b q)^2 + lean (b / kGrowingCost - a)^2.
  constexpr double kLean = kNoise * kNoise / (kSpread * kSpread);
  const double pp = steady_steady_ + kLean;
  const double pq = steady_growing_ - kLean / kGrowingCost;
  const double qq = growing_growing_ + kLean / (kGrowingCost * kGrowingCost);
  const double determinant = pp * qq - pq * pq;
  double a = (steady_seconds_ * qq - growing_seconds_ * pq) / determinant;
  double b = (growing_seconds_ * pp - steady_seconds_ * pq) / determinant;
  // Of negative rates the other one explains the times alone.
  if (b < 0) {
    b = 0;
    a = steady_seconds_ / steady_steady_;
  } else if (a < 0) {
    a = 0;
    b = growing_seconds_ / growing_growing_;
  }
  return std::max(0.0, a * work.steady + b * work.growing);
}

}  // namespace ropewalk
