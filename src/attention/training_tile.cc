#include "attention/training_tile.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/kernels.h"

namespace ropewalk::attention {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

}  // namespace

void Panels::Put(const float* x, int64_t stride, int64_t first, int64_t count) {
  for (int64_t column = 0; column < width; column += kPanel) {
    const int64_t columns = std::min(kPanel, width - column);
    float* panel = data + column * rows + first * kPanel;
    for (int64_t r = 0; r < count; ++r) {
      std::copy_n(x + r * stride + column, columns, panel + r * kPanel);
    }
  }
}

void Panels::Zero(int64_t first, int64_t count) {
  for (int64_t column = 0; column < width; column += kPanel) {
    std::fill_n(data + column * rows + first * kPanel, count * kPanel, 0.0f);
  }
}

void Accumulate(const PanelProduct& product) {
  const Panels& b = *product.b;
  for (int64_t column = 0; column < b.width; column += kPanel) {
    kernels::Gemm({.a = product.a,
                   .b = b.data + column * b.rows + product.first * kPanel,
                   .c = product.c + column,
                   .rows = product.rows,
                   .columns = std::min(kPanel, b.width - column),
                   .depth = product.depth,
                   .a_stride = product.a_stride,
                   .b_stride = kPanel,
                   .c_stride = product.c_stride,
                   .accumulate = true,
                   .a_step = product.a_step});
  }
}

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
  law = MakeLaw(*input.plan, input.mask);
  const TrainingShape& shape = input.shape;
  const int64_t ids = std::max(shape.T, shape.S);
  // Tables of an earlier call serve as long as they are long enough.
  if (scratch.tables.size() < ids) scratch.tables.Begin(0, ids);
  const auto rows_of = [&](const Turn& turn) {
    return scratch.tables.Get(
        turn.map, input.plan->tables[static_cast<size_t>(turn.table)]);
  };
  for (const Turn& turn : law.query_turns) query_rows.push_back(rows_of(turn));
  for (const Turn& turn : law.key_turns) key_rows.push_back(rows_of(turn));
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
                               int64_t begin, int64_t rows, double factor,
                               float* y) const {
  const int64_t D = input.shape.D;
  const RotationRows& angle = query_rows[static_cast<size_t>(turn)];
  float factors[kMaxBlock];
  for (int64_t t = 0; t < rows; t += kMaxBlock) {
    const int64_t count = std::min(kMaxBlock, rows - t);
    Scales(begin + t, count, HeadScale(h) * factor, factors);
    kernels::RotateRows({.x = Q(b, begin + t, h),
                         .y = y + t * D,
                         .rows = count,
                         .D = D,
                         .x_stride = input.q_stride,
                         .y_stride = D,
                         .pairs = angle.pairs,
                         .cos = angle.cos + (begin + t) * angle.stride,
                         .sin = angle.sin + (begin + t) * angle.stride,
                         .angle_stride = angle.stride,
                         .scale = factors});
  }
}

void TrainingCall::TurnKeys(int64_t turn, int64_t b, int64_t g, int64_t first,
                            int64_t limit, float* y) const {
  const int64_t D = input.shape.D;
  const RotationRows& angle = key_rows[static_cast<size_t>(turn)];
  const int64_t rows = std::clamp<int64_t>(limit - first, 0, kKeyTile);
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
  std::fill_n(y + rows * D, (kKeyTile - rows) * D, 0.0f);
}

void TileScores::Product(const Piece& piece, position::KeyRange range,
                         float* out) const {
  const int64_t D = call->input.shape.D;
  const int64_t column = range.first - first;
  kernels::Gemm({.a = queries + piece.query_turn * query_step,
                 .b = keys + piece.key_turn * key_step + column,
                 .c = out + column,
                 .rows = rows,
                 .columns = range.last - range.first,
                 .depth = D,
                 .a_stride = D,
                 .b_stride = kKeyTile,
                 .c_stride = stride});
}

void TileScores::Compute(const TileView& view) const {
  const std::vector<Piece>& pieces = call->law.pieces;
  const position::KeyRange hull = view.hull();
  if (view.touched().size() == 1) {
    const size_t piece = view.touched().front().piece;
    Product(pieces[piece], hull, scores);
    for (int64_t r = 0; r < rows && !view.whole(); ++r) {
      const position::KeyRange seen = view.Seen(piece, begin + r);
      float* row = scores + r * stride - first;
      std::fill(row + hull.first,
                row + std::clamp(seen.first, hull.first, hull.last), kMasked);
      std::fill(row + std::clamp(std::max(seen.first, seen.last), hull.first,
                                 hull.last),
                row + hull.last, kMasked);
    }
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {
    std::fill(scores + r * stride + hull.first - first,
              scores + r * stride + hull.last - first, kMasked);
  }
  // The first piece that shows a pair decides it, so it is written last.
  for (auto touched = view.touched().rbegin(); touched != view.touched().rend();
       ++touched) {
    Product(pieces[touched->piece], touched->keys, other);
    for (int64_t r = 0; r < rows; ++r) {
      const position::KeyRange seen = view.Seen(touched->piece, begin + r);
      if (seen.first >= seen.last) continue;
      const int64_t at = r * stride + seen.first - first;
      std::copy_n(other + at, seen.last - seen.first, scores + at);
    }
  }
}

}  // namespace ropewalk::attention
