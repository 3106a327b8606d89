#include "lab/nn/head.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"

namespace ropewalk::lab::nn {

OutputHead::OutputHead(const ModelConfig& config, const at::Tensor& embedding,
                       ParameterMaker& maker)
    : mode_(config.head), E_(config.E), matrix_(embedding) {
  if (mode_ == Head::kUntied) matrix_ = maker.Output("head.weight");
  if (mode_ == Head::kTiedOrthogonal) {
    projection_ = maker.Orthogonal("head.projection", E_);
  }
}

at::Tensor OutputHead::Turn(const at::Tensor& hidden) const {
  const int64_t half = E_ / 2;
  switch (mode_) {
    case Head::kTied:
    case Head::kTiedSigma:
    case Head::kUntied:
      return hidden;
    case Head::kTiedOrthogonal:
      return at::mm(hidden, projection_);
    case Head::kTiedHalfSwap:
      return at::cat({hidden.narrow(1, half, half), hidden.narrow(1, 0, half)},
                     1);
    case Head::kTiedShuffle:
      return hidden.view({-1, 2, half}).transpose(1, 2).reshape({-1, E_});
    case Head::kTiedRootWidth:
      return hidden * (1 / std::sqrt(static_cast<double>(E_)));
  }
  ROPEWALK_CHECK(false);
  return {};
}

}  // namespace ropewalk::lab::nn
