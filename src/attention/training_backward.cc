// Backward: one task a key head of a sequence, so that nothing is added by two
// threads and the order of every sum is fixed. Tiles of keys run outside,
// blocks of queries inside; gradients of queries and keys gather in the
// rotated space of each turn and are rotated back once.

#include <algorithm>
#include <vector>

#include "attention/training.h"
#include "attention/training_law.h"
#include "attention/training_tile.h"
#include "kernels/cpu/kernels.h"

namespace ropewalk::attention {
namespace {

constexpr int64_t kRows = 32;  // queries of a tile

class Backward {
 public:
  Backward(const TrainingCall& call, const TrainingGradients& gradients,
           Arena& arena)
      : call_(call), shape_(call.input.shape), gradients_(gradients) {
    const int64_t D = shape_.D;
    const int64_t tokens = CeilDivide(shape_.T, kRows) * kRows;
    turn_floats_ = shape_.Group() * tokens * D;
    queries_ = arena.Take(call.query_turns() * turn_floats_);
    d_queries_ = arena.Take(call.query_turns() * turn_floats_);
    delta_ = arena.Take(shape_.Group() * tokens);
    for (int64_t h = 0; h < shape_.Group(); ++h) {
      d_out_.push_back({arena.Take(Panels::Floats(shape_.T, shape_.Dv)),
                        shape_.T, shape_.Dv});
    }
    reach_.resize(
        static_cast<size_t>(shape_.Group() * CeilDivide(shape_.T, kRows)));
    key_rows_ = arena.Take(call.key_turns() * kKeyTile * D);
    keys_ = arena.Take(call.key_turns() * kKeyTile * D);
    d_keys_ = arena.Take(call.key_turns() * kKeyTile * D);
    values_ = arena.Take(kKeyTile * shape_.Dv);
    scores_ = arena.Take(kRows * kKeyTile);
    d_scores_ = arena.Take(kRows * kKeyTile);
    other_ = arena.Take(kRows * kKeyTile);
  }

  // `head_sums` [H]: what this sequence adds to d_head_scale, or null.
  void Run(int64_t b, int64_t g, double* head_sums) {
    b_ = b;
    g_ = g;
    limit_ = MakeSight(call_.input, b, 0).keys;
    for (int64_t h = 0; h < shape_.Group(); ++h) LayOutQueries(h);
    for (int64_t first = 0; first < shape_.S; first += kKeyTile) KeyTile(first);
    for (int64_t h = 0; h < shape_.Group(); ++h) WriteQueries(h, head_sums);
  }

 private:
  int64_t Blocks() const { return CeilDivide(shape_.T, kRows); }
  int64_t Head(int64_t h) const { return g_ * shape_.Group() + h; }

  // Head h of the group: its rows of a turn's queries, and of delta.
  int64_t QueryAt(int64_t turn, int64_t h, int64_t t) const {
    return turn * turn_floats_ + (h * Blocks() * kRows + t) * shape_.D;
  }
  float* Delta(int64_t h, int64_t t) const {
    return delta_ + h * Blocks() * kRows + t;
  }
  // Row (b, t, head h) of out and d_out.
  int64_t OutAt(int64_t h, int64_t t) const {
    return ((b_ * shape_.T + t) * shape_.H + Head(h)) * shape_.Dv;
  }

  void LayOutQueries(int64_t h) {
    for (int64_t turn = 0; turn < call_.query_turns(); ++turn) {
      call_.TurnQueries(turn, b_, Head(h), 0, shape_.T, 1,
                        queries_ + QueryAt(turn, h, 0));
      std::fill_n(d_queries_ + QueryAt(turn, h, 0), shape_.T * shape_.D, 0.0f);
    }
    d_out_[static_cast<size_t>(h)].Put(gradients_.d_out + OutAt(h, 0),
                                       shape_.H * shape_.Dv, 0, shape_.T);
    for (int64_t t = 0; t < shape_.T; ++t) {
      *Delta(h, t) = kernels::Dot(DType::kF32, gradients_.out + OutAt(h, t),
                                  gradients_.d_out + OutAt(h, t), shape_.Dv);
    }
    const Sight sight = MakeSight(call_.input, b_, Head(h));
    for (int64_t block = 0; block < Blocks(); ++block) {
      reach_[static_cast<size_t>(h * Blocks() + block)] =
          Hull(call_.law, sight, block * kRows,
               std::min(shape_.T, (block + 1) * kRows));
    }
  }

