// Forward: one task a key head and a run of queries. It rotates and lays out
// the keys those queries reach, then walks over them tile by tile with the
// online softmax.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "attention/training.h"
#include "attention/training_law.h"
#include "attention/training_tile.h"
#include "kernels/cpu/kernels.h"

namespace ropewalk::attention {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Queries of a task: laying out the keys costs little beside these, and one
// long sequence still feeds many threads.
constexpr int64_t kTaskQueries = 512;

// Queries of a tile. Fewer than the backward pass takes: a tile on the diagonal
// then wastes less, and its scores still fill the matrix kernel.
constexpr int64_t kRows = 32;

// Keys that go through one step of the softmax, as far as they are seen: a
// step has a fixed price a row, two reductions and an exponential.
constexpr int64_t kSpan = 4 * kKeyTile;

struct Task {
  int64_t b = 0;
  int64_t g = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

class Forward {
 public:
  Forward(const TrainingCall& call, const TrainingOutput& output, Arena& arena)
      : call_(call), shape_(call.input.shape), output_(output) {
    const int64_t tiles = CeilDivide(shape_.S, kKeyTile);
    keys_ = arena.Take(call.key_turns() * tiles * kKeyTile * shape_.D);
    values_ = {arena.Take(Panels::Floats(tiles * kKeyTile, shape_.Dv)),
               tiles * kKeyTile, shape_.Dv};
    rows_ = arena.Take(kKeyTile * shape_.D);
    queries_ = arena.Take(call.query_turns() * kRows * shape_.D);
    scores_ = arena.Take(kRows * kSpan);
    other_ = arena.Take(kRows * kSpan);
  }

  void Run(const Task& task) {
    task_ = task;
    const int64_t group = shape_.Group();
    position::KeyRange reach = {shape_.S, 0};
    for (int64_t h = task.g * group; h < (task.g + 1) * group; ++h) {
      const position::KeyRange hull = Hull(
          call_.law, MakeSight(call_.input, task.b, h), task.begin, task.end);
      if (hull.first >= hull.last) continue;
      reach.first = std::min(reach.first, hull.first);
      reach.last = std::max(reach.last, hull.last);
    }
    LayOut(reach);
    for (int64_t h = task.g * group; h < (task.g + 1) * group; ++h) {
      for (int64_t t = task.begin; t < task.end; t += kRows) {
        Block(h, t, std::min(kRows, task.end - t));
      }
    }
  }

 private:
  float* KeyTile(int64_t tile) const {
    return keys_ + tile * call_.key_turns() * kKeyTile * shape_.D;
  }

  void LayOut(position::KeyRange reach) {
    const int64_t limit = MakeSight(call_.input, task_.b, 0).keys;
    for (int64_t tile = reach.first / kKeyTile; tile * kKeyTile < reach.last;
         ++tile) {
      const int64_t first = tile * kKeyTile;
      for (int64_t turn = 0; turn < call_.key_turns(); ++turn) {
        call_.TurnKeys(turn, task_.b, task_.g, first, limit, rows_);
        kernels::Transpose(rows_, shape_.D, kKeyTile, shape_.D,
                           KeyTile(tile) + turn * kKeyTile * shape_.D,
                           kKeyTile);
      }
      const int64_t count = std::clamp<int64_t>(limit - first, 0, kKeyTile);
      values_.Put(call_.V(task_.b, first, task_.g), call_.input.v_stride, first,
                  count);
      values_.Zero(first + count, kKeyTile - count);
    }
  }

