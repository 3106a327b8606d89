#include "lab/studies/step_time.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "evaluate/statistics.h"
#include "lab/nn/model.h"

namespace ropewalk::lab::studies {
namespace {

double Seconds(const nn::Model& model, const at::Tensor& ids) {
  const auto begin = std::chrono::steady_clock::now();
  const int64_t T = ids.size(1) - 1;
  const nn::Inputs inputs{.ids = ids.narrow(1, 0, T).contiguous()};
  const at::Tensor targets = ids.narrow(1, 1, T).reshape({-1});
  model
      .Loss(model.Hidden(inputs), targets, {},
            static_cast<double>(targets.numel()))
      .backward();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

}  // namespace

StepTimes TimeSteps(const train::TrainConfig& first,
                    const train::TrainConfig& second, int64_t rounds) {
  Require(rounds >= 1, "TimeSteps: rounds must be at least 1, got " +
                           std::to_string(rounds));
  const nn::Model a(first.model, first.seed);
  const nn::Model b(second.model, second.seed);
  at::manual_seed(1);
  const at::Tensor ids =
      at::randint(first.model.V, {first.batch, first.model.N + 1}, at::kLong);
  (void)Seconds(a, ids);
  (void)Seconds(b, ids);
  std::vector<double> of_a;
  std::vector<double> of_b;
  std::vector<double> ratios;
  for (int64_t round = 0; round < rounds; ++round) {
    ThrowIfInterrupted();
    of_a.push_back(Seconds(a, ids));
    of_b.push_back(Seconds(b, ids));
    ratios.push_back(of_b.back() / of_a.back());
  }
  return {.first_seconds = evaluate::Median(of_a),
          .second_seconds = evaluate::Median(of_b),
          .ratio = evaluate::Median(ratios)};
}

}  // namespace ropewalk::lab::studies
