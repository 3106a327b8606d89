#include "lab/optim/adamw.h"

#include <cmath>

#include "lab/optim/fused.h"
#include "lab/optim/plain.h"

namespace ropewalk::lab::optim {

AdamW::AdamW(std::vector<Parameter> parameters,
             const AdamWOptions& adamw_options)
    : ParameterwiseOptimizer(std::move(parameters), adamw_options.common,
                             {.name = "adamw", .slots = {"m", "v"}}),
      adamw_(adamw_options) {
  RequireBeta(adamw_.beta1, "beta1");
  RequireBeta(adamw_.beta2, "beta2");
  RequirePositive(adamw_.epsilon, "epsilon");
}

void AdamW::Apply(const Update& update) {
  const auto count = static_cast<double>(update.count);
  const double unbias1 = 1 - std::pow(adamw_.beta1, count);
  const double root = 1 / std::sqrt(1 - std::pow(adamw_.beta2, count));
  const double rate = update.learning_rate / unbias1;
  const double shrink = 1 - update.learning_rate * update.weight_decay;
  if (!update.fused) {
    const at::Tensor g =
        WorkingGradient(update.gradient, update.value, update.gradient_scale);
    at::Tensor m = Working(update.slots[0]);
    at::Tensor v = Working(update.slots[1]);
    at::Tensor x = Working(update.value);
    m.mul_(adamw_.beta1).add_(g, 1 - adamw_.beta1);
    v.mul_(adamw_.beta2).addcmul_(g, g, 1 - adamw_.beta2);
    FlushDenormals(m);
    FlushDenormals(v);
    x.mul_(shrink).addcdiv_(m, v.sqrt().mul_(root).add_(adamw_.epsilon), -rate);
    update.slots[0].copy_(m);
    update.slots[1].copy_(v);
    Store(x, update.rows, update.value);
    return;
  }
  const fused::AdamWArgs all{.x = update.value.data_ptr<float>(),
                             .m = update.slots[0].data_ptr<float>(),
                             .v = update.slots[1].data_ptr<float>(),
                             .g = update.gradient.data_ptr<float>(),
                             .n = update.value.numel(),
                             .scale = static_cast<float>(update.gradient_scale),
                             .keep1 = static_cast<float>(adamw_.beta1),
                             .add1 = static_cast<float>(1 - adamw_.beta1),
                             .keep2 = static_cast<float>(adamw_.beta2),
                             .add2 = static_cast<float>(1 - adamw_.beta2),
                             .shrink = static_cast<float>(shrink),
                             .rate = static_cast<float>(rate),
                             .root = static_cast<float>(root),
                             .epsilon = static_cast<float>(adamw_.epsilon),
                             .smallest = static_cast<float>(kSmallestNormal),
                             .move = true};
  OverPieces(update, [&](int64_t begin, int64_t n, bool move) {
    fused::AdamWArgs args = all;
    args.x += begin;
    args.m += begin;
    args.v += begin;
    args.g += begin;
    args.n = n;
    args.move = move;
    fused::AdamW(args);
  });
}

}  // namespace ropewalk::lab::optim