  void Block(int64_t h, int64_t begin, int64_t rows) {
    const Sight sight = MakeSight(call_.input, task_.b, h);
    const int64_t out_stride = shape_.H * shape_.Dv;
    float* out =
        output_.out + ((task_.b * shape_.T + begin) * shape_.H + h) * shape_.Dv;
    float maxima[kRows];
    double sums[kRows];
    float factors[kRows];
    for (int64_t r = 0; r < rows; ++r) {
      maxima[r] = kMasked;
      sums[r] = 0;
      std::fill_n(out + r * out_stride, shape_.Dv, 0.0f);
    }
    for (int64_t turn = 0; turn < call_.query_turns(); ++turn) {
      call_.TurnQueries(turn, task_.b, h, begin, rows,
                        queries_ + turn * kRows * shape_.D);
    }
    const position::KeyRange reach =
        Hull(call_.law, sight, begin, begin + rows);
    for (int64_t first = reach.first / kKeyTile * kKeyTile; first < reach.last;
         first += kSpan) {
      const position::KeyRange keys = Scores(
          sight, begin, rows, {first, std::min(first + kSpan, reach.last)});
      if (keys.first >= keys.last) continue;
      float* scores = scores_ + keys.first - first;
      kernels::OnlineSoftmax({.scores = scores,
                              .running_max = maxima,
                              .running_sum = sums,
                              .output = out,
                              .rows = rows,
                              .columns = keys.last - keys.first,
                              .width = shape_.Dv,
                              .scores_stride = kSpan,
                              .output_stride = out_stride});
      Accumulate({.a = scores,
                  .a_stride = kSpan,
                  .rows = rows,
                  .b = &values_,
                  .first = keys.first,
                  .depth = keys.last - keys.first,
                  .c = out,
                  .c_stride = out_stride});
    }
    float* lse = output_.lse + (task_.b * shape_.H + h) * shape_.T + begin;
    for (int64_t r = 0; r < rows; ++r) {
      const bool unseen = sums[r] == 0;
      lse[r] =
          unseen ? kMasked : static_cast<float>(maxima[r] + std::log(sums[r]));
      factors[r] = static_cast<float>(unseen ? 0 : 1 / sums[r]);
    }
    ScaleRows(out, out_stride, rows, shape_.Dv, factors);
  }

  // Fills scores_ for the tiles from `span` on; the keys that were filled.
  position::KeyRange Scores(const Sight& sight, int64_t begin, int64_t rows,
                            position::KeyRange span) {
    position::KeyRange filled = {0, 0};
    for (int64_t first = span.first; first < span.last; first += kKeyTile) {
      const TileView view(call_.law, sight, begin, begin + rows,
                          {first, first + kKeyTile}, kGrain);
      if (view.empty()) continue;
      const position::KeyRange hull = view.hull();
      if (filled.last == 0) filled = {hull.first, hull.first};
      // Between the hulls of two tiles nothing is seen.
      for (int64_t r = 0; r < rows && filled.last < hull.first; ++r) {
        float* row = scores_ + r * kSpan - span.first;
        std::fill(row + filled.last, row + hull.first, kMasked);
      }
      filled.last = hull.last;
      TileScores{.call = &call_,
                 .queries = queries_,
                 .query_step = kRows * shape_.D,
                 .keys = KeyTile(first / kKeyTile),
                 .key_step = kKeyTile * shape_.D,
                 .begin = begin,
                 .rows = rows,
                 .first = first,
                 .scores = scores_ + first - span.first,
                 .other = other_ + first - span.first,
                 .stride = kSpan}
          .Compute(view);
    }
    return filled;
  }

  const TrainingCall& call_;
  const TrainingShape& shape_;
  const TrainingOutput& output_;
  Task task_;
  float* keys_;     // [tiles, key turns, D, kKeyTile]
  Panels values_;   // [tiles * kKeyTile, Dv]
  float* rows_;     // [kKeyTile, D]
  float* queries_;  // [query turns, kRows, D]
  float* scores_;   // [kRows, kSpan]
  float* other_;    // [kRows, kSpan]
};

}  // namespace

void TrainForward(const TrainingInput& input, const TrainingOutput& output,
                  ParallelFor& threads, TrainingScratch& scratch) {
  const TrainingCall call(input, scratch);
  const TrainingShape& shape = input.shape;
  std::vector<Task> tasks;
  // The last queries of a causal sequence cost most, and go first.
  for (int64_t run = CeilDivide(shape.T, kTaskQueries) - 1; run >= 0; --run) {
    const int64_t begin = run * kTaskQueries;
    const int64_t end = std::min(shape.T, begin + kTaskQueries);
    for (int64_t b = 0; b < shape.B; ++b) {
      for (int64_t g = 0; g < shape.G; ++g) tasks.push_back({b, g, begin, end});
    }
  }
  Arena count(nullptr);
  Forward(call, output, count);
  scratch.memory.Prepare(threads.workers(), count.used());
  threads.Run(
      static_cast<int64_t>(tasks.size()), [&](int64_t at, int64_t worker) {
        Arena arena(scratch.memory.For(worker));
        Forward(call, output, arena).Run(tasks[static_cast<size_t>(at)]);
      });
}

}  // namespace ropewalk::attention
