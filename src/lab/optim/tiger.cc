#include "lab/optim/tiger.h"

#include <algorithm>
#include <cmath>

#include "lab/optim/fused.h"
#include "lab/optim/gradients.h"
#include "lab/optim/plain.h"

namespace ropewalk::lab::optim {

Tiger::Tiger(std::vector<Parameter> parameters,
             const TigerOptions& tiger_options)
    : ParameterwiseOptimizer(
          std::move(parameters), tiger_options.common,
          {.name = "tiger", .slots = {"m"}, .every_micro_step = true}),
      tiger_(tiger_options) {
  RequireBeta(tiger_.beta, "beta");
  Require(tiger_.shrink >= 0 && tiger_.shrink <= 1,
          "optimizer: shrink must be in [0, 1], got " +
              std::to_string(tiger_.shrink));
  Require(std::isfinite(tiger_.rms_floor) && tiger_.rms_floor >= 0,
          "optimizer: rms_floor must be finite and at least 0, got " +
              std::to_string(tiger_.rms_floor));
}

bool Tiger::IsBad(double sum_squares) const { return std::isnan(sum_squares); }

void Tiger::OnBadGradient(const Update& update) {
  const bool gain = update.parameter->kind == Parameter::Kind::kGain;
  const double centre = gain ? 1 : 0;
  if (update.fused) {
    float* x = update.value.data_ptr<float>();
    fused::OverElements(update.value.numel(), [&](int64_t begin, int64_t end) {
      fused::Shrink(x + begin, end - begin, static_cast<float>(tiger_.shrink),
                    static_cast<float>(centre));
    });
    return;
  }
  update.value.copy_(
      Working(update.value).sub_(centre).mul_(tiger_.shrink).add_(centre));
}

bool Tiger::ByRow(const Update& update) const {
  return update.parameter->kind == Parameter::Kind::kEmbedding &&
         tiger_.embedding_rms == TigerOptions::EmbeddingRms::kRow;
}

double Tiger::Rate(const Update& update) const {
  return IsVector(*update.parameter) ? 0.5 * update.learning_rate
                                     : update.learning_rate;
}

double Tiger::WholeRms(const Update& update) const {
  const bool none = update.parameter->kind == Parameter::Kind::kEmbedding &&
                    tiger_.embedding_rms == TigerOptions::EmbeddingRms::kNone;
  if (IsVector(*update.parameter) || none) return 1;
  return std::max(tiger_.rms_floor, RootMeanSquare(update.value));
}

void Tiger::Apply(const Update& update) {
  if (update.fused && update.gradient.defined()) {
    ApplyFused(update);
  } else {
    ApplyPlain(update);
  }
}

void Tiger::ApplyPlain(const Update& update) const {
  // gradient_scale holds the 1 / k.
  at::Tensor m = Working(update.slots[0]);
  if (update.first) m.mul_(tiger_.beta);
  m.add_(WorkingGradient(update.gradient, m, update.gradient_scale),
         1 - tiger_.beta);
  if (options().flush_denormals) FlushDenormals(m);
  update.slots[0].copy_(m);
  if (!update.last) return;
  at::Tensor x = Working(update.value);
  at::Tensor u = m.sign().add_(x, update.weight_decay);
  if (ByRow(update)) {
    u.mul_(x.square().mean({1}, true).sqrt_().clamp_min_(tiger_.rms_floor));
  } else {
    u.mul_(WholeRms(update));
  }
  Store(x.sub_(u, Rate(update)), update.rows, update.value);
}

void Tiger::ApplyFused(const Update& update) const {
  float* x = update.value.data_ptr<float>();
  float* m = update.slots[0].data_ptr<float>();
  const float* g = update.gradient.data_ptr<float>();
  const float keep = update.first ? static_cast<float>(tiger_.beta) : 1.0f;
  const auto add =
      static_cast<float>((1 - tiger_.beta) * update.gradient_scale);
  const auto decay = static_cast<float>(update.weight_decay);
  const float smallest = SmallestKept();
  const auto average = [&](int64_t begin, int64_t n) {
    fused::Average({.m = m + begin,
                    .g = g + begin,
                    .n = n,
                    .keep = keep,
                    .add = add,
                    .smallest = smallest});
  };
  const auto move = [&](int64_t begin, int64_t n, double rate) {
    fused::Tiger({.x = x + begin,
                  .m = m + begin,
                  .g = g + begin,
                  .n = n,
                  .keep = keep,
                  .add = add,
                  .rate = static_cast<float>(rate),
                  .decay = decay,
                  .smallest = smallest});
  };
  if (!update.last) {
    fused::OverElements(update.value.numel(), [&](int64_t begin, int64_t end) {
      average(begin, end - begin);
    });
    return;
  }
  const double rate = Rate(update);
  if (!ByRow(update)) {
    const double whole = rate * WholeRms(update);
    OverPieces(update, [&](int64_t begin, int64_t n, bool moves) {
      if (moves) {
        move(begin, n, whole);
      } else {
        average(begin, n);
      }
    });
    return;
  }
  const int64_t width = update.value.size(1);
  const bool* moves =
      update.rows.defined() ? update.rows.data_ptr<bool>() : nullptr;
  fused::OverRows(update.value.size(0), width, [&](int64_t row) {
    const int64_t begin = row * width;
    if (moves != nullptr && !moves[row]) return average(begin, width);
    const double squares = fused::BlockSumSquares(x + begin, width);
    const double rms = std::sqrt(squares / static_cast<double>(width));
    move(begin, width, rate * std::max(tiger_.rms_floor, rms));
  });
}

}  // namespace ropewalk::lab::optim
