// The backward pass of attention on strips (strip.h).
//
// Weights are computed again from the scores and the logarithm of each lane's
// sum. Weights and gradients of scores have one query in each lane, so there
// are no sums across lanes here either:
//
//   weights  [keys, lanes] = 2^(keys queries - lse)
//   d_weights              = values d_output         (values [keys, Dv])
//   d_scores               = weights (d_weights - delta)
//   d_queries   [D, lanes] += keys^T d_scores
//
//   d_keys     [keys, D] += d_scores queries        (queries [lanes, D])
//
// d_values [keys, Dv] follows from weights and d_output as d_keys does from
// d_scores and queries. These two sum over the lanes, so they need queries and
// d_output as rows.

#ifndef ROPEWALK_KERNELS_CPU_STRIP_GRADIENT_H_
#define ROPEWALK_KERNELS_CPU_STRIP_GRADIENT_H_

#include <cstdint>

#include "kernels/cpu/strip.h"

namespace ropewalk::kernels {

// Computes weights and gradients of scores (with scores as natural logarithms)
// of keys [begin, end), both multiples of kKeyBlock. As in StripScores, with
// one piece and `whole` every lane sees every key; otherwise the first piece
// that shows a pair decides it. Each piece gets the gradients of its own pairs
// and zeros for all others. Pairs that no piece shows get zeros even if the
// operands hold NaN.
struct StripGradientArgs {
  const StripPiece* pieces = nullptr;
  int64_t piece_count = 0;
  bool whole = false;
  int64_t begin = 0;
  int64_t end = 0;
  int32_t offset = 0;
  int64_t D = 0;
  int64_t Dv = 0;
  const float* values = nullptr;    // panels [panels, Dv, kKeyPanel]
  const float* d_output = nullptr;  // [Dv, lanes]
  const float* lse = nullptr;       // [lanes], to base 2
  const float* delta = nullptr;     // [lanes]: output . d_output
  float* weights = nullptr;         // [end - begin, lanes]
  float* d_scores = nullptr;        // [pieces] of [end - begin, lanes]
  int64_t d_scores_step = 0;        // from piece to piece
};
void StripGradient(const StripGradientArgs& args) noexcept;

// d_queries += keys^T d_scores over keys [begin, end), multiples of kKeyBlock.
struct StripQueriesArgs {
  const float* keys = nullptr;  // panels [panels, D, kKeyPanel]
  int64_t begin = 0;
  int64_t end = 0;
  int64_t D = 0;
  const float* d_scores = nullptr;  // [end - begin, lanes]
  float* d_queries = nullptr;       // [D, lanes]
};
void StripQueries(const StripQueriesArgs& args) noexcept;

// d_keys [keys, columns] += d_scores [keys, lanes] rows [lanes, columns] over
// the first `depth` lanes. It computes what Gemm would, faster for a product as
// shallow as a strip.
struct StripKeysArgs {
  const float* d_scores = nullptr;
  int64_t keys = 0;
  const float* rows = nullptr;
  int64_t rows_stride = 0;
  int64_t depth = 0;
  int64_t columns = 0;
  float* d_keys = nullptr;
  int64_t d_keys_stride = 0;
};
void StripKeys(const StripKeysArgs& args) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_STRIP_GRADIENT_H_
