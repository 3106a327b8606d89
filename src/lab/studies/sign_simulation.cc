#include "lab/studies/sign_simulation.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "base/error.h"
#include "lab/optim/tiger.h"

namespace ropewalk::lab::studies {

std::vector<RowSize> GrowRow(const RowGrowth& growth) {
  Require(growth.every >= 1, "row growth: every must be at least 1, got " +
                                 std::to_string(growth.every));
  constexpr int64_t kWidth = 8;
  // Pushed outwards: each component against the sign of its gradient.
  at::Tensor signs = at::ones({1, kWidth}, at::kFloat);
  signs.slice(1, 0, kWidth, 2).neg_();
  const optim::Parameter row{"row", (signs * growth.start).requires_grad_(true),
                             optim::Parameter::Kind::kEmbedding};
  optim::Tiger tiger({row},
                     {.common = {.learning_rate = growth.learning_rate,
                                 .weight_decay = growth.weight_decay,
                                 .flush_denormals = growth.flush_denormals}});
  std::vector<RowSize> sizes;
  for (int64_t update = 0; update <= growth.updates; ++update) {
    if (update % growth.every == 0) {
      const double decay =
          std::exp(-growth.learning_rate * static_cast<double>(update));
      sizes.push_back(
          {.update = update,
           .measured = row.value.detach().abs().max().item<double>(),
           .closed_form =
               1 / (growth.weight_decay +
                    (1 / growth.start - growth.weight_decay) * decay)});
    }
    const double size = update == 0 ? growth.gradient : 0;
    row.value.mutable_grad() = (signs * -size).detach();
    tiger.Step({});
  }
  return sizes;
}

}  // namespace ropewalk::lab::studies
