// The rank of attention matrices (post 9529): softmax and linear attention,
// causal and bidirectional, over the same queries and keys.

#ifndef ROPEWALK_LAB_STUDIES_ATTENTION_RANK_H_
#define ROPEWALK_LAB_STUDIES_ATTENTION_RANK_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace ropewalk::lab::studies {

struct RankFigures {
  int64_t n = 0;                 // rows and columns
  int64_t rank = 0;              // singular values above 1e-3 of the largest
  int64_t full = 0;              // above 1e-12 of it
  double condition = 0;          // smallest singular value over the largest
  double effective = 0;          // exp of the entropy of their distribution
  std::vector<double> spectrum;  // over the largest, in falling order
};

// Of a matrix [n, n] in float64, by its singular values. Throws
// std::invalid_argument for any other.
RankFigures RankOf(const at::Tensor& matrix);

// Weights [n, n] of scores [n, n], row by row; `causal` masks what is above
// the diagonal.
at::Tensor SoftmaxAttention(const at::Tensor& scores, bool causal);

// Row-normalised phi(q) phi(k)^T of queries and keys [n, d], phi = elu + 1
// (Katharopoulos et al. 2020): of rank d at most where it is not masked.
at::Tensor LinearAttention(const at::Tensor& queries, const at::Tensor& keys,
                           bool causal);

// ln det of causal attention: the sum over i of ln A_ii, as a triangular
// matrix has it, and finite whatever the scores. From the logarithm of the
// weights, since those themselves may round to 0: neither elimination nor
// singular values can tell full rank there.
double LogDeterminant(const at::Tensor& scores);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_ATTENTION_RANK_H_
