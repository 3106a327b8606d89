// The discriminator of a flow: what of gan.h learns without a generator.

#include <torch/csrc/autograd/grad_mode.h>

#include <cmath>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "lab/flow/draws.h"
#include "lab/flow/finite.h"
#include "lab/flow/gan.h"
#include "lab/flow/gradient.h"

namespace ropewalk::lab::flow {
namespace {

// D and its optimiser as they are, for as long as a Fit may fail.
class Before {
 public:
  Before(const Network& D, optim::Optimizer& adam)
      : D_(D), adam_(adam), state_(adam.ExportState()) {
    for (const optim::Parameter& one : D.parameters()) {
      values_.push_back(one.value.detach().clone());
    }
    for (auto& [name, tensor] : state_.tensors) tensor = tensor.clone();
  }

  void Restore() const {
    const torch::autograd::AutoGradMode off(false);
    for (size_t i = 0; i < values_.size(); ++i) {
      at::Tensor value = D_.parameters()[i].value;
      value.copy_(values_[i]);
    }
    adam_.ImportState(state_, "state");
  }

 private:
  const Network& D_;
  optim::Optimizer& adam_;
  std::vector<at::Tensor> values_;
  optim::OptimizerState state_;
};

}  // namespace

LearnedRatio::LearnedRatio(std::unique_ptr<Network> discriminator,
                           Sampler sample, Options options)
    : discriminator_(std::move(discriminator)),
      adam_(MakeAdam(*discriminator_, options.adam)),
      sample_(std::move(sample)),
      options_(options) {
  Require(options_.batch >= 2 && options_.steps >= 1 && options_.warm_up >= 0,
          "flow: a discriminator learns by batches of two or more, in one or "
          "more steps");
}

std::optional<std::string> LearnedRatio::Learn(const at::Tensor& particles) {
  at::Generator target = Draws(options_.seed, Purpose::kTarget, steps_);
  at::Generator noise = Draws(options_.seed, Purpose::kNoise, steps_);
  const at::Tensor real =
      sample_(options_.batch, target).to(particles.options());
  Require(real.sizes().slice(1) == particles.sizes().slice(1),
          "flow: the target's points and the particles differ in shape");
  const at::Tensor chosen = at::randint(particles.size(0), {options_.batch},
                                        noise, at::dtype(at::kLong))
                                .to(particles.device());
  const at::Tensor fake = particles.detach().index_select(0, chosen);
  const at::Tensor on_real = LogRatio(real, 0);
  const at::Tensor on_fake = LogRatio(fake, 0);
  // The loss of an infinite logit may be 0.
  if (!IsFinite(on_real) || !IsFinite(on_fake)) return "a logit";
  const at::Tensor loss = LogitLoss(on_real, on_fake);
  if (!IsFinite(loss)) return "its loss";
  FillGradients(loss, discriminator_->parameters());
  adam_->Step({});
  for (const optim::Parameter& one : discriminator_->parameters()) {
    if (!IsFinite(one.value)) return "'" + one.name + "'";
  }
  return std::nullopt;
}

void LearnedRatio::Fit(const at::Tensor& particles, double) {
  Require(particles.dim() >= 2 && particles.size(0) >= 1 && IsFinite(particles),
          "flow: particles are one or more, [N, ...], all finite");
  const Before before(*discriminator_, *adam_);
  const int64_t first = steps_;
  const int64_t steps = options_.steps + (steps_ == 0 ? options_.warm_up : 0);
  for (int64_t k = 0; k < steps; ++k, ++steps_) {
    if (const auto bad = Learn(particles)) {
      const int64_t at_step = steps_ + 1;
      before.Restore();
      steps_ = first;
      throw std::runtime_error("flow: the discriminator diverged: " + *bad +
                               " stopped being finite at its step " +
                               std::to_string(at_step) +
                               "; a smaller rate may hold it");
    }
  }
}

at::TensorOptions LearnedRatio::like() const {
  return discriminator_->parameters().front().value.options().requires_grad(
      false);
}

at::Tensor LearnedRatio::LogRatio(const at::Tensor& x, double) const {
  const at::Tensor logits = discriminator_->Forward(x);
  Require(logits.numel() == x.size(0),
          "GAN: a discriminator gives one logit a sample");
  return logits.view({x.size(0)});
}

}  // namespace ropewalk::lab::flow
