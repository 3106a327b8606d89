// Attention to train with: forward and backward over the bands of a plan.
//
// Memory grows with the number of tokens, never with its square: the backward
// pass forms the scores anew from queries, keys and the logarithm of each
// row's sum. Queries and keys come unrotated, and their gradients are with
// respect to the unrotated ones. The runtime's tile loop (attention.h) reads a
// key store instead and has no gradient; a test holds the two together.
//
// Query t has the id t and key s the id s, in every sequence of the batch. The
// score scale is Plan::scale of the query's id, in every direction: where n
// should be the whole length, leave the plan's scale out and pass it as
// head_scale.
//
// The result of a row, and every gradient, has the same bits whatever the
// number of threads.

#ifndef ROPEWALK_ATTENTION_TRAINING_H_
#define ROPEWALK_ATTENTION_TRAINING_H_

#include <cstdint>
#include <vector>

#include "attention/attention.h"
#include "attention/rotation_tables.h"
#include "base/parallel.h"
#include "position/plan.h"

namespace ropewalk::attention {

struct TrainingShape {
  int64_t B = 0;   // sequences
  int64_t T = 0;   // queries of each
  int64_t S = 0;   // keys of each
  int64_t H = 0;   // query heads
  int64_t G = 0;   // key and value heads; H is a multiple of G
  int64_t D = 0;   // width of queries and keys
  int64_t Dv = 0;  // width of values and outputs

  int64_t Group() const { return H / G; }
};

// Which keys a head's query i may see, before the plan's own mask.
enum class Direction {
  kForward,   // j <= i
  kBackward,  // j >= i
  kBoth,
};

// Beside the plan's. Pairs with j > i follow Plan::Mirror.
struct TrainingMask {
  std::vector<Direction> heads = {Direction::kForward};  // one, or [H]
  const int64_t* prefix = nullptr;  // [B]; forward heads see j < prefix too
  const int64_t* keys = nullptr;    // [B]; keys j >= keys are padding
};

// Strides count elements from token to token, and the heads of a token lie
// side by side, so that q, k and v may be slices of one packed projection.
template <typename Real>
struct TrainingInputOf {
  const position::Plan* plan = nullptr;
  TrainingShape shape;
  TrainingMask mask;
  const Real* q = nullptr;  // [B, T, H, D]
  const Real* k = nullptr;  // [B, S, G, D]
  const Real* v = nullptr;  // [B, S, G, Dv]
  int64_t q_stride = 0;     // at least H D; sequences follow at T q_stride
  int64_t k_stride = 0;     // at least G D; sequences follow at S k_stride
  int64_t v_stride = 0;     // at least G Dv, likewise
  const Real* head_scale = nullptr;  // [H]; multiplies a head's scores
};

template <typename Real>
struct TrainingOutputOf {
  Real* out = nullptr;  // [B, T, H, Dv]
  Real* lse = nullptr;  // [B, H, T]: ln sum_j exp(score), -inf: no key seen
};

template <typename Real>
struct TrainingGradientsOf {
  const Real* out = nullptr;  // as Forward left them
  const Real* lse = nullptr;
  const Real* d_out = nullptr;  // [B, T, H, Dv]
  // Overwritten; strided as q, k and v are. The elements between heads and
  // the next token are left alone.
  Real* d_q = nullptr;
  Real* d_k = nullptr;
  Real* d_v = nullptr;
  Real* d_head_scale = nullptr;  // [H], or null
};

using TrainingInput = TrainingInputOf<float>;
using TrainingOutput = TrainingOutputOf<float>;
using TrainingGradients = TrainingGradientsOf<float>;

// Memory and rotation tables kept from call to call. One thread at a time.
struct TrainingScratch {
  AttentionScratch memory;
  RotationTables tables;
};

// out = softmax(score) values, score = head_scale s(i) / sqrt(D) times the
// product of the rotated query and key. A row that sees no key gives zeros.
// NaNs are carried on.
//
// Throws std::invalid_argument when shape, strides or mask make no sense, or
// when the mask needs a mirror that the plan has not.
void TrainForward(const TrainingInput& input, const TrainingOutput& output,
                  ParallelFor& threads, TrainingScratch& scratch);

// The gradients of sum(out * d_out). Throws like TrainForward.
void TrainBackward(const TrainingInput& input,
                   const TrainingGradients& gradients, ParallelFor& threads,
                   TrainingScratch& scratch);

// What both of them, and the reference, ask of their input. Throws.
template <typename Real>
void Validate(const TrainingInputOf<Real>& input);
extern template void Validate(const TrainingInputOf<float>&);
extern template void Validate(const TrainingInputOf<double>&);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_TRAINING_H_
