// Learning-rate schedules: a factor for each step, a pure function.
//
// Steps count from 0. Whether a step is an update or a micro-step is the
// caller's choice; Tiger's published schedules count micro-steps.

#ifndef ROPEWALK_LAB_OPTIM_SCHEDULE_H_
#define ROPEWALK_LAB_OPTIM_SCHEDULE_H_

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace ropewalk::lab::optim {

struct ConstantSchedule {
  double factor = 1;
};

// Straight lines between {step, factor} points, constant after the last. A
// first point beyond step 0 is preceded by (0, 0), so that it ends a warm-up
// (Tiger, post 9512: {{40000, 1}, {160000, .5}, {640000, .1}}).
struct PiecewiseLinearSchedule {
  std::vector<std::pair<int64_t, double>> points = {{0, 1}};
};

// (step + 1) / warmup_steps, so that no step has rate 0; then half a cosine
// from 1 at warmup_steps to `floor` at total_steps, and `floor` from there.
struct CosineSchedule {
  int64_t warmup_steps = 0;
  int64_t total_steps = 0;
  double floor = 0.1;
};

// Warmup, stable, decay: 1 between the warm-up and the last decay_steps, which
// fall to `floor` in a line.
struct WsdSchedule {
  int64_t warmup_steps = 0;
  int64_t decay_steps = 0;
  int64_t total_steps = 0;
  double floor = 0;
};

using Schedule = std::variant<ConstantSchedule, PiecewiseLinearSchedule,
                              CosineSchedule, WsdSchedule>;

// Throws std::invalid_argument with the field, the rule and the value.
void ValidateSchedule(const Schedule& schedule);

// The factor at `step` >= 0 of a valid schedule.
double ScheduleFactor(const Schedule& schedule, int64_t step);

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_SCHEDULE_H_
