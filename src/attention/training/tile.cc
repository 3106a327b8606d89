#include "attention/training/tile.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strip.h"

namespace ropewalk::attention {
void ScaleRows(float* x, int64_t stride, int64_t rows, int64_t width,
               const float* scales) {
  kernels::RotateRows({.x = x,
                       .y = x,
                       .rows = rows,
                       .D = width,
                       .x_stride = stride,
                       .y_stride = stride,
                       .scale = scales});
}

TrainingCall::TrainingCall(const TrainingInput& in, TrainingScratch& scratch)
    : input(in) {
  Validate(input);
  masked = MakeMaskedPlan(*input.plan, input.mask);
  const TrainingShape& shape = input.shape;
  const int64_t ids = std::max(shape.T, shape.S);
  // Tables of an earlier call are reused if they are long enough.
  if (scratch.tables.size() < ids) scratch.tables.Begin(0, ids);
  const auto rows_of = [&](const Turn& turn) {
    return scratch.tables.Get(
        turn.map, input.plan->tables[static_cast<size_t>(turn.table)]);
  };
  for (const Turn& turn : masked.query_turns)
    query_rows.push_back(rows_of(turn));
  for (const Turn& turn : masked.key_turns) key_rows.push_back(rows_of(turn));
  const double width = 1 / std::sqrt(static_cast<double>(shape.D));
  for (int64_t t = 0; t < shape.T; ++t) {
    scales.push_back(width * input.plan->scale(t));
  }
}

void TrainingCall::Scales(int64_t begin, int64_t rows, double factor,
                          float* out) const {
  for (int64_t r = 0; r < rows; ++r) {
    out[r] =
        static_cast<float>(scales[static_cast<size_t>(begin + r)] * factor);
  }
}

void TrainingCall::TurnQueries(int64_t turn, int64_t b, int64_t h,
                               int64_t begin, int64_t rows, float* y) const {
  const int64_t D = input.shape.D;
  const RotationRows& angle = query_rows[static_cast<size_t>(turn)];
  float factors[kernels::kMostStripLanes];
  Scales(begin, rows, HeadScale(h) * std::numbers::log2e, factors);
  kernels::RotateRows({.x = Q(b, begin, h),
                       .y = y,
                       .rows = rows,
                       .D = D,
                       .x_stride = input.q_stride,
                       .y_stride = D,
                       .pairs = angle.pairs,
                       .cos = angle.cos + begin * angle.stride,
                       .sin = angle.sin + begin * angle.stride,
                       .angle_stride = angle.stride,
                       .scale = factors});
}

void TrainingCall::TurnKeys(int64_t turn, int64_t b, int64_t g, int64_t first,
                            int64_t rows, float* y) const {
  const int64_t D = input.shape.D;
  const RotationRows& angle = key_rows[static_cast<size_t>(turn)];
  kernels::RotateRows({.x = K(b, first, g),
                       .y = y,
                       .rows = rows,
                       .D = D,
                       .x_stride = input.k_stride,
                       .y_stride = D,
                       .pairs = angle.pairs,
                       .cos = angle.cos + first * angle.stride,
                       .sin = angle.sin + first * angle.stride,
                       .angle_stride = angle.stride});
}

}  // namespace ropewalk::attention
