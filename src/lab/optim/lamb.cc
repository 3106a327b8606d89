#include "lab/optim/lamb.h"

#include <algorithm>
#include <cmath>

#include "lab/optim/fused.h"
#include "lab/optim/plain.h"

namespace ropewalk::lab::optim {

Lamb::Lamb(std::vector<Parameter> parameters, const LambOptions& lamb_options)
    : ParameterwiseOptimizer(std::move(parameters), lamb_options.common,
                             {.name = "lamb", .slots = {"m", "v"}}),
      lamb_(lamb_options) {
  RequireBeta(lamb_.beta1, "beta1");
  RequireBeta(lamb_.beta2, "beta2");
  RequirePositive(lamb_.epsilon, "epsilon");
}

double Lamb::Rate(const Update& update, double direction, double weight) const {
  const bool trusted =
      !IsVector(*update.parameter) && direction > 0 && weight > 0;
  return update.learning_rate * (trusted ? std::sqrt(weight / direction) : 1);
}

void Lamb::ApplyPlain(const Update& update, double unbias, double root) const {
  const at::Tensor g =
      WorkingGradient(update.gradient, update.value, update.gradient_scale);
  at::Tensor m = Working(update.slots[0]);
  at::Tensor v = Working(update.slots[1]);
  at::Tensor x = Working(update.value);
  m.mul_(lamb_.beta1).add_(g, 1 - lamb_.beta1);
  v.mul_(lamb_.beta2).addcmul_(g, g, 1 - lamb_.beta2);
  FlushDenormals(m);
  FlushDenormals(v);
  update.slots[0].copy_(m);
  update.slots[1].copy_(v);
  at::Tensor u = m.mul_(unbias).div_(v.sqrt_().mul_(root).add_(lamb_.epsilon));
  u.add_(x, update.weight_decay);
  at::Tensor u_squares = u.to(at::kDouble).square();
  at::Tensor x_squares = x.to(at::kDouble).square();
  if (update.rows.defined()) {
    u_squares.mul_(update.rows.unsqueeze(1));
    x_squares.mul_(update.rows.unsqueeze(1));
  }
  const double rate = Rate(update, u_squares.sum().item<double>(),
                           x_squares.sum().item<double>());
  Store(x.sub_(u, rate), update.rows, update.value);
}

void Lamb::Apply(const Update& update) {
  const auto count = static_cast<double>(update.count);
  const double unbias = 1 / (1 - std::pow(lamb_.beta1, count));
  const double root = 1 / std::sqrt(1 - std::pow(lamb_.beta2, count));
  if (!update.fused) return ApplyPlain(update, unbias, root);

  float* x = update.value.data_ptr<float>();
  float* m = update.slots[0].data_ptr<float>();
  float* v = update.slots[1].data_ptr<float>();
  const float* g = update.gradient.data_ptr<float>();
  const fused::AdamWArgs moments{
      .scale = static_cast<float>(update.gradient_scale),
      .keep1 = static_cast<float>(lamb_.beta1),
      .add1 = static_cast<float>(1 - lamb_.beta1),
      .keep2 = static_cast<float>(lamb_.beta2),
      .add2 = static_cast<float>(1 - lamb_.beta2),
      .smallest = static_cast<float>(kSmallestNormal),
      .move = false};
  const auto direction = [&](int64_t begin, int64_t n) {
    return fused::LambArgs{.x = x + begin,
                           .m = m + begin,
                           .v = v + begin,
                           .n = n,
                           .unbias = static_cast<float>(unbias),
                           .root = static_cast<float>(root),
                           .epsilon = static_cast<float>(lamb_.epsilon),
                           .decay = static_cast<float>(update.weight_decay)};
  };
  // Sums by fixed pieces, joined in order: a row where some rows do not move,
  // else a block.
  const int64_t n = update.value.numel();
  const bool* moves =
      update.rows.defined() ? update.rows.data_ptr<bool>() : nullptr;
  const int64_t piece = moves != nullptr ? update.value.size(1) : fused::kBlock;
  const int64_t pieces = piece == 0 ? 0 : (n + piece - 1) / piece;
  struct Sums {
    double direction = 0, weight = 0;
  };
  std::vector<Sums> sums(static_cast<size_t>(pieces));
  fused::OverRows(pieces, piece, [&](int64_t index) {
    const int64_t begin = index * piece;
    fused::AdamWArgs args = moments;
    args.m = m + begin;
    args.v = v + begin;
    args.g = g + begin;
    args.n = std::min(piece, n - begin);
    fused::AdamW(args);
    if (moves != nullptr && !moves[index]) return;
    Sums& own = sums[static_cast<size_t>(index)];
    fused::LambNorms(direction(begin, args.n), &own.direction, &own.weight);
  });
  Sums whole;
  for (const Sums& part : sums) {
    whole.direction += part.direction;
    whole.weight += part.weight;
  }
  const double rate = Rate(update, whole.direction, whole.weight);
  fused::OverRows(pieces, piece, [&](int64_t index) {
    if (moves != nullptr && !moves[index]) return;
    const int64_t begin = index * piece;
    fused::LambMove(direction(begin, std::min(piece, n - begin)),
                    static_cast<float>(rate));
  });
}

}  // namespace ropewalk::lab::optim
