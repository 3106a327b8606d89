#include "lab/optim/muon.h"

#include <algorithm>
#include <cmath>

#include "lab/optim/fused.h"
#include "lab/optim/gradients.h"
#include "lab/optim/plain.h"

namespace ropewalk::lab::optim {
namespace {

double StepScale(MuonOptions::Scale scale, int64_t rows, int64_t columns) {
  const auto r = static_cast<double>(rows);
  const auto c = static_cast<double>(columns);
  return scale == MuonOptions::Scale::kSpectral
             ? std::sqrt(std::max(1.0, r / c))
             : 0.2 * std::sqrt(std::max(r, c));
}

}  // namespace

at::Tensor Orthogonalize(const at::Tensor& matrix, int64_t iterations,
                         ops::Precision precision) {
  // Over the Frobenius norm no singular value is above 1.
  const bool tall = matrix.size(0) > matrix.size(1);
  const at::Tensor wide = tall ? matrix.t() : matrix;
  at::Tensor x;
  if (matrix.is_cuda()) {  // without waiting for the norm
    const at::Tensor norm =
        at::linalg_vector_norm(matrix, 2, c10::nullopt, false, at::kDouble);
    x = (wide / norm.clamp_min(1e-300)).contiguous();
  } else {
    const double norm = std::sqrt(SumOfSquares(matrix));
    if (norm == 0) return at::zeros_like(matrix);
    x = (wide / norm).contiguous();
  }
  at::Tensor a = at::empty({x.size(0), x.size(0)}, x.options());
  at::Tensor b = at::empty_like(a);
  at::Tensor y = at::empty_like(x);
  for (int64_t i = 0; i < iterations; ++i) {
    ops::MultiplyInto(a, {x}, {x, true}, false, precision);
    ops::MultiplyInto(b, {a}, {a}, false, precision);
    b.mul_(2.0315).add_(a, -4.7750);
    ops::MultiplyInto(y, {b}, {x}, false, precision);
    x.mul_(3.4445).add_(y);
  }
  return tall ? x.t() : x;
}

Muon::Muon(std::vector<Parameter> parameters, const MuonOptions& muon_options)
    : ParameterwiseOptimizer(std::move(parameters), muon_options.common,
                             {.name = "muon", .slots = {"m"}}),
      muon_(muon_options) {
  RequireBeta(muon_.momentum, "momentum");
  Require(muon_.iterations >= 1,
          "optimizer: iterations must be at least 1, "
          "got " +
              std::to_string(muon_.iterations));
  for (const Parameter& parameter : this->parameters()) {
    Require(parameter.kind == Parameter::Kind::kMatrix &&
                parameter.value.dim() == 2,
            "optimizer: Muon takes hidden matrices of 2 dimensions; '" +
                parameter.name + "' belongs to another group");
  }
}

void Muon::Apply(const Update& update) {
  // m = momentum * m + g. The scale of m does not matter: Orthogonalize
  // divides it out.
  at::Tensor m = update.slots[0];
  if (update.fused) {
    const auto keep = static_cast<float>(muon_.momentum);
    const auto add = static_cast<float>(update.gradient_scale);
    const float smallest = SmallestKept();
    OverPieces(update, [&](int64_t begin, int64_t n, bool) {
      fused::Average({.m = m.data_ptr<float>() + begin,
                      .g = update.gradient.data_ptr<float>() + begin,
                      .n = n,
                      .keep = keep,
                      .add = add,
                      .smallest = smallest});
    });
  } else {
    m = Working(m)
            .mul_(muon_.momentum)
            .add_(Working(update.gradient), update.gradient_scale);
    if (options().flush_denormals) FlushDenormals(m);
    update.slots[0].copy_(m);
  }
  at::Tensor direction = m;
  if (muon_.nesterov) {
    direction = Working(update.gradient)
                    .mul_(update.gradient_scale)
                    .add_(m, muon_.momentum);
  }
  direction = Orthogonalize(direction, muon_.iterations, muon_.precision);
  const double rate =
      update.learning_rate *
      StepScale(muon_.scale, update.value.size(0), update.value.size(1));
  const double shrink = 1 - update.learning_rate * update.weight_decay;
  if (update.value.scalar_type() == direction.scalar_type()) {
    at::Tensor value = update.value;
    value.mul_(shrink).add_(direction, -rate);
  } else {
    update.value.copy_(
        Working(update.value).mul_(shrink).add_(direction, -rate));
  }
}

}  // namespace ropewalk::lab::optim
