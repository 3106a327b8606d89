#include "lab/studies/attention_rank.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace ropewalk::lab::studies {
namespace {

constexpr double kMasked = -std::numeric_limits<double>::infinity();

at::Tensor Above(int64_t n) { return at::ones({n, n}, at::kBool).triu_(1); }

void RequireSquare(const at::Tensor& matrix) {
  Require(matrix.dim() == 2 && matrix.size(0) == matrix.size(1) &&
              matrix.size(0) > 0 && matrix.scalar_type() == at::kDouble,
          "rank: a square matrix in float64 is wanted");
}

}  // namespace

RankFigures RankOf(const at::Tensor& matrix) {
  RequireSquare(matrix);
  const at::Tensor values = at::linalg_svdvals(matrix);
  const double largest = values[0].item<double>();
  RankFigures figures{.n = matrix.size(0)};
  if (!(largest > 0)) return figures;
  const at::Tensor relative = values / largest;
  figures.rank = (relative > 1e-3).sum().item<int64_t>();
  figures.full = (relative > 1e-12).sum().item<int64_t>();
  figures.condition = relative.min().item<double>();
  const at::Tensor dense = relative.contiguous();
  figures.spectrum.assign(dense.data_ptr<double>(),
                          dense.data_ptr<double>() + dense.numel());
  const at::Tensor p = values / values.sum();
  figures.effective = std::exp(-at::xlogy(p, p).sum().item<double>());
  return figures;
}

at::Tensor SoftmaxAttention(const at::Tensor& scores, bool causal) {
  RequireSquare(scores);
  return at::softmax(
      causal ? scores.masked_fill(Above(scores.size(0)), kMasked) : scores, 1);
}

at::Tensor LinearAttention(const at::Tensor& queries, const at::Tensor& keys,
                           bool causal) {
  Require(queries.dim() == 2 && queries.sizes() == keys.sizes(),
          "rank: queries and keys must both be [n, d]");
  at::Tensor weights = at::mm(at::elu(queries) + 1, (at::elu(keys) + 1).t());
  if (causal) weights = weights.tril();
  return weights / weights.sum(1, true);
}

double LogDeterminant(const at::Tensor& scores) {
  RequireSquare(scores);
  return at::log_softmax(scores.masked_fill(Above(scores.size(0)), kMasked), 1)
      .diagonal()
      .sum()
      .item<double>();
}

}  // namespace ropewalk::lab::studies
