// Forward: a task is a key head and a run of queries, in strips. It goes
// through the keys of these queries tile by tile. Each tile is rotated and
// packed once for the task and then used by every strip, with an online
// softmax.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "attention/training/masked_plan.h"
#include "attention/training/strip.h"
#include "attention/training/tile.h"
#include "attention/training/training.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strip.h"

namespace ropewalk::attention {
namespace {

using kernels::kKeyPanel;

// Limits of the queries of a task. For 1000 queries the cost of packing a tile
// of keys is small, and the memory of their strips, 2^18 floats for heads of
// usual width, stays in an L2 cache. Fewer queries give each worker a few
// tasks, which balances their unequal costs; but with 200 queries packing is a
// tenth of the time.
constexpr int64_t kMostQueries = 960;
constexpr int64_t kLeastQueries = 192;
constexpr int64_t kStripFloats = int64_t{1} << 18;
constexpr int64_t kTasksPerWorker = 4;

struct ForwardTask {
  int64_t b = 0;
  int64_t g = 0;
  int64_t begin = 0;  // queries
  int64_t end = 0;
};

int64_t FloatsPerStrip(const TrainingCall& call) {
  const TrainingShape& shape = call.input.shape;
  return kernels::StripLanes() * (call.query_turns() * shape.D + shape.Dv + 5);
}

// The number of queries in a task, a multiple of the lanes. The result of a row
// does not depend on it.
int64_t TaskQueries(const TrainingCall& call, int64_t workers) {
  const TrainingShape& shape = call.input.shape;
  const int64_t lanes = kernels::StripLanes();
  const int64_t strips = CeilDivide(shape.T, lanes);
  const int64_t fit =
      std::min(kMostQueries / lanes, kStripFloats / FloatsPerStrip(call)) /
      shape.Group();
  const int64_t all = shape.B * shape.G * strips;
  const int64_t even = std::max(
      all / (kTasksPerWorker * workers),
      std::min(kLeastQueries / lanes / shape.Group(), all / workers / 2));
  return lanes * std::max<int64_t>(1, std::min(fit, even));
}

class Forward {
 public:
  Forward(const TrainingCall& call, const TrainingOutput& output,
          int64_t task_queries, Arena& arena)
      : call_(call),
        shape_(call.input.shape),
        output_(output),
        lanes_(kernels::StripLanes()),
        keys_(call, kKeyTile, arena) {
    values_ =
        arena.Take(kKeyTile * CeilDivide(shape_.Dv, kKeyPanel) * kKeyPanel);
    rows_ = arena.Take(lanes_ * shape_.D);
    weights_ = arena.Take(kKeyTile * lanes_);
    for (int64_t s = 0; s < task_queries / lanes_ * shape_.Group(); ++s) {
      StripMemory memory;
      memory.queries = arena.Take(call.query_turns() * shape_.D * lanes_);
      memory.state = {.top = arena.Take(lanes_),
                      .limit = arena.Take(lanes_),
                      .part = arena.Take(lanes_),
                      .sum = arena.Take<double>(lanes_),
                      .output = arena.Take(shape_.Dv * lanes_),
                      .width = shape_.Dv};
      memory_.push_back(memory);
    }
  }

  void Run(const ForwardTask& task) {
    task_ = task;
    limit_ = MakeSight(call_.input, task.b, 0).keys;
    position::KeyRange reach = {shape_.S, 0};
    for (int64_t h = 0; h < shape_.Group(); ++h) {
      for (int64_t t = task.begin; t < task.end; t += lanes_) {
        AddStrip(task.g * shape_.Group() + h, t, reach);
      }
    }
    for (int64_t first = reach.first / kKeyTile * kKeyTile; first < reach.last;
         first += kKeyTile) {
      keys_.Begin(task.b, task.g, first, kKeyTile, limit_);
      values_packed_ = false;
      for (Strip& strip : strips_) Tile(strip);
    }
    for (const Strip& strip : strips_) Write(strip);
  }

 private:
  // The part of the scratch memory that belongs to one strip.
  struct StripMemory {
    float* queries = nullptr;  // [query turns, D, lanes]
    kernels::StripState state;
  };

  struct Strip {
    int64_t h = 0;
    int64_t begin = 0;
    int64_t rows = 0;
    StripView view;
    StripMemory memory;
    size_t next = 0;  // the first run that still has keys
  };

  void AddStrip(int64_t h, int64_t begin, position::KeyRange& reach) {
    const int64_t rows = std::min(lanes_, shape_.T - begin);
    const Sight sight = MakeSight(call_.input, task_.b, h);
    strips_.push_back({.h = h,
                       .begin = begin,
                       .rows = rows,
                       .view = StripView(call_.masked, sight, begin, rows),
                       .memory = memory_[strips_.size()]});
    const Strip& strip = strips_.back();
    kernels::ClearStrip(strip.memory.state);
    for (int64_t turn = 0; turn < call_.query_turns(); ++turn) {
      PackQueries(call_, turn, task_.b, h, begin, rows, rows_,
                  strip.memory.queries + turn * shape_.D * lanes_);
    }
    if (strip.view.runs().empty()) return;
    reach.first = std::min(reach.first, strip.view.runs().front().keys.first);
    reach.last = std::max(reach.last, strip.view.runs().back().keys.last);
  }

