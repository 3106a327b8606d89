#include "lab/flow/metrics.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "lab/flow/draws.h"
#include "lab/flow/finite.h"

namespace ropewalk::lab::flow {
namespace {

void RequirePoints(const at::Tensor& x, const char* what) {
  Require(x.dim() == 2 && x.size(0) >= 1 && x.size(1) >= 1,
          std::string(what) + ": points are [N, D]");
  Require(IsFinite(x), std::string(what) + ": points hold NaN or infinity");
}

// Two Gaussians of one dimension.
void RequireAlike(const Moments& a, const Moments& b) {
  const int64_t D = a.mean.dim() == 1 ? a.mean.size(0) : 0;
  for (const Moments* one : {&a, &b}) {
    Require(D >= 1 && one->mean.sizes() == at::IntArrayRef({D}) &&
                one->covariance.sizes() == at::IntArrayRef({D, D}),
            "Gaussians: means are [D] and covariances [D, D], of one D");
  }
}

// Of a symmetric matrix that is positive semidefinite but for rounding.
at::Tensor Root(const at::Tensor& matrix) {
  const auto [lambda, vectors] = at::linalg_eigh(matrix);
  return at::matmul(vectors * lambda.clamp_min(0).sqrt(), vectors.t());
}

// Both moments along dx/dt = A x + a, whose covariance moves by A C + C A^T.
Moments Slope(const LinearField& f, const Moments& at_t) {
  const at::Tensor moved = at::matmul(f.matrix, at_t.covariance);
  return {at::matmul(f.matrix, at_t.mean) + f.offset, moved + moved.t()};
}

Moments Plus(const Moments& a, double h, const Moments& slope) {
  return {a.mean + h * slope.mean, a.covariance + h * slope.covariance};
}

Moments Step(const LinearField& f, const Moments& a, double h) {
  const Moments k1 = Slope(f, a);
  const Moments k2 = Slope(f, Plus(a, h / 2, k1));
  const Moments k3 = Slope(f, Plus(a, h / 2, k2));
  const Moments k4 = Slope(f, Plus(a, h, k3));
  return {a.mean + h / 6 * (k1.mean + 2 * k2.mean + 2 * k3.mean + k4.mean),
          a.covariance + h / 6 *
                             (k1.covariance + 2 * k2.covariance +
                              2 * k3.covariance + k4.covariance)};
}

// (E_p |f - g|^2)^1/2 of two linear fields.
double Difference(const LinearField& f, const LinearField& g,
                  const Moments& p) {
  const at::Tensor matrix = f.matrix - g.matrix;
  const at::Tensor mean = at::matmul(matrix, p.mean) + f.offset - g.offset;
  const at::Tensor spread =
      at::matmul(at::matmul(matrix, p.covariance), matrix.t());
  return (mean.square().sum() + spread.trace()).sqrt().item<double>();
}

}  // namespace

Coverage ModeCoverage(const at::Tensor& samples, const at::Tensor& modes,
                      double reach) {
  RequirePoints(samples, "coverage");
  RequirePoints(modes, "coverage");
  Require(samples.size(1) == modes.size(1) && reach > 0,
          "coverage: samples and modes of one dimension, a reach above 0");
  const at::Tensor distances =
      at::cdist(samples, modes.to(samples.options()), 2, /*compute_mode=*/2);
  const auto [nearest, which] = distances.min(1);
  const at::Tensor near = nearest.le(reach);
  const at::Tensor counts =
      at::bincount(which.masked_select(near), {}, modes.size(0));
  const auto N = static_cast<double>(samples.size(0));
  const double enough = 0.2 * N / static_cast<double>(modes.size(0));
  return {.modes = counts.to(at::kDouble)
                       .ge(enough)
                       .to(at::kDouble)
                       .mean()
                       .item<double>(),
          .quality = near.to(at::kDouble).mean().item<double>()};
}

double SlicedWasserstein(const at::Tensor& a, const at::Tensor& b,
                         int64_t directions, uint64_t seed) {
  RequirePoints(a, "sliced Wasserstein");
  RequirePoints(b, "sliced Wasserstein");
  Require(a.sizes() == b.sizes() && directions > 0,
          "sliced Wasserstein: two sets of one size, a direction or more");
  at::Generator draws = Draws(seed, Purpose::kEvaluate);
  at::Tensor way =
      Normal({a.size(1), directions}, draws, a.options().dtype(at::kDouble));
  way = way / way.norm(2, 0, true);
  const auto sorted = [&](const at::Tensor& x) {
    return std::get<0>(at::sort(at::matmul(x.to(way.options()), way), 0));
  };
  return (sorted(a) - sorted(b)).square().mean().sqrt().item<double>();
}

Moments MomentsOf(const at::Tensor& x) {
  RequirePoints(x, "moments");
  Require(x.size(0) >= 2, "moments: two or more points");
  const at::Tensor wide = x.detach().to(at::kCPU, at::kDouble);
  const at::Tensor mean = wide.mean(0);
  const at::Tensor off = wide - mean;
  return {mean,
          at::matmul(off.t(), off) / static_cast<double>(wide.size(0) - 1)};
}

double GaussianKl(const Moments& a, const Moments& b) {
  RequireAlike(a, b);
  const at::Tensor precision = at::linalg_inv(b.covariance);
  const at::Tensor off = b.mean - a.mean;
  const double trace =
      at::matmul(precision, a.covariance).trace().item<double>();
  const double square = off.dot(at::matmul(precision, off)).item<double>();
  const double logs =
      (at::logdet(b.covariance) - at::logdet(a.covariance)).item<double>();
  return 0.5 * (trace + square + logs - static_cast<double>(off.size(0)));
}

double GaussianW2(const Moments& a, const Moments& b) {
  RequireAlike(a, b);
  const at::Tensor root = Root(a.covariance);
  const at::Tensor cross =
      Root(at::matmul(at::matmul(root, b.covariance), root));
  const double square =
      ((a.mean - b.mean).square().sum() + a.covariance.trace() +
       b.covariance.trace() - 2 * cross.trace())
          .item<double>();
  return std::sqrt(std::max(0.0, square));
}

double InceptionScore(const at::Tensor& logits) {
  RequirePoints(logits, "inception score");
  const at::Tensor log_p = at::log_softmax(logits.to(at::kDouble), 1);
  const at::Tensor p = log_p.exp();
  const at::Tensor log_mean = p.mean(0).clamp_min(1e-300).log();
  return (p * (log_p - log_mean)).sum(1).mean().exp().item<double>();
}

at::Tensor NearestDistances(const at::Tensor& a, const at::Tensor& b) {
  Require(a.size(0) >= 1 && b.size(0) >= 1 &&
              a.sizes().slice(1) == b.sizes().slice(1),
          "nearest distances: two sets of samples of one shape");
  Require(IsFinite(a) && IsFinite(b),
          "nearest distances: a sample holds NaN or infinity");
  const at::Tensor flat_a = a.flatten(1);
  const at::Tensor flat_b = b.flatten(1);
  // By |a|^2 - 2 a.b + |b|^2, a run of b at a time, so memory stays small.
  constexpr int64_t kRun = 4096;
  const at::Tensor squares = flat_a.square().sum(1, true);
  at::Tensor least;
  for (int64_t begin = 0; begin < flat_b.size(0); begin += kRun) {
    const at::Tensor part =
        flat_b.slice(0, begin, std::min(begin + kRun, flat_b.size(0)))
            .to(flat_a.device());
    const at::Tensor all = squares - 2 * at::matmul(flat_a, part.t()) +
                           part.square().sum(1).unsqueeze(0);
    const at::Tensor here = std::get<0>(all.min(1));
    least = least.defined() ? at::minimum(least, here) : here;
  }
  return least.clamp_min(0).sqrt();
}

WassersteinBound LinearFlowBound(const LinearField& f, const LinearField& g,
                                 const Moments& p, const Moments& q, double T,
                                 int64_t steps) {
  Require(T > 0 && steps >= 1, "bound: T and steps are above 0");
  const double h = T / static_cast<double>(steps);
  WassersteinBound result;
  // (x-y).(G(x-y)) >= -L |x-y|^2: minus the least eigenvalue of G's
  // symmetric part.
  result.L =
      -at::linalg_eigvalsh((g.matrix + g.matrix.t()) / 2).min().item<double>();
  Moments at_p = p;
  Moments at_q = q;
  const auto integrand = [&](double t) {
    return std::exp(result.L * t) * Difference(f, g, at_p);
  };
  for (int64_t i = 0; i < steps; ++i) {
    const double t = T - static_cast<double>(i) * h;
    const double at_end = integrand(t);
    at_p = Step(f, at_p, -h / 2);
    const double in_middle = integrand(t - h / 2);
    at_p = Step(f, at_p, -h / 2);
    at_q = Step(g, at_q, -h);
    result.bound += h / 6 * (at_end + 4 * in_middle + integrand(t - h));
  }
  result.bound += std::exp(result.L * T) * GaussianW2(p, q);
  result.distance = GaussianW2(at_p, at_q);
  return result;
}

}  // namespace ropewalk::lab::flow
