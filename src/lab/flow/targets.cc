#include "lab/flow/targets.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "lab/flow/draws.h"

namespace ropewalk::lab::flow {
namespace {

constexpr double kPi = std::numbers::pi;

at::Tensor Points(const std::vector<double>& flat) {
  return at::tensor(flat, at::kDouble).view({-1, 2});
}

Target OfMixture(const std::string& name, const at::Tensor& modes,
                 double deviation, double extent) {
  const at::Tensor one =
      deviation * deviation * at::eye(2, at::dtype(at::kDouble));
  GaussianMixture mixture(modes, one.expand({modes.size(0), 2, 2}).clone());
  return {.name = name,
          .sample =
              [mixture](int64_t n, at::Generator& draws) {
                return mixture.Sample(n, draws).to(at::kFloat);
              },
          .modes = modes.to(at::kFloat),
          .mode_deviation = deviation,
          .reach = 3.5 * deviation,
          .density = mixture,
          .extent = extent};
}

Target EightGaussians() {
  std::vector<double> modes;
  for (int k = 0; k < 8; ++k) {
    modes.push_back(2 * std::cos(k * kPi / 4));
    modes.push_back(2 * std::sin(k * kPi / 4));
  }
  return OfMixture("8-gaussians", Points(modes), 0.1, 2.8);
}

Target TwentyFiveGaussians() {
  std::vector<double> modes;
  for (int row = -2; row <= 2; ++row) {
    for (int column = -2; column <= 2; ++column) {
      modes.push_back(column);
      modes.push_back(row);
    }
  }
  return OfMixture("25-gaussians", Points(modes), 0.08, 2.8);
}

// A curve [n] -> [n, 2] over u in [0, 1), uniform along it, and noise across.
using Curve = std::function<at::Tensor(const at::Tensor& u)>;

Target OfCurve(const std::string& name, const Curve& curve, double deviation,
               int64_t stretches) {
  const at::Tensor middles = (at::arange(stretches, at::kFloat) + 0.5) /
                             static_cast<double>(stretches);
  return {.name = name,
          .sample =
              [curve, deviation](int64_t n, at::Generator& draws) {
                const at::Tensor on =
                    curve(Uniform({n}, draws, at::dtype(at::kFloat)));
                return on + deviation * Normal({n, 2}, draws, on.options());
              },
          .modes = curve(middles),
          .mode_deviation = deviation,
          // Half a stretch of either curve is 0.35 long at most.
          .reach = 0.35 + 3 * deviation,
          .extent = 2.8};
}

// Half circles of radius 1.5, the second turned and shifted into the first.
at::Tensor Moons(const at::Tensor& u) {
  const at::Tensor second = u.ge(0.5).to(at::kFloat);
  const at::Tensor angle = kPi * (2 * u - second);
  const at::Tensor side = 1 - 2 * second;
  return at::stack({1.5 * side * angle.cos() - 0.75 + 1.5 * second,
                    1.5 * side * angle.sin() - 0.375 + 0.75 * second},
                   1);
}

// An Archimedean spiral of one and a half turns; the arc length up to an angle
// goes about as its square, hence the root.
at::Tensor SpiralCurve(const at::Tensor& u) {
  const at::Tensor turn = (0.04 + 0.96 * u).sqrt();
  const at::Tensor angle = 3 * kPi * turn;
  return 2.2 * at::stack({turn * angle.cos(), turn * angle.sin()}, 1);
}

}  // namespace

GaussianMixture NotebookTarget() {
  return GaussianMixture::Single(
      at::zeros({2}, at::kDouble),
      at::tensor({1.0, 0.8, 0.8, 0.89}, at::kDouble).view({2, 2}));
}

GaussianMixture NotebookStart() {
  return GaussianMixture::Single(at::ones({2}, at::kDouble),
                                 at::eye(2, at::kDouble));
}

std::vector<std::string> TargetNames() {
  return {"gaussian", "8-gaussians", "25-gaussians", "two-moons", "spiral"};
}

Target MakeTarget(const std::string& name) {
  if (name == "gaussian") {
    const GaussianMixture density = NotebookTarget();
    return {.name = name,
            .sample =
                [density](int64_t n, at::Generator& draws) {
                  return density.Sample(n, draws).to(at::kFloat);
                },
            .modes = density.means().to(at::kFloat),
            .mode_deviation = 1,
            .reach = 3.5,
            .density = density,
            .extent = 3};
  }
  if (name == "8-gaussians") return EightGaussians();
  if (name == "25-gaussians") return TwentyFiveGaussians();
  if (name == "two-moons") return OfCurve(name, Moons, 0.1, 16);
  if (name == "spiral") return OfCurve(name, SpiralCurve, 0.06, 16);
  std::string known;
  for (const std::string& one : TargetNames()) {
    known += (known.empty() ? "" : ", ") + one;
  }
  throw std::invalid_argument("target: '" + Printable(name, 40) +
                              "' is none of " + known);
}

Sampler Resampler(const at::Tensor& points) {
  Require(points.dim() >= 2 && points.size(0) >= 2 && points[0].numel() >= 1,
          "points: a target is two or more points, [N, D] or [N, ...]");
  Require(points.isfinite().all().item<bool>(),
          "points: a coordinate is not finite");
  const at::Tensor kept = points.to(at::kFloat);
  return [kept](int64_t n, at::Generator& draws) {
    return kept.index_select(
        0, at::randint(kept.size(0), {n}, draws, at::dtype(at::kLong))
               .to(kept.device()));
  };
}

}  // namespace ropewalk::lab::flow
