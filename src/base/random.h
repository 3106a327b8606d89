// Random numbers that are the same on every machine.
//
// The engine is the standard's mt19937_64, whose output is fixed; the
// standard's distributions are not, so the few that we need stand here.

#ifndef ROPEWALK_BASE_RANDOM_H_
#define ROPEWALK_BASE_RANDOM_H_

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>

namespace ropewalk {

class Rng {
 public:
  explicit Rng(uint64_t seed) : engine_(seed) {}

  uint64_t Next() { return engine_(); }

  // Uniform in [0, 1), 53 bits.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

  // Uniform in [0, bound), bound > 0. The bias of at most bound / 2^64 is
  // below anything that this project can measure.
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(Next() % static_cast<uint64_t>(bound));
  }

  // Standard normal, by Box and Muller.
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
    return radius * std::cos(2 * std::numbers::pi * Uniform());
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_RANDOM_H_