  void KeyTile(int64_t first) {
    const int64_t D = shape_.D;
    const int64_t count = std::min(kKeyTile, shape_.S - first);
    std::fill_n(d_keys_, call_.key_turns() * kKeyTile * D, 0.0f);
    float* d_v = gradients_.d_v +
                 (b_ * shape_.S + first) * call_.input.v_stride +
                 g_ * shape_.Dv;
    for (int64_t r = 0; r < count; ++r) {
      std::fill_n(d_v + r * call_.input.v_stride, shape_.Dv, 0.0f);
    }
    bool laid_out = false;
    for (int64_t h = 0; h < shape_.Group(); ++h) {
      const Sight sight = MakeSight(call_.input, b_, Head(h));
      for (int64_t block = 0; block < Blocks(); ++block) {
        const position::KeyRange reach =
            reach_[static_cast<size_t>(h * Blocks() + block)];
        if (reach.last <= first || reach.first >= first + kKeyTile) continue;
        const int64_t begin = block * kRows;
        const int64_t rows = std::min(kRows, shape_.T - begin);
        const TileView view(call_.law, sight, begin, begin + rows,
                            {first, first + kKeyTile}, kGrain);
        if (view.empty()) continue;
        if (!laid_out) LayOutKeys(first);
        laid_out = true;
        Tile(view, h, begin, rows, first, d_v);
      }
    }
    float* d_k = gradients_.d_k +
                 (b_ * shape_.S + first) * call_.input.k_stride + g_ * D;
    for (int64_t turn = 0; turn < call_.key_turns(); ++turn) {
      const RotationRows& angle = call_.key_rows[static_cast<size_t>(turn)];
      kernels::RotateRows({.x = d_keys_ + turn * kKeyTile * D,
                           .y = d_k,
                           .rows = count,
                           .D = D,
                           .x_stride = D,
                           .y_stride = call_.input.k_stride,
                           .pairs = angle.pairs,
                           .cos = angle.cos + first * angle.stride,
                           .sin = angle.sin + first * angle.stride,
                           .angle_stride = angle.stride,
                           .back = true,
                           .accumulate = turn > 0});
    }
  }

  void LayOutKeys(int64_t first) {
    const int64_t D = shape_.D;
    for (int64_t turn = 0; turn < call_.key_turns(); ++turn) {
      float* rows = key_rows_ + turn * kKeyTile * D;
      call_.TurnKeys(turn, b_, g_, first, limit_, rows);
      kernels::Transpose(rows, D, kKeyTile, D, keys_ + turn * kKeyTile * D,
                         kKeyTile);
    }
    const int64_t count = std::clamp<int64_t>(limit_ - first, 0, kKeyTile);
    kernels::Transpose(call_.V(b_, first, g_), call_.input.v_stride, count,
                       shape_.Dv, values_, kKeyTile);
    for (int64_t d = 0; d < shape_.Dv && count < kKeyTile; ++d) {
      std::fill(values_ + d * kKeyTile + count, values_ + (d + 1) * kKeyTile,
                0.0f);
    }
  }

