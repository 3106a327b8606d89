#include "lab/optim/schedule.h"

#include <cmath>
#include <numbers>
#include <string>

#include "base/error.h"

namespace ropewalk::lab::optim {
namespace {

void RequireFactor(double factor, const std::string& what) {
  Require(std::isfinite(factor) && factor >= 0,
          "schedule: " + what + " must be finite and at least 0, got " +
              std::to_string(factor));
}

void RequireSteps(int64_t steps, const std::string& what) {
  Require(steps >= 0, "schedule: " + what + " must be at least 0, got " +
                          std::to_string(steps));
}

void Validate(const ConstantSchedule& schedule) {
  RequireFactor(schedule.factor, "factor");
}

void Validate(const PiecewiseLinearSchedule& schedule) {
  Require(!schedule.points.empty(), "schedule: points must not be empty");
  int64_t last = -1;
  for (const auto& point : schedule.points) {
    Require(point.first > last,
            "schedule: points must have rising steps of at "
            "least 0, got " +
                std::to_string(point.first) + " after " + std::to_string(last));
    RequireFactor(point.second,
                  "the factor at step " + std::to_string(point.first));
    last = point.first;
  }
}

void Validate(const CosineSchedule& schedule) {
  RequireSteps(schedule.warmup_steps, "warmup_steps");
  Require(schedule.total_steps > schedule.warmup_steps,
          "schedule: total_steps must be above warmup_steps = " +
              std::to_string(schedule.warmup_steps) + ", got " +
              std::to_string(schedule.total_steps));
  RequireFactor(schedule.floor, "floor");
}

void Validate(const WsdSchedule& schedule) {
  RequireSteps(schedule.warmup_steps, "warmup_steps");
  RequireSteps(schedule.decay_steps, "decay_steps");
  // Subtracted, because the sum of two large counts could overflow.
  Require(
      schedule.total_steps >= 1 &&
          schedule.total_steps - schedule.warmup_steps >= schedule.decay_steps,
      "schedule: total_steps must be at least 1 and hold warmup_steps + "
      "decay_steps, got " +
          std::to_string(schedule.total_steps) + " for " +
          std::to_string(schedule.warmup_steps) + " + " +
          std::to_string(schedule.decay_steps));
  RequireFactor(schedule.floor, "floor");
}

// Exact at both ends, as a + (b - a) * t is not always.
double Between(double from, double to, int64_t done, int64_t steps) {
  const double part = static_cast<double>(done) / static_cast<double>(steps);
  return from * (1 - part) + to * part;
}

double WarmupFactor(int64_t step, int64_t warmup_steps) {
  return static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
}

double Factor(const ConstantSchedule& schedule, int64_t) {
  return schedule.factor;
}

double Factor(const PiecewiseLinearSchedule& schedule, int64_t step) {
  std::pair<int64_t, double> from{0, 0};
  for (const auto& to : schedule.points) {
    if (step < to.first) {
      return Between(from.second, to.second, step - from.first,
                     to.first - from.first);
    }
    from = to;
  }
  return from.second;
}

double Factor(const CosineSchedule& schedule, int64_t step) {
  if (step < schedule.warmup_steps) {
    return WarmupFactor(step, schedule.warmup_steps);
  }
  if (step >= schedule.total_steps) return schedule.floor;
  const double part =
      static_cast<double>(step - schedule.warmup_steps) /
      static_cast<double>(schedule.total_steps - schedule.warmup_steps);
  const double wave = (1 + std::cos(std::numbers::pi * part)) / 2;
  return schedule.floor + (1 - schedule.floor) * wave;
}

double Factor(const WsdSchedule& schedule, int64_t step) {
  if (step < schedule.warmup_steps) {
    return WarmupFactor(step, schedule.warmup_steps);
  }
  if (step >= schedule.total_steps) return schedule.floor;
  const int64_t decayed = step - (schedule.total_steps - schedule.decay_steps);
  if (decayed < 0) return 1;
  const double gone =
      static_cast<double>(decayed) / static_cast<double>(schedule.decay_steps);
  return (1 - gone) + schedule.floor * gone;
}

}  // namespace

void ValidateSchedule(const Schedule& schedule) {
  std::visit([](const auto& kind) { Validate(kind); }, schedule);
}

double ScheduleFactor(const Schedule& schedule, int64_t step) {
  Require(step >= 0,
          "schedule: step must be at least 0, got " + std::to_string(step));
  return std::visit([&](const auto& kind) { return Factor(kind, step); },
                    schedule);
}

}  // namespace ropewalk::lab::optim
