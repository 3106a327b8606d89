// Ordinary differential equations of many particles: Euler, Heun and the
// classical Runge-Kutta method, with fixed steps or steps chosen by error.

#ifndef ROPEWALK_LAB_FLOW_ODE_H_
#define ROPEWALK_LAB_FLOW_ODE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ropewalk::lab::flow {

// dx/dt of all particles at once: [N, ...] -> [N, ...].
using Velocity = std::function<at::Tensor(const at::Tensor& x, double t)>;

// Called with the particles and the time.
using StepHook = std::function<void(const at::Tensor& x, double t)>;

enum class Method { kEuler, kHeun, kRungeKutta };  // orders 1, 2, 4

// Throws std::invalid_argument that lists euler, heun, rk4.
Method ParseMethod(const std::string& name);

struct OdeOptions {
  Method method = Method::kRungeKutta;
  double step = 0.05;    // of time; the first where steps are chosen
  double end = 1;        // time begins at 0
  double tolerance = 0;  // of a step's error, RMS over coordinates; 0: fixed
  double least_step = 1e-6;      // of a chosen step
  int64_t most_steps = 1 << 20;  // tried, refused ones counted
};

// p_0 ... p_T: the particles at times `every` apart, the start and the end
// among them (every step where `every` is 0). A time between two steps takes
// the straight line between them.
struct Trajectory {
  double every = 0;
  std::vector<double> times;
  std::vector<at::Tensor> states;  // [N, ...] each, on the CPU
};

struct OdeReport {
  int64_t steps = 0;    // made
  int64_t refused = 0;  // tried with too large an error
  at::Tensor state;     // at `end`, without a history
};

// Step-size control is by step doubling: the difference between one step and
// two of half its length tells the error, and is added back (local
// extrapolation). `before_step` runs at each step's start, refused ones
// counted once: a field that learns does so there.
//
// Throws std::invalid_argument for options that are none, a start that is not
// finite and a velocity of another shape than the particles, and
// std::runtime_error with the time where particles stop being finite, where
// the error asks for less than least_step, and after most_steps; `recorded`
// holds what was reached.
OdeReport Integrate(const Velocity& velocity, const at::Tensor& start,
                    const OdeOptions& options, Trajectory* recorded = nullptr,
                    const StepHook& before_step = {});

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_ODE_H_