  void Tile(Strip& strip) {
    const std::vector<KeyRun>& runs = strip.view.runs();
    const int64_t last = keys_.first() + kKeyTile;
    bool any = false;
    for (; strip.next < runs.size(); ++strip.next) {
      const KeyRun& run = runs[strip.next];
      if (run.keys.first >= last) break;
      Attend(strip, run,
             std::max(run.keys.first, keys_.first()) - keys_.first(),
             std::min(run.keys.last, last) - keys_.first());
      any = true;
      if (run.keys.last > last) break;
    }
    if (any) kernels::FoldStrip(strip.memory.state);
  }

  // Keys [begin, end) of the tile, all of one run.
  void Attend(const Strip& strip, const KeyRun& run, int64_t begin,
              int64_t end) {
    pieces_.clear();
    for (const int64_t p : run.pieces) {
      const Piece& piece = call_.masked.pieces[static_cast<size_t>(p)];
      pieces_.push_back({.queries = strip.memory.queries +
                                    piece.query_turn * shape_.D * lanes_,
                         .keys = keys_.Get(piece.key_turn),
                         .first = strip.view.First(p),
                         .last = strip.view.Last(p)});
    }
    kernels::StripScores({.pieces = pieces_.data(),
                          .piece_count = static_cast<int64_t>(pieces_.size()),
                          .whole = run.whole,
                          .begin = begin,
                          .end = end,
                          .offset = static_cast<int32_t>(keys_.first()),
                          .D = shape_.D,
                          .weights = weights_,
                          .state = strip.memory.state});
    if (!values_packed_) PackValues();
    for (int64_t column = 0; column < shape_.Dv; column += kKeyPanel) {
      kernels::StripValues(
          {.values = values_ + column * kKeyTile + begin * kKeyPanel,
           .stride = kKeyPanel,
           .weights = weights_ + begin * lanes_,
           .keys = end - begin,
           .columns = std::min(kKeyPanel, shape_.Dv - column),
           .output = strip.memory.state.output + column * lanes_});
    }
  }

  // [panels, kKeyTile, kKeyPanel], because rows of a packed projection that are
  // 2 KiB apart would compete for a few sets of the L1 cache.
  void PackValues() {
    values_packed_ = true;
    const int64_t first = keys_.first();
    const int64_t count = std::clamp<int64_t>(limit_ - first, 0, kKeyTile);
    for (int64_t column = 0; column < shape_.Dv; column += kKeyPanel) {
      const int64_t width = std::min(kKeyPanel, shape_.Dv - column);
      const float* from = call_.V(task_.b, first, task_.g) + column;
      float* panel = values_ + column * kKeyTile;
      for (int64_t j = 0; j < count; ++j) {
        std::copy_n(from + j * call_.input.v_stride, width,
                    panel + j * kKeyPanel);
      }
      std::fill(panel + count * kKeyPanel, panel + kKeyTile * kKeyPanel, 0.0f);
    }
  }

  void Write(const Strip& strip) {
    const kernels::StripState& state = strip.memory.state;
    const int64_t stride = shape_.H * shape_.Dv;
    float* out =
        output_.out +
        ((task_.b * shape_.T + strip.begin) * shape_.H + strip.h) * shape_.Dv;
    float* lse =
        output_.lse + (task_.b * shape_.H + strip.h) * shape_.T + strip.begin;
    float factors[kernels::kMostStripLanes];
    for (int64_t r = 0; r < strip.rows; ++r) {
      const bool unseen = state.sum[r] == 0;
      lse[r] = unseen ? -std::numeric_limits<float>::infinity()
                      : static_cast<float>((static_cast<double>(state.top[r]) +
                                            std::log2(state.sum[r])) *
                                           std::numbers::ln2);
      factors[r] = static_cast<float>(unseen ? 0 : 1 / state.sum[r]);
    }
    kernels::Transpose(state.output, lanes_, shape_.Dv, strip.rows, out,
                       stride);
    ScaleRows(out, stride, strip.rows, shape_.Dv, factors);
  }

  const TrainingCall& call_;
  const TrainingShape& shape_;
  const TrainingOutput& output_;
  const int64_t lanes_;
  PackedKeys keys_;
  ForwardTask task_;
  int64_t limit_ = 0;  // keys that exist
  float* values_;      // [panels, kKeyTile, kKeyPanel]
  bool values_packed_ = false;
  float* rows_;     // [lanes, D]
  float* weights_;  // [kKeyTile, lanes]
  std::vector<StripMemory> memory_;
  std::vector<Strip> strips_;
  std::vector<kernels::StripPiece> pieces_;
};

}  // namespace

void TrainForward(const TrainingInput& input, const TrainingOutput& output,
                  ParallelFor& threads, TrainingScratch& scratch) {
  const TrainingCall call(input, scratch);
  const TrainingShape& shape = input.shape;
  const int64_t queries = TaskQueries(call, threads.workers());
  std::vector<ForwardTask> tasks;
  // Tasks with the last queries of a causal sequence cost most, so they go
  // first.
  for (int64_t run = CeilDivide(shape.T, queries) - 1; run >= 0; --run) {
    const int64_t begin = run * queries;
    const int64_t end = std::min(shape.T, begin + queries);
    for (int64_t b = 0; b < shape.B; ++b) {
      for (int64_t g = 0; g < shape.G; ++g) tasks.push_back({b, g, begin, end});
    }
  }
  Arena count(nullptr);
  Forward(call, output, queries, count);
  scratch.memory.Prepare(threads.workers(), count.used());
  threads.Run(static_cast<int64_t>(tasks.size()), [&](int64_t at,
                                                      int64_t worker) {
    Arena arena(scratch.memory.For(worker));
    Forward(call, output, queries, arena).Run(tasks[static_cast<size_t>(at)]);
  });
}

}  // namespace ropewalk::attention
