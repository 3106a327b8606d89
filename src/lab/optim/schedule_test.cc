#include "lab/optim/schedule.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace ropewalk::lab::optim {
namespace {

// The points of Tiger's README.
TEST(ScheduleTest, PiecewiseLinearWarmsUpFromZeroWhenFirstStepIsLater) {
  const Schedule schedule = PiecewiseLinearSchedule{
      {{40000, 1}, {160000, 0.5}, {640000, 0.1}, {1280000, 0.01}}};
  EXPECT_EQ(ScheduleFactor(schedule, 0), 0);
  EXPECT_EQ(ScheduleFactor(schedule, 10000), 0.25);
  EXPECT_EQ(ScheduleFactor(schedule, 40000), 1);
  EXPECT_EQ(ScheduleFactor(schedule, 100000), 0.75);
  EXPECT_EQ(ScheduleFactor(schedule, 160000), 0.5);
  EXPECT_DOUBLE_EQ(ScheduleFactor(schedule, 400000), 0.3);
  EXPECT_EQ(ScheduleFactor(schedule, 640000), 0.1);
  EXPECT_EQ(ScheduleFactor(schedule, 1280000), 0.01);
  EXPECT_EQ(ScheduleFactor(schedule, 99999999), 0.01);
}

TEST(ScheduleTest, PiecewiseLinearStartsAtAPointOfStepZero) {
  const Schedule schedule = PiecewiseLinearSchedule{{{0, 1}, {8, 0.5}}};
  EXPECT_EQ(ScheduleFactor(schedule, 0), 1);
  EXPECT_EQ(ScheduleFactor(schedule, 4), 0.75);
  EXPECT_EQ(ScheduleFactor(schedule, 100), 0.5);
  EXPECT_EQ(ScheduleFactor(PiecewiseLinearSchedule{}, 5), 1);
}

TEST(ScheduleTest, CosineFallsFromOneToTheFloor) {
  const Schedule schedule =
      CosineSchedule{.warmup_steps = 4, .total_steps = 12, .floor = 0.25};
  EXPECT_EQ(ScheduleFactor(schedule, 0), 0.25);  // never a step of rate 0
  EXPECT_EQ(ScheduleFactor(schedule, 3), 1);
  EXPECT_EQ(ScheduleFactor(schedule, 4), 1);
  EXPECT_DOUBLE_EQ(ScheduleFactor(schedule, 8), 0.625);
  EXPECT_NEAR(ScheduleFactor(schedule, 6), 0.25 + 0.75 * 0.85355339059327373,
              1e-15);  // cos^2(pi / 8)
  EXPECT_EQ(ScheduleFactor(schedule, 12), 0.25);
  EXPECT_EQ(ScheduleFactor(schedule, 1000), 0.25);
}

TEST(ScheduleTest, WsdIsFlatBetweenWarmupAndDecay) {
  WsdSchedule wsd{.warmup_steps = 2, .decay_steps = 4, .total_steps = 10};
  EXPECT_EQ(ScheduleFactor(wsd, 0), 0.5);
  for (const int64_t step : {1, 2, 5, 6})
    EXPECT_EQ(ScheduleFactor(wsd, step), 1);
  EXPECT_EQ(ScheduleFactor(wsd, 7), 0.75);
  EXPECT_EQ(ScheduleFactor(wsd, 9), 0.25);
  EXPECT_EQ(ScheduleFactor(wsd, 10), 0);
  wsd.floor = 0.5;
  EXPECT_EQ(ScheduleFactor(wsd, 8), 0.75);  // half way to the floor
  EXPECT_EQ(ScheduleFactor(ConstantSchedule{0.3}, 7), 0.3);
}

TEST(ScheduleTest, RefusesWhatIsNoSchedule) {
  const auto refused = [](const Schedule& schedule) {
    EXPECT_THROW(ValidateSchedule(schedule), std::invalid_argument);
  };
  refused(ConstantSchedule{-1});
  refused(PiecewiseLinearSchedule{{}});
  refused(PiecewiseLinearSchedule{{{5, 1}, {5, 2}}});
  refused(PiecewiseLinearSchedule{{{-1, 1}}});
  refused(PiecewiseLinearSchedule{{{1, 0.0 / 0.0}}});
  refused(CosineSchedule{.warmup_steps = 5, .total_steps = 5});
  refused(WsdSchedule{.warmup_steps = 5, .decay_steps = 6, .total_steps = 10});
  refused(WsdSchedule{});
  EXPECT_NO_THROW(ValidateSchedule(
      WsdSchedule{.warmup_steps = 5, .decay_steps = 5, .total_steps = 10}));
  EXPECT_THROW(ScheduleFactor(ConstantSchedule{}, -1), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::optim
