// Shared by the tasks of training attention: masked plan, rotation tables and
// scales of a call, and the division of scratch memory.

#ifndef ROPEWALK_ATTENTION_TRAINING_TILE_H_
#define ROPEWALK_ATTENTION_TRAINING_TILE_H_

#include <cstdint>
#include <vector>

#include "attention/serving/arena.h"
#include "attention/training/masked_plan.h"
#include "attention/training/training.h"

namespace ropewalk::attention {

// The number of keys that pass through the softmax between two products with
// the values. Their weights [64, 48] take a quarter of an L1 cache.
inline constexpr int64_t kKeyTile = 64;

inline int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// x[r, :] *= scales[r], in place.
void ScaleRows(float* x, int64_t stride, int64_t rows, int64_t width,
               const float* scales);

// The data that all tasks of a call share. Borrows the input and the tables.
struct TrainingCall {
  TrainingCall(const TrainingInput& input, TrainingScratch& scratch);

  const TrainingInput& input;
  MaskedPlan masked;
  std::vector<RotationRows> query_rows;  // one for each query turn
  std::vector<RotationRows> key_rows;
  std::vector<double> scales;  // [T]: s(i) / sqrt(D)

  int64_t query_turns() const {
    return static_cast<int64_t>(masked.query_turns.size());
  }
  int64_t key_turns() const {
    return static_cast<int64_t>(masked.key_turns.size());
  }
  double HeadScale(int64_t h) const {
    return input.head_scale == nullptr ? 1 : input.head_scale[h];
  }
  const float* Q(int64_t b, int64_t t, int64_t h) const {
    const TrainingShape& s = input.shape;
    return input.q + (b * s.T + t) * input.q_stride + h * s.D;
  }
  const float* K(int64_t b, int64_t j, int64_t g) const {
    const TrainingShape& s = input.shape;
    return input.k + (b * s.S + j) * input.k_stride + g * s.D;
  }
  const float* V(int64_t b, int64_t j, int64_t g) const {
    const TrainingShape& s = input.shape;
    return input.v + (b * s.S + j) * input.v_stride + g * s.Dv;
  }

  // Writes s(i) / sqrt(D), times `factor`, for queries [begin, begin + rows).
  void Scales(int64_t begin, int64_t rows, double factor, float* scales) const;
  // Writes queries [begin, begin + rows) of a head under a turn to y [rows, D],
  // scaled so that scores are logarithms to base 2. `rows` is at most
  // kMostStripLanes.
  void TurnQueries(int64_t turn, int64_t b, int64_t h, int64_t begin,
                   int64_t rows, float* y) const;
  // Writes keys [first, first + rows) of a head under a turn to y [rows, D].
  void TurnKeys(int64_t turn, int64_t b, int64_t g, int64_t first, int64_t rows,
                float* y) const;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_TRAINING_TILE_H_