  // Adds the tile's part to d_v and to the gathered gradients.
  void Tile(const TileView& view, int64_t h, int64_t begin, int64_t rows,
            int64_t first, float* d_v) {
    const int64_t head = Head(h);
    const int64_t column = view.hull().first - first;
    const int64_t columns = view.hull().last - view.hull().first;
    const TileScores tile{.call = &call_,
                          .queries = queries_ + QueryAt(0, h, begin),
                          .query_step = turn_floats_,
                          .keys = keys_,
                          .key_step = kKeyTile * shape_.D,
                          .begin = begin,
                          .rows = rows,
                          .first = first,
                          .scores = scores_,
                          .other = other_};
    tile.Compute(view);
    kernels::Gemm({.a = gradients_.d_out + OutAt(h, begin),
                   .b = values_ + column,
                   .c = d_scores_ + column,
                   .rows = rows,
                   .columns = columns,
                   .depth = shape_.Dv,
                   .a_stride = shape_.H * shape_.Dv,
                   .b_stride = kKeyTile,
                   .c_stride = kKeyTile});
    kernels::SoftmaxGradient(
        {.scores = scores_ + column,
         .gradients = d_scores_ + column,
         .lse = gradients_.lse + (b_ * shape_.H + head) * shape_.T + begin,
         .delta = Delta(h, begin),
         .rows = rows,
         .columns = columns,
         .stride = kKeyTile});
    Accumulate({.a = scores_ + column,
                .a_stride = 1,
                .a_step = kKeyTile,
                .rows = std::min(view.hull().last, limit_) - view.hull().first,
                .b = &d_out_[static_cast<size_t>(h)],
                .first = begin,
                .depth = rows,
                .c = d_v + column * call_.input.v_stride,
                .c_stride = call_.input.v_stride});
    if (view.touched().size() == 1) {
      Gather(view.touched().front().piece, view.hull(), h, begin, rows, first,
             d_scores_);
      return;
    }
    // Each pair belongs to the first piece that shows it.
    for (const Touched& touched : view.touched()) {
      const int64_t from = touched.keys.first - first;
      const int64_t to = touched.keys.last - first;
      for (int64_t r = 0; r < rows; ++r) {
        std::fill(other_ + r * kKeyTile + from, other_ + r * kKeyTile + to,
                  0.0f);
        const position::KeyRange seen = view.Seen(touched.piece, begin + r);
        if (seen.first >= seen.last) continue;
        const int64_t at = r * kKeyTile + seen.first - first;
        std::copy_n(d_scores_ + at, seen.last - seen.first, other_ + at);
        std::fill_n(d_scores_ + at, seen.last - seen.first, 0.0f);
      }
      Gather(touched.piece, touched.keys, h, begin, rows, first, other_);
    }
  }

  // Gradients of queries and keys from those of one piece's scores.
  void Gather(size_t index, position::KeyRange keys, int64_t h, int64_t begin,
              int64_t rows, int64_t first, const float* d_scores) {
    const int64_t D = shape_.D;
    const Piece& piece = call_.law.pieces[index];
    const int64_t column = keys.first - first;
    const int64_t key_at = (piece.key_turn * kKeyTile + column) * D;
    const int64_t query_at = QueryAt(piece.query_turn, h, begin);
    kernels::Gemm({.a = d_scores + column,
                   .b = key_rows_ + key_at,
                   .c = d_queries_ + query_at,
                   .rows = rows,
                   .columns = D,
                   .depth = keys.last - keys.first,
                   .a_stride = kKeyTile,
                   .b_stride = D,
                   .c_stride = D,
                   .accumulate = true});
    kernels::Gemm({.a = d_scores + column,
                   .b = queries_ + query_at,
                   .c = d_keys_ + key_at,
                   .rows = keys.last - keys.first,
                   .columns = D,
                   .depth = rows,
                   .a_stride = 1,
                   .b_stride = D,
                   .c_stride = D,
                   .accumulate = true,
                   .a_step = kKeyTile});
  }

  // d_q = scale * (gathered gradients rotated back). The head's scalar takes
  // q . d_q without itself, so that it may be 0.
  void WriteQueries(int64_t h, double* head_sums) {
    double sum = 0;
    for (int64_t t = 0; t < shape_.T; t += kRows) {
      sum +=
          WriteBlock(h, t, std::min(kRows, shape_.T - t), head_sums != nullptr);
    }
    if (head_sums != nullptr) head_sums[Head(h)] = sum;
  }

