#include "lab/optim/muon.h"

#include <algorithm>
#include <cmath>

#include "lab/optim/fused.h"
#include "lab/optim/gradients.h"
#include "lab/optim/plain.h"

namespace ropewalk::lab::optim {
namespace {

// The quintic that lifts small singular values fastest: kA0 + kA1 s^2 + kA2
// s^4 times s.
constexpr double kA0 = 3.4445;
constexpr double kA1 = -4.7750;
constexpr double kA2 = 2.0315;

double StepScale(int64_t rows, int64_t columns) {
  return 0.2 * std::sqrt(static_cast<double>(std::max(rows, columns)));
}

}  // namespace

at::Tensor Orthogonalize(const at::Tensor& matrix, int64_t iterations,
                         ops::Precision precision) {
  // Over the Frobenius norm no singular value is above 1.
  const double norm = std::sqrt(SumOfSquares(matrix));
  if (norm == 0) return at::zeros_like(matrix);
  const bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = ((tall ? matrix.t() : matrix) / norm).contiguous();
  at::Tensor a = at::empty({x.size(0), x.size(0)}, x.options());
  at::Tensor b = at::empty_like(a);
  at::Tensor y = at::empty_like(x);
  for (int64_t i = 0; i < iterations; ++i) {
    ops::MultiplyInto(a, {x}, {x, true}, false, precision);
    ops::MultiplyInto(b, {a}, {a}, false, precision);
    b.mul_(kA2).add_(a, kA1);
    ops::MultiplyInto(y, {b}, {x}, false, precision);
    x.mul_(kA0).add_(y);
  }
  return tall ? x.t() : x;
}

at::Tensor OrthogonalizeEach(const at::Tensor& matrices, int64_t iterations,
                             ops::Precision precision) {
  const bool tall = matrices.size(1) > matrices.size(2);
  at::Tensor x = tall ? matrices.transpose(1, 2) : matrices;
  const at::Tensor norms =
      at::linalg_vector_norm(x, 2, at::IntArrayRef({1, 2}), true, at::kDouble);
  // A matrix of zeros stays one.
  x = (x / norms.clamp_min(1e-300)).to(matrices.scalar_type()).contiguous();
  for (int64_t i = 0; i < iterations; ++i) {
    const at::Tensor a = ops::BatchedProduct(x, x.transpose(1, 2), precision);
    const at::Tensor b =
        ops::BatchedProduct(a, a, precision).mul_(kA2).add_(a, kA1);
    x = ops::BatchedProduct(b, x, precision).add_(x, kA0);
  }
  return tall ? x.transpose(1, 2) : x;
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
  const Pending step{
      .value = update.value,
      .direction = direction,
      .rate = update.learning_rate *
              StepScale(update.value.size(0), update.value.size(1)),
      .shrink = 1 - update.learning_rate * update.weight_decay};
  if (update.value.is_cuda()) {
    pending_.push_back(step);
  } else {
    Move(step, Orthogonalize(direction, muon_.iterations, muon_.precision));
  }
}

void Muon::Move(const Pending& step, const at::Tensor& direction) const {
  at::Tensor value = step.value;
  if (value.scalar_type() == direction.scalar_type()) {
    value.mul_(step.shrink).add_(direction, -step.rate);
  } else {
    value.copy_(Working(value).mul_(step.shrink).add_(direction, -step.rate));
  }
}

void Muon::Finish() {
  while (!pending_.empty()) {
    const auto others = std::stable_partition(
        pending_.begin(), pending_.end(),
        [shape = pending_.front().direction.sizes().vec()](const Pending& p) {
          return p.direction.sizes() == at::IntArrayRef(shape);
        });
    std::vector<at::Tensor> directions;
    for (auto step = pending_.begin(); step != others; ++step) {
      directions.push_back(step->direction);
    }
    const at::Tensor each = OrthogonalizeEach(
        at::stack(directions), muon_.iterations, muon_.precision);
    for (auto step = pending_.begin(); step != others; ++step) {
      Move(*step, each[step - pending_.begin()]);
    }
    pending_.erase(pending_.begin(), others);
  }
}

}  // namespace ropewalk::lab::optim
