#include "lab/flow/ode.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"
#include "lab/flow/finite.h"

namespace ropewalk::lab::flow {
namespace {

int OrderOf(Method method) {
  switch (method) {
    case Method::kEuler:
      return 1;
    case Method::kHeun:
      return 2;
    case Method::kRungeKutta:
      return 4;
  }
  ROPEWALK_CHECK(false);
  return 0;
}

// `slope` is the velocity at (x, t).
at::Tensor StepFrom(const Velocity& velocity, Method method,
                    const at::Tensor& x, const at::Tensor& slope, double t,
                    double h) {
  switch (method) {
    case Method::kEuler:
      return x + h * slope;
    case Method::kHeun:
      return x + h / 2 * (slope + velocity(x + h * slope, t + h));
    case Method::kRungeKutta: {
      const at::Tensor k2 = velocity(x + h / 2 * slope, t + h / 2);
      const at::Tensor k3 = velocity(x + h / 2 * k2, t + h / 2);
      const at::Tensor k4 = velocity(x + h * k3, t + h);
      return x + h / 6 * (slope + 2 * k2 + 2 * k3 + k4);
    }
  }
  ROPEWALK_CHECK(false);
  return {};
}

void Record(Trajectory* to, const at::Tensor& x, double t) {
  to->times.push_back(t);
  to->states.push_back(x.detach().to(at::kCPU).clone());
}

// The times due in (t, t + h], on the line from x to next. Which step is the
// last is told and not worked out again: t + (end - t) may round below the end.
void RecordBetween(Trajectory* to, const at::Tensor& x, const at::Tensor& next,
                   double t, double h, double end, bool last) {
  if (to == nullptr) return;
  if (to->every > 0) {
    // A due time within rounding of the end is the end.
    const double slack = 1e-9 * to->every;
    while (true) {
      const double due = static_cast<double>(to->times.size()) * to->every;
      if ((!last && due > t + h + slack) || due >= end - slack) break;
      Record(to, at::lerp(x, next, std::min(1.0, (due - t) / h)), due);
    }
    if (!last) return;
  }
  Record(to, next, last ? end : t + h);
}

std::string At(double t) { return " at t = " + FormatNumber(t); }

void RequireFinite(const at::Tensor& x, double t) {
  if (!IsFinite(x)) {
    throw std::runtime_error("flow: particles stopped being finite" + At(t) +
                             "; a smaller step or another loss may hold them");
  }
}

}  // namespace

Method ParseMethod(const std::string& name) {
  if (name == "euler") return Method::kEuler;
  if (name == "heun") return Method::kHeun;
  if (name == "rk4") return Method::kRungeKutta;
  throw std::invalid_argument("flow: method '" + Printable(name, 40) +
                              "' is none of euler, heun, rk4");
}

OdeReport Integrate(const Velocity& unchecked, const at::Tensor& start,
                    const OdeOptions& options, Trajectory* recorded,
                    const StepHook& before_step) {
  Require(options.step > 0 && options.end > 0 && std::isfinite(options.step) &&
              std::isfinite(options.end),
          "flow: step and end are above 0");
  Require(options.tolerance >= 0, "flow: a tolerance is not below 0");
  Require(options.least_step > 0, "flow: the least step is above 0");
  Require(IsFinite(start), "flow: particles at the start hold NaN or infinity");
  Require(recorded == nullptr ||
              (recorded->every >= 0 && std::isfinite(recorded->every)),
          "flow: a trajectory's times are 0 or more apart");
  const Velocity velocity = [&](const at::Tensor& at, double t) {
    const at::Tensor slope = unchecked(at, t);
    Require(slope.sizes() == at.sizes(),
            "flow: a velocity has the shape of the particles");
    return slope;
  };
  const int order = OrderOf(options.method);
  at::Tensor x = start.detach();
  double t = 0;
  double h = options.step;
  OdeReport report;
  if (recorded != nullptr) Record(recorded, x, t);
  // Steps of a fixed length are counted, so that rounding of t adds none.
  while (t < options.end * (1 - 1e-12)) {
    if (before_step) before_step(x, t);
    const at::Tensor slope = velocity(x, t);
    while (true) {
      if (report.steps + report.refused >= options.most_steps) {
        throw std::runtime_error("flow: no end after " +
                                 std::to_string(options.most_steps) + " steps" +
                                 At(t));
      }
      const bool last = t + h >= options.end * (1 - 1e-12);
      const double length = last ? options.end - t : h;
      at::Tensor next = StepFrom(velocity, options.method, x, slope, t, length);
      if (options.tolerance > 0) {
        const at::Tensor middle =
            StepFrom(velocity, options.method, x, slope, t, length / 2);
        const at::Tensor twice = StepFrom(velocity, options.method, middle,
                                          velocity(middle, t + length / 2),
                                          t + length / 2, length / 2);
        const at::Tensor error = (twice - next) / (std::pow(2, order) - 1);
        const double size = error.square().mean().sqrt().item<double>();
        // Halved to a fifth or grown to five times at most; 0.9 keeps most
        // steps that follow from being refused.
        const double factor =
            std::isfinite(size)
                ? std::clamp(
                      0.9 * std::pow(options.tolerance / std::max(size, 1e-300),
                                     1.0 / (order + 1)),
                      0.2, 5.0)
                : 0.2;
        if (!(size <= options.tolerance)) {
          ++report.refused;
          h = length * factor;
          if (h < options.least_step) {
            throw std::runtime_error("flow: the error asks for steps below " +
                                     FormatNumber(options.least_step) + At(t));
          }
          continue;
        }
        next = twice + error;
        if (!last) h = length * factor;
      }
      RequireFinite(next, t + length);
      // A history would keep every step that was made.
      next = next.detach();
      RecordBetween(recorded, x, next, t, length, options.end, last);
      t = last ? options.end : t + length;
      x = next;
      ++report.steps;
      break;
    }
  }
  report.state = x;
  return report;
}

}  // namespace ropewalk::lab::flow
