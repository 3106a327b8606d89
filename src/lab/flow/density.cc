#include "lab/flow/density.h"

#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "base/error.h"
#include "lab/flow/draws.h"
#include "lab/flow/finite.h"

namespace ropewalk::lab::flow {
namespace {

// Lower factors; refuses by the rule, not by the number that LAPACK stopped at.
at::Tensor CholeskyFactors(const at::Tensor& covariances) {
  const auto [factors, info] =
      at::linalg_cholesky_ex(covariances, /*upper=*/false);
  Require(info.eq(0).all().item<bool>(),
          "density: a covariance is not positive definite");
  return factors;
}

// But for the rounding of whatever made them: half of the type's digits.
void RequireSymmetric(const at::Tensor& covariances) {
  const double digits =
      covariances.scalar_type() == at::kDouble ? 0x1p-26 : 0x1p-12;
  const at::Tensor off = (covariances - covariances.transpose(1, 2)).abs();
  Require(off.max().item<double>() <=
              digits * covariances.abs().max().item<double>(),
          "density: a covariance is not symmetric");
}

}  // namespace

GaussianMixture::GaussianMixture(at::Tensor means, at::Tensor covariances,
                                 at::Tensor weights)
    : means_(std::move(means)),
      covariances_(std::move(covariances)),
      weights_(std::move(weights)) {
  Require(means_.dim() == 2 && means_.size(0) >= 1 && means_.size(1) >= 1,
          "density: means are [K, D]");
  const int64_t K = means_.size(0);
  const int64_t D = means_.size(1);
  Require(covariances_.sizes() == at::IntArrayRef({K, D, D}),
          "density: covariances are [K, D, D], one for each mean");
  if (!weights_.defined()) weights_ = at::ones({K}, means_.options());
  Require(weights_.sizes() == at::IntArrayRef({K}) &&
              weights_.gt(0).all().item<bool>() && IsFinite(weights_),
          "density: weights are [K], positive and finite");
  Require(IsFinite(means_) && IsFinite(covariances_),
          "density: means or covariances hold NaN or infinity");
  RequireSymmetric(covariances_.detach());
  weights_ = weights_ / weights_.sum();
  factors_ = CholeskyFactors(covariances_);
  precisions_ = at::cholesky_inverse(factors_);
  log_scales_ = weights_.log() - factors_.diagonal(0, 1, 2).log().sum(1) -
                0.5 * static_cast<double>(D) * std::log(2 * std::numbers::pi);
}

GaussianMixture GaussianMixture::Single(const at::Tensor& mean,
                                        const at::Tensor& covariance) {
  return {mean.unsqueeze(0), covariance.unsqueeze(0)};
}

at::Tensor GaussianMixture::Offsets(const at::Tensor& x) const {
  Require(x.dim() == 2 && x.size(1) == D(),
          "density: points are [N, " + std::to_string(D()) + "]");
  return x.unsqueeze(0) - means_.unsqueeze(1);
}

at::Tensor GaussianMixture::LogParts(const at::Tensor& offsets) const {
  const at::Tensor squares =
      (at::matmul(offsets, precisions_) * offsets).sum(2);
  return log_scales_.unsqueeze(1) - 0.5 * squares;
}

at::Tensor GaussianMixture::LogDensity(const at::Tensor& x) const {
  return at::logsumexp(LogParts(Offsets(x)), 0);
}

at::Tensor GaussianMixture::Score(const at::Tensor& x) const {
  const at::Tensor offsets = Offsets(x);
  const at::Tensor shares = at::softmax(LogParts(offsets), 0);  // [K, N]
  return -(shares.unsqueeze(2) * at::matmul(offsets, precisions_)).sum(0);
}

at::Tensor GaussianMixture::Sample(int64_t n, at::Generator& draws) const {
  const at::Tensor chosen =
      at::multinomial(weights_.to(at::kCPU), n, true, draws)
          .to(means_.device());
  const at::Tensor z = Normal({n, D(), 1}, draws, means_.options());
  return means_.index_select(0, chosen) +
         at::matmul(factors_.index_select(0, chosen), z).squeeze(2);
}

GaussianMixture FlowedDensity(const GaussianMixture& start,
                              const GaussianMixture& target, double t) {
  Require(target.K() == 1, "flow: the target of a closed form is one Gaussian");
  Require(start.D() == target.D(),
          "flow: start and target differ in dimension");
  Require(t >= 0, "flow: time runs forward from 0");
  const at::Tensor mean = target.means()[0];
  const at::Tensor covariance = target.covariances()[0];
  // e^{-Pt} over the eigenvectors of C_p, whose precisions are 1 / lambda.
  const auto [lambda, vectors] = at::linalg_eigh(covariance);
  const at::Tensor decay =
      at::matmul(vectors * (-t / lambda).exp(), vectors.t());
  return {mean + at::matmul(start.means() - mean, decay),
          covariance +
              at::matmul(at::matmul(decay, start.covariances() - covariance),
                         decay),
          start.weights()};
}

}  // namespace ropewalk::lab::flow
