#include "lab/flow/gaussian_case.h"

#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/error.h"
#include "lab/flow/draws.h"
#include "lab/flow/finite.h"
#include "lab/flow/gan.h"
#include "lab/flow/gradient.h"
#include "lab/flow/targets.h"

namespace ropewalk::lab::flow {
namespace {

Moments MomentsOfMap(const AffineMap& map) {
  return {map.Mean().detach().to(at::kCPU, at::kDouble).clone(),
          map.Covariance().detach().to(at::kCPU, at::kDouble)};
}

GaussianMixture TargetOn(at::Device device) {
  const GaussianMixture target = NotebookTarget();
  return {target.means().to(device), target.covariances().to(device)};
}

// One step of the generator against a ratio in closed form.
class ExactStep {
 public:
  ExactStep(const GaussianCase& options, const AffineMap& map)
      : options_(options),
        map_(map),
        loss_(Loss::Parse(options.loss)),
        target_(TargetOn(options.device)),
        adam_(MakeAdam(map, {.rate = options.rate})) {}

  void Run(int64_t step) {
    at::Generator draws = Draws(options_.seed, Purpose::kNoise, step);
    const at::Tensor z = Normal({options_.batch, 2}, draws,
                                at::dtype(at::kDouble).device(options_.device));
    const at::Tensor x = map_.Forward(z);
    if (options_.ratio == GaussianCase::Ratio::kThroughQ) {
      const auto q = GaussianMixture::Single(map_.Mean(), map_.Covariance());
      const at::Tensor d = target_.LogDensity(x) - q.LogDensity(x);
      FillGradients(-loss_.H(d).mean(), map_.parameters());
    } else {
      PushAlongFlow(x);
    }
    adam_->Step({});
  }

 private:
  // With q held still the loss moves a sample by the flow's velocity, so that
  // is all there is to send back (G4 of the tests holds the two together).
  void PushAlongFlow(const at::Tensor& x) {
    const at::Tensor here = x.detach();
    const auto q = GaussianMixture::Single(map_.Mean().detach(),
                                           map_.Covariance().detach());
    const at::Tensor slope =
        loss_.Slope(target_.LogDensity(here) - q.LogDensity(here));
    const at::Tensor velocity =
        slope.unsqueeze(1) * (target_.Score(here) - q.Score(here));
    FillGradients(x, map_.parameters(),
                  -velocity / static_cast<double>(options_.batch));
  }

  const GaussianCase& options_;
  const AffineMap& map_;
  Loss loss_;
  GaussianMixture target_;
  std::unique_ptr<optim::Optimizer> adam_;
};

std::unique_ptr<AffineMap> StartMap(at::ScalarType type, at::Device device) {
  const at::TensorOptions like = at::dtype(type).device(device);
  return std::make_unique<AffineMap>(at::ones({2}, like), at::eye(2, like));
}

std::vector<at::Tensor> ValuesOf(const Network& network) {
  std::vector<at::Tensor> values;
  for (const optim::Parameter& one : network.parameters()) {
    values.push_back(one.value.detach().clone());
  }
  return values;
}

void PutBack(const std::vector<at::Tensor>& values, const Network& network) {
  const torch::autograd::AutoGradMode off(false);
  for (size_t i = 0; i < values.size(); ++i) {
    at::Tensor value = network.parameters()[i].value;
    value.copy_(values[i]);
  }
}

// Whether S S^T is a covariance that a density can have, and mu a mean.
bool IsLaw(const AffineMap& map) {
  if (!IsFinite(map.Mean())) return false;
  const at::Tensor C = map.Covariance().detach().to(at::kCPU);
  const double determinant =
      (C[0][0] * C[1][1] - C[0][1] * C[1][0]).item<double>();
  if (!std::isfinite(determinant) || determinant <= 1e-20) return false;
  // The determinant of large entries may be positive by rounding alone.
  const auto [factor, info] = at::linalg_cholesky_ex(C, /*upper=*/false);
  return info.item<int64_t>() == 0;
}

}  // namespace

double GaussianError(const Moments& moments) {
  const GaussianMixture target = NotebookTarget();
  const double mean = (moments.mean - target.means()[0]).norm().item<double>();
  const double covariance =
      (moments.covariance - target.covariances()[0]).norm().item<double>();
  // std::max drops a NaN that comes second.
  return std::isnan(covariance) ? covariance : std::max(mean, covariance);
}

GaussianResult RunGaussianCase(const GaussianCase& options,
                               const std::function<void()>& each) {
  Require(options.steps >= 1 && options.batch >= 2 && options.rate > 0,
          "Gaussian case: steps, batch and rate are above 0");
  GaussianResult result;
  const auto record = [&](const AffineMap& map, int64_t step) {
    if (options.record_every > 0 && step % options.record_every == 0) {
      result.along.push_back(MomentsOfMap(map));
    }
  };
  if (options.ratio == GaussianCase::Ratio::kLearned) {
    auto map = StartMap(at::kFloat, options.device);
    const AffineMap& generator = *map;
    Gan gan(std::move(map),
            std::make_unique<Perceptron>(
                options.discriminator,
                NetworkOptions{.seed = options.seed, .device = options.device}),
            MakeTarget("gaussian").sample, {2},
            {.loss = options.loss,
             .batch = options.batch,
             .generator = {.rate = options.rate},
             .discriminator = {.rate = options.discriminator_rate},
             .seed = options.seed,
             .keep_every = 1000});
    record(generator, 0);
    const GanReport report =
        gan.Train(options.steps, [&](const GanReport& now) {
          record(generator, now.steps);
          if (each) each();
        });
    result.diverged = report.diverged;
    result.steps = report.steps;
    result.end = MomentsOfMap(generator);
  } else {
    const auto map = StartMap(at::kDouble, options.device);
    ExactStep exact(options, *map);
    record(*map, 0);
    for (int64_t step = 0; step < options.steps; ++step) {
      const auto before = ValuesOf(*map);
      exact.Run(step);
      if (!IsLaw(*map)) {
        PutBack(before, *map);
        result.diverged =
            "the generator's covariance is singular, or it or the mean is not "
            "finite, after step " +
            std::to_string(step + 1);
        break;
      }
      result.steps = step + 1;
      record(*map, step + 1);
      if (each) each();
    }
    result.end = MomentsOfMap(*map);
  }
  result.error = GaussianError(result.end);
  return result;
}

}  // namespace ropewalk::lab::flow
