#include "lab/optim/lion.h"

#include "lab/optim/fused.h"
#include "lab/optim/plain.h"

namespace ropewalk::lab::optim {

Lion::Lion(std::vector<Parameter> parameters, const LionOptions& lion_options)
    : ParameterwiseOptimizer(std::move(parameters), lion_options.common,
                             {.name = "lion", .slots = {"m"}}),
      lion_(lion_options) {
  RequireBeta(lion_.beta1, "beta1");
  RequireBeta(lion_.beta2, "beta2");
}

void Lion::Apply(const Update& update) {
  if (!update.fused) {
    const at::Tensor g =
        WorkingGradient(update.gradient, update.value, update.gradient_scale);
    at::Tensor m = Working(update.slots[0]);
    at::Tensor x = Working(update.value);
    at::Tensor u = (m * lion_.beta1).add_(g, 1 - lion_.beta1);
    if (options().flush_denormals) FlushDenormals(u);
    m.mul_(lion_.beta2).add_(g, 1 - lion_.beta2);
    if (options().flush_denormals) FlushDenormals(m);
    x.sub_(u.sign_().add_(x, update.weight_decay), update.learning_rate);
    update.slots[0].copy_(m);
    Store(x, update.rows, update.value);
    return;
  }
  const double scale = update.gradient_scale;
  const fused::LionArgs all{
      .x = update.value.data_ptr<float>(),
      .m = update.slots[0].data_ptr<float>(),
      .g = update.gradient.data_ptr<float>(),
      .keep1 = static_cast<float>(lion_.beta1),
      .add1 = static_cast<float>((1 - lion_.beta1) * scale),
      .keep2 = static_cast<float>(lion_.beta2),
      .add2 = static_cast<float>((1 - lion_.beta2) * scale),
      .rate = static_cast<float>(update.learning_rate),
      .decay = static_cast<float>(update.weight_decay),
      .smallest = SmallestKept()};
  OverPieces(update, [&](int64_t begin, int64_t n, bool move) {
    fused::LionArgs args = all;
    args.x += begin;
    args.m += begin;
    args.g += begin;
    args.n = n;
    args.move = move;
    fused::Lion(args);
  });
}

}  // namespace ropewalk::lab::optim