  // Returns what the block adds to the gradient of the head's scalar.
  double WriteBlock(int64_t h, int64_t begin, int64_t rows, bool want_sum) {
    const int64_t D = shape_.D;
    const int64_t head = Head(h);
    const int64_t stride = call_.input.q_stride;
    float* d_q = gradients_.d_q + (b_ * shape_.T + begin) * stride + head * D;
    float scales[kRows];
    call_.Scales(begin, rows, 1, scales);
    for (int64_t turn = 0; turn < call_.query_turns(); ++turn) {
      const RotationRows& angle = call_.query_rows[static_cast<size_t>(turn)];
      kernels::RotateRows({.x = d_queries_ + QueryAt(turn, h, begin),
                           .y = d_q,
                           .rows = rows,
                           .D = D,
                           .x_stride = D,
                           .y_stride = stride,
                           .pairs = angle.pairs,
                           .cos = angle.cos + begin * angle.stride,
                           .sin = angle.sin + begin * angle.stride,
                           .angle_stride = angle.stride,
                           .scale = scales,
                           .back = true,
                           .accumulate = turn > 0});
    }
    double sum = 0;
    for (int64_t r = 0; r < rows && want_sum; ++r) {
      sum += kernels::Dot(DType::kF32, call_.Q(b_, begin + r, head),
                          d_q + r * stride, D);
    }
    if (call_.input.head_scale != nullptr) {
      std::fill_n(scales, rows, call_.input.head_scale[head]);
      ScaleRows(d_q, stride, rows, D, scales);
    }
    return sum;
  }

  const TrainingCall& call_;
  const TrainingShape& shape_;
  const TrainingGradients& gradients_;
  int64_t b_ = 0;
  int64_t g_ = 0;
  int64_t limit_ = 0;                      // keys that exist
  int64_t turn_floats_ = 0;                // from one query turn to the next
  float* queries_;                         // [query turns, group, T, D]
  float* d_queries_;                       // the same
  float* delta_;                           // [group, T]: out . d_out
  std::vector<Panels> d_out_;              // [group] of [T, Dv]
  std::vector<position::KeyRange> reach_;  // [group, blocks]
  float* key_rows_;                        // [key turns, kKeyTile, D]
  float* keys_;                            // [key turns, D, kKeyTile]
  float* d_keys_;                          // [key turns, kKeyTile, D]
  float* values_;                          // [Dv, kKeyTile]
  float* scores_;                          // [kRows, kKeyTile]
  float* d_scores_;
  float* other_;
};

}  // namespace

void TrainBackward(const TrainingInput& input,
                   const TrainingGradients& gradients, ParallelFor& threads,
                   TrainingScratch& scratch) {
  const TrainingCall call(input, scratch);
  const TrainingShape& shape = input.shape;
  Arena count(nullptr);
  Backward(call, gradients, count);
  scratch.memory.Prepare(threads.workers(), count.used());
  std::vector<double> head_sums;  // [B, H]
  if (gradients.d_head_scale != nullptr) {
    head_sums.resize(static_cast<size_t>(shape.B * shape.H));
  }
  threads.Run(shape.B * shape.G, [&](int64_t task, int64_t worker) {
    const int64_t b = task / shape.G;
    Arena arena(scratch.memory.For(worker));
    Backward(call, gradients, arena)
        .Run(b, task % shape.G,
             head_sums.empty() ? nullptr : head_sums.data() + b * shape.H);
  });
  for (int64_t h = 0; h < shape.H && !head_sums.empty(); ++h) {
    double sum = 0;
    for (int64_t b = 0; b < shape.B; ++b) {
      sum += head_sums[static_cast<size_t>(b * shape.H + h)];
    }
    gradients.d_head_scale[h] = static_cast<float>(sum);
  }
}

}  // namespace ropewalk::attention
