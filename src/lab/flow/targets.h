// The toy targets of two dimensions that flows and GANs are tried on.

#ifndef ROPEWALK_LAB_FLOW_TARGETS_H_
#define ROPEWALK_LAB_FLOW_TARGETS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lab/flow/density.h"

namespace ropewalk::lab::flow {

// `n` points of a target as [n, ...], float32, a function of the draws.
using Sampler = std::function<at::Tensor(int64_t n, at::Generator& draws)>;

struct Target {
  std::string name;
  Sampler sample;  // [n, 2]
  // Where its mass lies: places of about equal mass and the deviation around
  // them. Modes of a mixture; stretches of a curve.
  at::Tensor modes;  // [M, 2], float32
  double mode_deviation = 0;
  double reach = 0;  // from a mode to where its samples end, for ModeCoverage
  std::optional<GaussianMixture> density = {};  // where there is a closed form
  double extent = 3;  // |x| and |y| stay below it, all but rarely
};

// N(0, [[1, .8], [.8, .89]]), the target of the MonoFlow notebooks, and the
// N((1, 1), I) that they start from. Float64.
GaussianMixture NotebookTarget();
GaussianMixture NotebookStart();

// "gaussian": NotebookTarget. "8-gaussians": on a circle of radius 2,
// deviation 0.1. "25-gaussians": a grid from -2 to 2, deviation 0.08.
// "two-moons" and "spiral": curves of deviation 0.1 and 0.06 across. Throws
// std::invalid_argument that lists the names.
Target MakeTarget(const std::string& name);
std::vector<std::string> TargetNames();

// Points of a user, [N, D], or images, [N, 1, H, W], or whatever else is
// [N, ...], drawn with replacement. Throws std::invalid_argument unless there
// are two or more, all finite.
Sampler Resampler(const at::Tensor& points);

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_TARGETS_H_
