#include "lab/flow/gaussian_case.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/error.h"
#include "lab/flow/draws.h"
#include "lab/flow/gan.h"
#include "lab/flow/gradient.h"
#include "lab/flow/targets.h"

namespace ropewalk::lab::flow {
namespace {

Moments MomentsOfMap(const AffineMap& map) {
  return {map.Mean().detach().to(at::kDouble).clone(),
          map.Covariance().detach().to(at::kDouble)};
}

// One step of the generator against a ratio in closed form.
class ExactStep {
 public:
  ExactStep(const GaussianCase& options, const AffineMap& map)
      : options_(options),
        map_(map),
        loss_(Loss::Parse(options.loss)),
        target_(NotebookTarget()),
        adam_(MakeAdam(map, {.rate = options.rate})) {}

  void Run(int64_t step) {
    at::Generator draws = Draws(options_.seed, Purpose::kNoise, step);
    const at::Tensor z =
        Normal({options_.batch, 2}, draws, at::dtype(at::kDouble));
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

std::unique_ptr<AffineMap> StartMap(at::ScalarType type) {
  return std::make_unique<AffineMap>(at::ones({2}, type), at::eye(2, type));
}

// Whether S S^T is a covariance that a density can have.
bool IsLaw(const AffineMap& map) {
  const at::Tensor C = map.Covariance().detach();
  const double determinant =
      (C[0][0] * C[1][1] - C[0][1] * C[1][0]).item<double>();
  return std::isfinite(determinant) && determinant > 1e-20;
}

double ErrorOf(const Moments& moments) {
  const GaussianMixture target = NotebookTarget();
  const double mean = (moments.mean - target.means()[0]).norm().item<double>();
  const double covariance =
      (moments.covariance - target.covariances()[0]).norm().item<double>();
  return std::max(mean, covariance);
}

}  // namespace

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
    auto map = StartMap(at::kFloat);
    const AffineMap& generator = *map;
    Gan gan(std::move(map),
            std::make_unique<Perceptron>(options.discriminator,
                                         NetworkOptions{.seed = options.seed}),
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
    const auto map = StartMap(at::kDouble);
    ExactStep exact(options, *map);
    record(*map, 0);
    for (int64_t step = 0; step < options.steps; ++step) {
      if (!IsLaw(*map)) {
        result.diverged =
            "the generator's covariance is singular or not finite at step " +
            std::to_string(step);
        break;
      }
      exact.Run(step);
      result.steps = step + 1;
      record(*map, step + 1);
      if (each) each();
    }
    result.end = MomentsOfMap(*map);
  }
  result.error = ErrorOf(result.end);
  return result;
}

}  // namespace ropewalk::lab::flow
