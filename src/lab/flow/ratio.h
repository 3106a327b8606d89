// The log ratio log r = log p/q that drives a flow, and the flow itself:
//
//   dx/dt = h'(log r) grad log r      (post 9662, equations 1 to 6)
//
// q is the density of the particles of now. A field may know it in closed
// form, estimate it from the particles, or learn the ratio.

#ifndef ROPEWALK_LAB_FLOW_RATIO_H_
#define ROPEWALK_LAB_FLOW_RATIO_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "lab/flow/density.h"
#include "lab/flow/losses.h"
#include "lab/flow/ode.h"

namespace ropewalk::lab::flow {

// One thread at a time.
class RatioField {
 public:
  // How often Fit wants to see the particles.
  enum class Fits { kNever, kEachStep, kEachStage };

  virtual ~RatioField() = default;
  virtual Fits fits() const { return Fits::kNever; }
  virtual void Fit(const at::Tensor&, double) {}

  virtual at::Tensor LogRatio(const at::Tensor& x,
                              double t) const = 0;  // [N, ...] -> [N]
  // Type and device of the points that it takes.
  virtual at::TensorOptions like() const { return at::dtype(at::kFloat); }
  // The gradient in x, in its shape; by autograd where a field has no better.
  virtual at::Tensor Gradient(const at::Tensor& x, double t) const;
};

// Both densities known: q by a function of the time.
class ExactRatio : public RatioField {
 public:
  using DensityAt = std::function<GaussianMixture(double t)>;
  ExactRatio(GaussianMixture target, DensityAt q);

  // q as FlowedDensity has it: exact for h' = 1 and a target of one Gaussian.
  static ExactRatio OfFlow(const GaussianMixture& start,
                           const GaussianMixture& target);

  at::TensorOptions like() const override;
  at::Tensor LogRatio(const at::Tensor& x, double t) const override;
  at::Tensor Gradient(const at::Tensor& x, double t) const override;

 private:
  GaussianMixture target_;
  DensityAt q_;
};

// Both densities estimated by Gaussian kernels of one bandwidth, p from points
// of the target, q from the particles. As both are smoothed alike, the ratio
// is 1 where the two sets agree, and a flow rests there.
class KernelRatio : public RatioField {
 public:
  //   target     [M, D], two or more points, all finite
  //   bandwidth  in the units of the points, above 0
  //
  // Throws std::invalid_argument, and so do Fit for particles and LogRatio and
  // Gradient for points that are not [N, D], finite and of the target's type,
  // and both before Fit. The target follows the particles to their device.
  KernelRatio(at::Tensor target, double bandwidth);

  Fits fits() const override { return Fits::kEachStage; }
  void Fit(const at::Tensor& particles, double t) override;
  at::TensorOptions like() const override { return target_.options(); }
  at::Tensor LogRatio(const at::Tensor& x, double t) const override;
  at::Tensor Gradient(const at::Tensor& x, double t) const override;

 private:
  void RequireLike(const at::Tensor& x, const std::string& what) const;
  // log of sum_m exp(-|x - c_m|^2 / 2 b^2) / M, and its gradient where asked.
  at::Tensor LogKernel(const at::Tensor& x, const at::Tensor& of,
                       at::Tensor* gradient) const;

  at::Tensor target_;
  double bandwidth_;
  at::Tensor particles_;
};

// Silverman's rule for points [N, D]: the mean deviation of a coordinate times
// (4 / (D + 2) / N)^(1 / (D + 4)). Throws std::invalid_argument for fewer than
// two points and for what is not finite.
double SilvermanBandwidth(const at::Tensor& points);

// Moves the particles `start`, [N, ...] in the shape that the field takes;
// throws as Integrate does, and std::invalid_argument for particles that are
// none or not finite.
OdeReport Flow(RatioField& field, const Loss& loss, const at::Tensor& start,
               const OdeOptions& options, Trajectory* recorded = nullptr);

// h'(log r) grad log r at the points [N, ...], in their shape, without a
// history. Throws
// std::invalid_argument for points that are none, or where the field gives not
// one number for each.
at::Tensor FlowVelocity(const RatioField& field, const Loss& loss,
                        const at::Tensor& x, double t);

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_RATIO_H_
