// How near a set of samples is to its target.
//
// What takes samples throws std::invalid_argument for another shape than is
// written and for NaN and infinity in them: a score of those says nothing.

#ifndef ROPEWALK_LAB_FLOW_METRICS_H_
#define ROPEWALK_LAB_FLOW_METRICS_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace ropewalk::lab::flow {

struct Coverage {
  double modes = 0;    // share of modes that are covered
  double quality = 0;  // share of samples within reach of a mode
};

// A sample belongs to its nearest mode where it lies within `reach` of it; a
// mode is covered by a fifth of the samples that an even spread would give it.
//
//   samples [N, D], modes [M, D]
Coverage ModeCoverage(const at::Tensor& samples, const at::Tensor& modes,
                      double reach);

// Sliced 2-Wasserstein distance of two sets of N points in D dimensions:
// the root mean square, over `directions` random ones, of the distance of the
// projections. Throws std::invalid_argument for sets of different sizes.
double SlicedWasserstein(const at::Tensor& a, const at::Tensor& b,
                         int64_t directions, uint64_t seed);

struct Moments {
  at::Tensor mean;        // [D], float64
  at::Tensor covariance;  // [D, D], of the sample (divided by N - 1)
};
Moments MomentsOf(const at::Tensor& x);  // [N, D], N >= 2

// Closed forms for Gaussians. KL(a || b) in nats; the 2-Wasserstein distance
//   W2^2 = |m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2),
// whose square, on a classifier's features, is the Frechet distance of FID.
// Throw std::invalid_argument for Gaussians of two dimensions.
double GaussianKl(const Moments& a, const Moments& b);
double GaussianW2(const Moments& a, const Moments& b);

// exp of the mean KL of p(y | x) to its mean: between 1 and the number of
// classes. logits [N, Y].
double InceptionScore(const at::Tensor& logits);

// Euclidean distance of each of a [N, ...] to its nearest of b [M, ...]; [N],
// on a's device.
at::Tensor NearestDistances(const at::Tensor& a, const at::Tensor& b);

// A linear flow dx/dt = A x + a.
struct LinearField {
  at::Tensor matrix;  // [D, D], float64
  at::Tensor offset;  // [D]
};

// Post 9467, without noise: x and y run from time T to 0 by dx/dt = f and
// dy/dt = g, from Gaussians p_T and q_T, and
//
//   W2[p_0, q_0] <= int_0^T I_t (E_{p_t} |f - g|^2)^1/2 dt + I_T W2[p_T, q_T],
//
// I_t = exp(L t), L the least with (x-y).(g(x)-g(y)) >= -L |x-y|^2.
struct WassersteinBound {
  double distance = 0;  // the left side
  double bound = 0;     // the right
  double L = 0;
};

// In `steps` steps of RK4 on the moments and of Simpson on the integral.
WassersteinBound LinearFlowBound(const LinearField& f, const LinearField& g,
                                 const Moments& p, const Moments& q, double T,
                                 int64_t steps);

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_METRICS_H_
