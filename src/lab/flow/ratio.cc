#include "lab/flow/ratio.h"

#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/error.h"
#include "lab/flow/finite.h"
#include "lab/flow/gradient.h"

namespace ropewalk::lab::flow {
namespace {

void RequirePoints(const at::Tensor& x, int64_t D, const std::string& what) {
  Require(x.dim() == 2 && x.size(0) >= 1 && x.size(1) == D,
          "flow: " + what + " are [N, " + std::to_string(D) + "], N above 0");
  Require(IsFinite(x), "flow: " + what + " hold NaN or infinity");
}

}  // namespace

at::Tensor RatioField::Gradient(const at::Tensor& x, double t) const {
  return SumGradient([&](const at::Tensor& at) { return LogRatio(at, t); },
                     x.detach());
}

ExactRatio::ExactRatio(GaussianMixture target, DensityAt q)
    : target_(std::move(target)), q_(std::move(q)) {}

ExactRatio ExactRatio::OfFlow(const GaussianMixture& start,
                              const GaussianMixture& target) {
  (void)FlowedDensity(start, target, 0);  // refuses what has no closed form
  return {target, [start, target](double t) {
            return FlowedDensity(start, target, t);
          }};
}

at::TensorOptions ExactRatio::like() const {
  return at::dtype(at::kFloat).device(target_.means().device());
}

at::Tensor ExactRatio::LogRatio(const at::Tensor& x, double t) const {
  return target_.LogDensity(x) - q_(t).LogDensity(x);
}

at::Tensor ExactRatio::Gradient(const at::Tensor& x, double t) const {
  return target_.Score(x) - q_(t).Score(x);
}

KernelRatio::KernelRatio(at::Tensor target, double bandwidth)
    : target_(std::move(target)), bandwidth_(bandwidth) {
  Require(target_.dim() == 2 && target_.size(0) >= 2,
          "flow: a kernel estimate wants two or more points, [M, D]");
  RequirePoints(target_, std::max<int64_t>(1, target_.size(1)),
                "points of a target");
  Require(at::isFloatingType(target_.scalar_type()),
          "flow: points of a target are floating-point numbers");
  Require(bandwidth_ > 0 && std::isfinite(bandwidth_),
          "flow: a bandwidth is above 0");
}

void KernelRatio::Fit(const at::Tensor& particles, double) {
  RequireLike(particles, "particles");
  particles_ = particles.detach();
  target_ = target_.to(particles_.device());
}

void KernelRatio::RequireLike(const at::Tensor& x,
                              const std::string& what) const {
  RequirePoints(x, target_.size(1), what);
  Require(x.scalar_type() == target_.scalar_type(),
          "flow: " + what + " are " + c10::toString(x.scalar_type()) +
              " and those of the target " +
              c10::toString(target_.scalar_type()));
}

at::Tensor KernelRatio::LogKernel(const at::Tensor& x, const at::Tensor& of,
                                  at::Tensor* gradient) const {
  const at::Tensor centres = of.to(x.device());
  const double scale = 1 / (bandwidth_ * bandwidth_);
  // |x - c|^2 by the difference of squares would lose the small ones.
  const at::Tensor logs =
      -0.5 * scale * at::cdist(x, centres, 2, /*compute_mode=*/2).square();
  if (gradient != nullptr) {
    *gradient = scale * (at::matmul(at::softmax(logs, 1), centres) - x);
  }
  return at::logsumexp(logs, 1) -
         std::log(static_cast<double>(centres.size(0)));
}

at::Tensor KernelRatio::LogRatio(const at::Tensor& x, double) const {
  Require(particles_.defined(), "flow: a kernel estimate before its Fit");
  RequireLike(x, "points");
  return LogKernel(x, target_, nullptr) - LogKernel(x, particles_, nullptr);
}

at::Tensor KernelRatio::Gradient(const at::Tensor& x, double) const {
  Require(particles_.defined(), "flow: a kernel estimate before its Fit");
  RequireLike(x, "points");
  at::Tensor of_target;
  at::Tensor of_particles;
  LogKernel(x, target_, &of_target);
  LogKernel(x, particles_, &of_particles);
  return of_target - of_particles;
}

double SilvermanBandwidth(const at::Tensor& points) {
  Require(points.dim() == 2 && points.size(0) >= 2,
          "flow: a bandwidth wants two or more points, [N, D]");
  Require(IsFinite(points), "flow: points hold NaN or infinity");
  const auto N = static_cast<double>(points.size(0));
  const auto D = static_cast<double>(points.size(1));
  const double deviation = points.std(0).mean().item<double>();
  return deviation * std::pow(4 / (D + 2) / N, 1 / (D + 4));
}

at::Tensor FlowVelocity(const RatioField& field, const Loss& loss,
                        const at::Tensor& x, double t) {
  Require(x.dim() >= 2 && x.size(0) >= 1,
          "flow: points are one or more, [N, ...]");
  // What a field learned by has no part in where the particles go.
  const torch::autograd::AutoGradMode off(false);
  const at::Tensor slope = loss.Slope(field.LogRatio(x, t).detach());
  Require(slope.sizes() == at::IntArrayRef({x.size(0)}),
          "flow: a ratio gives one number a point");
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  return (slope.view(shape) * field.Gradient(x, t)).detach();
}

OdeReport Flow(RatioField& field, const Loss& loss, const at::Tensor& start,
               const OdeOptions& options, Trajectory* recorded) {
  Require(start.dim() >= 2 && start.size(0) >= 1,
          "flow: particles are one or more, [N, ...]");
  const auto fits = field.fits();
  const Velocity velocity = [&](const at::Tensor& x, double t) {
    // A stage that ran away: Integrate refuses the step, or says when it was.
    if (!IsFinite(x)) return at::full_like(x, std::nan(""));
    if (fits == RatioField::Fits::kEachStage) field.Fit(x, t);
    return FlowVelocity(field, loss, x, t);
  };
  const StepHook before = [&](const at::Tensor& x, double t) {
    if (fits == RatioField::Fits::kEachStep) field.Fit(x, t);
  };
  return Integrate(velocity, start, options, recorded, before);
}

}  // namespace ropewalk::lab::flow
