// Densities in closed form: mixtures of Gaussians, of which one Gaussian is
// the simplest.

#ifndef ROPEWALK_LAB_FLOW_DENSITY_H_
#define ROPEWALK_LAB_FLOW_DENSITY_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace ropewalk::lab::flow {

// sum_k w_k N(m_k, C_k) in D dimensions. Immutable after construction.
// Everything is computed in the type of the means; gradients flow through
// means and covariances where they ask for them.
class GaussianMixture {
 public:
  //   means        [K, D]
  //   covariances  [K, D, D], symmetric and positive definite
  //   weights      [K], positive, of any sum; undefined: all equal
  //
  // Throws std::invalid_argument where shapes or weights are other ones, where
  // a number is not finite, and where a covariance is not symmetric or has no
  // Cholesky factor.
  GaussianMixture(at::Tensor means, at::Tensor covariances,
                  at::Tensor weights = {});

  // One Gaussian: mean [D], covariance [D, D].
  static GaussianMixture Single(const at::Tensor& mean,
                                const at::Tensor& covariance);

  at::Tensor LogDensity(const at::Tensor& x) const;  // [N, D] -> [N]
  at::Tensor Score(const at::Tensor& x) const;       // its gradient, [N, D]
  at::Tensor Sample(int64_t n, at::Generator& draws) const;  // [n, D]

  int64_t D() const { return means_.size(1); }
  int64_t K() const { return means_.size(0); }
  const at::Tensor& means() const { return means_; }
  const at::Tensor& covariances() const { return covariances_; }
  const at::Tensor& weights() const { return weights_; }

 private:
  // x - m_k as [K, N, D], and log w_k N(x; m_k, C_k) as [K, N].
  at::Tensor Offsets(const at::Tensor& x) const;
  at::Tensor LogParts(const at::Tensor& offsets) const;

  at::Tensor means_, covariances_, weights_;
  at::Tensor factors_;     // [K, D, D], lower Cholesky factors
  at::Tensor precisions_;  // [K, D, D]
  at::Tensor log_scales_;  // [K], log w_k - log det / 2 - D/2 log 2 pi
};

// The Wasserstein gradient flow of KL(q || p) for a Gaussian p, in closed form
// (post 9660): dx/dt = grad log p - grad log q_t is the flow of the
// Fokker-Planck equation, under which each component of a mixture q_0 stays
// Gaussian,
//
//   m(t) = m_p + e^{-P t} (m(0) - m_p)
//   C(t) = C_p + e^{-P t} (C(0) - C_p) e^{-P t},   P the precision of p.
//
// Throws std::invalid_argument unless p has one component and t >= 0.
GaussianMixture FlowedDensity(const GaussianMixture& start,
                              const GaussianMixture& target, double t);

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_DENSITY_H_
