#include "lab/flow/ode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace ropewalk::lab::flow {
namespace {

at::Tensor One(double value) { return at::full({1, 1}, value, at::kDouble); }

// dx/dt = x cos t, so x(t) = x(0) e^{sin t}.
at::Tensor Wave(const at::Tensor& x, double t) { return x * std::cos(t); }

double ErrorOf(const OdeOptions& options) {
  const OdeReport report = Integrate(Wave, One(1), options);
  return std::abs(report.state.item<double>() -
                  std::exp(std::sin(options.end)));
}

// Half the step, 2^-order of the error, within a third of the order.
TEST(OdeTest, EveryMethodHasItsOrder) {
  const std::pair<Method, double> kOrders[] = {
      {Method::kEuler, 1}, {Method::kHeun, 2}, {Method::kRungeKutta, 4}};
  for (const auto& [method, order] : kOrders) {
    const double coarse = ErrorOf({.method = method, .step = 0.1, .end = 2});
    const double fine = ErrorOf({.method = method, .step = 0.05, .end = 2});
    EXPECT_NEAR(std::log2(coarse / fine), order, 0.34) << order;
  }
}

TEST(OdeTest, ChosenStepsKeepTheError) {
  for (const Method method :
       {Method::kEuler, Method::kHeun, Method::kRungeKutta}) {
    for (const double tolerance : {1e-4, 1e-6}) {
      const OdeOptions options{
          .method = method, .step = 1, .end = 2, .tolerance = tolerance};
      const OdeReport report = Integrate(Wave, One(1), options);
      // Each step's error grows by at most e^2 up to the end.
      EXPECT_LT(ErrorOf(options),
                8 * static_cast<double>(report.steps) * tolerance);
      EXPECT_GT(report.refused, 0) << "a first step of 1 is too long";
    }
  }
  const auto steps = [](double tolerance) {
    return Integrate(Wave, One(1),
                     {.method = Method::kHeun,
                      .step = 0.1,
                      .end = 2,
                      .tolerance = tolerance})
        .steps;
  };
  EXPECT_GT(steps(1e-7), 2 * steps(1e-4));
}

TEST(OdeTest, TheTrajectoryHasTheTimesAskedFor) {
  Trajectory each;
  Integrate(Wave, One(1), {.step = 0.3, .end = 1}, &each);
  ASSERT_EQ(each.times.size(), 5u);  // 0, .3, .6, .9, 1
  EXPECT_EQ(each.times.front(), 0);
  EXPECT_EQ(each.times.back(), 1);
  Trajectory even{.every = 0.25};
  const OdeReport report =
      Integrate([](const at::Tensor& x, double) { return at::ones_like(x); },
                One(0), {.step = 0.3, .end = 1}, &even);
  ASSERT_EQ(even.times.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(even.times[i], 0.25 * static_cast<double>(i), 1e-12);
    EXPECT_NEAR(even.states[i].item<double>(), even.times[i], 1e-12);
  }
  EXPECT_NEAR(report.state.item<double>(), 1, 1e-12);
  EXPECT_EQ(report.steps, 4);
}

// Whatever t + (end - t) rounds to, which is below the end in some of these
// where a step that grew fivefold makes more than half of the way: the end is
// there, once, under its own time.
TEST(OdeTest, EveryTrajectoryEndsWithItsEnd) {
  for (int first = 1; first <= 40; ++first) {
    for (const double end : {0.3, 0.7, 1.0, 1.6, 1.7, 1.8, 1.9}) {
      for (const double every : {0.0, 0.01, 0.3, 0.7, 5.0}) {
        Trajectory path{.every = every};
        const OdeReport report = Integrate(Wave, One(1),
                                           {.method = Method::kHeun,
                                            .step = 0.023 * first,
                                            .end = end,
                                            .tolerance = 10},
                                           &path);
        ASSERT_EQ(path.times.back(), end) << first << " " << every;
        ASSERT_TRUE(path.states.back().equal(report.state));
        ASSERT_EQ(path.times.size(), path.states.size());
        for (size_t i = 1; i < path.times.size(); ++i) {
          ASSERT_GT(path.times[i], path.times[i - 1]);
        }
      }
    }
  }
}

TEST(OdeTest, TheStateHasNoHistory) {
  const at::Tensor rate = One(0.5).requires_grad_(true);
  const OdeReport report =
      Integrate([&](const at::Tensor& x, double) { return rate * x; }, One(1),
                {.step = 0.1, .end = 1});
  EXPECT_FALSE(report.state.requires_grad());
}

TEST(OdeTest, WhatRunsAwayIsSaidWithItsTime) {
  // dx/dt = x^2 from 1 is infinite at t = 1.
  const Velocity square = [](const at::Tensor& x, double) { return x * x; };
  Trajectory reached;
  try {
    Integrate(square, One(1),
              {.method = Method::kEuler, .step = 0.1, .end = 50}, &reached);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("t = "), std::string::npos);
  }
  EXPECT_GT(reached.states.size(), 5u);
  EXPECT_TRUE(reached.states.back().isfinite().all().item<bool>());
  EXPECT_THROW(Integrate(square, One(1), {.end = 2, .tolerance = 1e-8}),
               std::runtime_error);
  EXPECT_THROW(
      Integrate(Wave, One(1), {.step = 0.01, .end = 1, .most_steps = 50}),
      std::runtime_error);
}

TEST(OdeTest, NonsenseIsRefused) {
  EXPECT_THROW(Integrate(Wave, One(1), {.step = 0}), std::invalid_argument);
  EXPECT_THROW(Integrate(Wave, One(1), {.end = -1}), std::invalid_argument);
  EXPECT_THROW(Integrate(Wave, One(1), {.tolerance = -1}),
               std::invalid_argument);
  EXPECT_THROW(Integrate(Wave, One(NAN), {}), std::invalid_argument);
  for (const double every : {-1.0, double{NAN}, double{HUGE_VAL}}) {
    Trajectory wrong{.every = every};
    EXPECT_THROW(Integrate(Wave, One(1), {}, &wrong), std::invalid_argument);
  }
  // It would broadcast to five particles of one.
  const Velocity wide = [](const at::Tensor& x, double) {
    return x.expand({5, 1});
  };
  EXPECT_THROW(Integrate(wide, One(1), {}), std::invalid_argument);
  EXPECT_EQ(ParseMethod("rk4"), Method::kRungeKutta);
  EXPECT_THROW(ParseMethod("leapfrog"), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::flow
