// The way back through attention on strips (strip.h).
//
// Weights are formed anew from the scores and the logarithm of each lane's
// sum. They and the gradients of the scores stand with the queries in the
// lanes, so that nothing is summed across lanes here either:
//
//   weights  [keys, lanes] = 2^(keys queries - lse)
//   d_weights              = values d_output         (values [keys, Dv])
//   d_scores               = weights (d_weights - delta)
//   d_queries   [D, lanes] += keys^T d_scores
//
//   d_keys     [keys, D] += d_scores queries        (queries [lanes, D])
//
// and d_values, [keys, Dv], like d_keys from weights and d_output. These two
// run over the lanes, so the queries are needed as rows as well.

#ifndef ROPEWALK_KERNELS_CPU_STRIP_GRADIENT_H_
#define ROPEWALK_KERNELS_CPU_STRIP_GRADIENT_H_

#include <cstdint>

#include "kernels/cpu/strip.h"

namespace ropewalk::kernels {

// Weights, and gradients of the scores as natural logarithms, of keys [begin,
// end), both multiples of kKeyBlock. As in StripScores, one piece and `whole`:
// every lane sees every key; otherwise the first piece that shows a pair
// decides it. Each piece gets the gradients of its own pairs and zeros for the
// others. Pairs that none shows get zeros whatever the operands hold.
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

// d_keys [keys, columns] += d_scores [keys, lanes] rows [lanes, columns], of
// which the first `depth` lanes count: what Gemm does, faster for a product as
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
