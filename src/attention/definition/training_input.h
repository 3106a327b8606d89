// Inputs and outputs of training attention, for any number type. The float64
// definition and the fast loops share them.

#ifndef ROPEWALK_ATTENTION_DEFINITION_TRAINING_INPUT_H_
#define ROPEWALK_ATTENTION_DEFINITION_TRAINING_INPUT_H_

#include <cstdint>
#include <vector>

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

// Which keys the query i of a head may see, in addition to the plan's mask.
enum class Direction {
  kForward,   // j <= i
  kBackward,  // j >= i
  kBoth,
};

// A mask in addition to that of the plan. Pairs with j > i follow Plan::Mirror.
struct TrainingMask {
  std::vector<Direction> heads = {Direction::kForward};  // one for all, or [H]
  const int64_t* prefix = nullptr;  // [B]; forward heads see j < prefix too
  const int64_t* keys = nullptr;    // [B]; keys j >= keys are padding
};

// Strides count elements from token to token, and the heads of a token are
// adjacent, so that q, k and v may be parts of one packed projection.
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
  int64_t v_stride = 0;     // at least G Dv; sequences follow at S v_stride
  const Real* head_scale = nullptr;  // [H], multiplies the scores; or null
};

template <typename Real>
struct TrainingOutputOf {
  Real* out = nullptr;  // [B, T, H, Dv]
  Real* lse = nullptr;  // [B, H, T]: ln sum_j exp(score); -inf without keys
};

template <typename Real>
struct TrainingGradientsOf {
  const Real* out = nullptr;  // the results of the forward pass
  const Real* lse = nullptr;
  const Real* d_out = nullptr;  // [B, T, H, Dv]
  // Overwritten; with the strides of q, k and v. Elements between the heads of
  // one token and the next token do not change.
  Real* d_q = nullptr;
  Real* d_k = nullptr;
  Real* d_v = nullptr;
  Real* d_head_scale = nullptr;  // [H], or null
};

using TrainingInput = TrainingInputOf<float>;
using TrainingOutput = TrainingOutputOf<float>;
using TrainingGradients = TrainingGradientsOf<float>;

// The checks of forward, backward and reference on their input. Throws
// std::invalid_argument.
template <typename Real>
void Validate(const TrainingInputOf<Real>& input);
extern template void Validate(const TrainingInputOf<float>&);
extern template void Validate(const TrainingInputOf<double>&);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_TRAINING_INPUT_H_
