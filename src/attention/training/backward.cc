// Backward: a task is a key head, a range of keys and a range of queries.
//
// Within a task the queries pass in strips over a chunk of packed keys. Scores,
// gradients of scores and gradients of queries have one query in each lane;
// gradients of keys and values are products over the lanes. Gradients of
// queries and keys are summed in the rotated space of each turn and rotated
// back once for each chunk.
//
// If there are few key heads, their keys and queries are cut into R ranges
// each, so that there are tasks for many threads. The tasks run in R phases,
// and no two tasks of a phase have the same queries or keys: phase p takes key
// range c with query range (p - c) mod R. So every sum has the order of the
// phases, with any number of threads. With a causal mask and an even R all
// phases have the same work.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "attention/training/masked_plan.h"
#include "attention/training/strip.h"
#include "attention/training/tile.h"
#include "attention/training/training.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strip.h"
#include "kernels/cpu/strip_gradient.h"

namespace ropewalk::attention {
namespace {

using kernels::kKeyPanel;

// The largest number of key heads times ranges; more would not help.
constexpr int64_t kTasks = 32;

// Keys and values of a chunk and the gradient of the keys must stay in an L2
// cache: four times 256 KiB, with the gradients, for keys that all have the
// same turn.
constexpr int64_t kChunkFloats = int64_t{1} << 16;
constexpr int64_t kMostChunk = 1024;

// The number of keys of a step. Weights and gradients of scores, [96, 48] each,
// stay in an L1 cache.
constexpr int64_t kStep = 96;

int64_t ChunkKeys(const TrainingShape& shape) {
  return std::clamp(
      kChunkFloats / std::max(shape.D, shape.Dv) / kKeyPanel * kKeyPanel, kStep,
      kMostChunk);
}

// The number of ranges. It depends on the shape only, because the order of sums
// does. A range has 8 sqrt(n) of n tokens: 256 of 1024, where packing is a
// tenth of the work, and more of longer sequences.
int64_t Ranges(const TrainingShape& shape) {
  const auto tokens = static_cast<double>(std::max(shape.T, shape.S));
  const auto ranges = static_cast<int64_t>(std::sqrt(tokens) / 8);
  const int64_t heads = std::max<int64_t>(1, shape.B * shape.G);
  return std::max<int64_t>(1, std::min(ranges, kTasks / heads) / 2 * 2);
}

// Part `at` of `size` elements cut into `parts` parts at multiples of `grain`.
position::KeyRange Part(int64_t size, int64_t grain, int64_t parts,
                        int64_t at) {
  const int64_t grains = CeilDivide(size, grain);
  return {std::min(size, grains * at / parts * grain),
          std::min(size, grains * (at + 1) / parts * grain)};
}

struct BackwardTask {
  int64_t b = 0;
  int64_t g = 0;
  position::KeyRange keys;
  position::KeyRange queries;
  bool first =
      false;  // of its keys and its queries: overwrites their gradients
};

class Backward {
 public:
  Backward(const TrainingCall& call, const TrainingGradients& gradients,
           Arena& arena)
      : call_(call),
        shape_(call.input.shape),
        gradients_(gradients),
        lanes_(kernels::StripLanes()),
        chunk_(ChunkKeys(shape_)),
        keys_(call, chunk_, arena) {
    const int64_t D = shape_.D;
    values_ = arena.Take(chunk_ * shape_.Dv);
    d_values_ = arena.Take(chunk_ * shape_.Dv);
    d_keys_ = arena.Take(call.key_turns() * chunk_ * D);
    query_rows_ = arena.Take(call.query_turns() * lanes_ * D);
    queries_ = arena.Take(call.query_turns() * lanes_ * D);
    d_queries_ = arena.Take(call.query_turns() * lanes_ * D);
    d_query_rows_ = arena.Take(lanes_ * D);
    d_output_ = arena.Take(shape_.Dv * lanes_);
    lse_ = arena.Take(lanes_);
    delta_ = arena.Take(lanes_);
    weights_ = arena.Take(kStep * lanes_);
    d_scores_ = arena.Take(static_cast<int64_t>(call.masked.pieces.size()) *
                           kStep * lanes_);
    queries_packed_.resize(static_cast<size_t>(call.query_turns()));
    keys_touched_.resize(static_cast<size_t>(call.key_turns()));
  }

  void Run(const BackwardTask& task) {
    task_ = task;
    limit_ = MakeSight(call_.input, task.b, 0).keys;
    add_queries_ = !task.first;
    int64_t first = task.keys.first;
    do {  // runs for an empty range too, to write zeros to its queries
      Chunk({first, std::min(first + chunk_, task.keys.last)});
      add_queries_ = true;
      first += chunk_;
    } while (first < task.keys.last);
  }

 private:
  struct Strip {
    int64_t h = 0;
    int64_t begin = 0;
    int64_t rows = 0;
    StripView view;
  };

  // Row (b, t, head h) of out and d_out.
  int64_t OutAt(int64_t h, int64_t t) const {
    return ((task_.b * shape_.T + t) * shape_.H + h) * shape_.Dv;
  }

  void Chunk(position::KeyRange keys) {
    keys_.Begin(task_.b, task_.g, keys.first,
                CeilDivide(keys.last - keys.first, kKeyPanel) * kKeyPanel,
                limit_);
    values_packed_ = false;
    std::fill(keys_touched_.begin(), keys_touched_.end(), false);
    std::fill_n(d_values_, keys_.count() * shape_.Dv, 0.0f);
    for (int64_t at = 0; at < shape_.Group(); ++at) {
      const int64_t h = task_.g * shape_.Group() + at;
      const Sight sight = MakeSight(call_.input, task_.b, h);
      const position::KeyRange hull =
          Hull(call_.masked, sight, task_.queries.first,
               std::max(task_.queries.first + 1, task_.queries.last));
      const bool apart = hull.last <= keys.first || keys.last <= hull.first;
      if (apart && add_queries_) continue;
      for (int64_t t = task_.queries.first; t < task_.queries.last;
           t += lanes_) {
        const int64_t rows = std::min(lanes_, task_.queries.last - t);
        Meet({h, t, rows, StripView(call_.masked, sight, t, rows)}, keys);
      }
    }
    WriteKeys(keys);
  }

  void Meet(const Strip& strip, position::KeyRange keys) {
    bool packed = false;
    for (const KeyRun& run : strip.view.runs()) {
      // The last run may pass the last key; packed keys are zeros there.
      const int64_t first = std::max(run.keys.first, keys.first);
      const int64_t last =
          std::min(run.keys.last, CeilDivide(keys.last, kernels::kKeyBlock) *
                                      kernels::kKeyBlock);
      if (first >= last) continue;
      if (!packed) Pack(strip);
      packed = true;
      for (int64_t at = first; at < last; at += kStep) {
        Step(strip, run, at - keys.first,
             std::min(at + kStep, last) - keys.first);
      }
    }
    if (!packed && add_queries_) return;
    if (!packed) Forget();
    WriteQueries(strip);
  }

  void Forget() {
    std::fill(queries_packed_.begin(), queries_packed_.end(), false);
  }

  // Packs the data of a strip that all turns need.
  void Pack(const Strip& strip) {
    Forget();
    const int64_t stride = shape_.H * shape_.Dv;
    const float* out = gradients_.out + OutAt(strip.h, strip.begin);
    const float* d_out = gradients_.d_out + OutAt(strip.h, strip.begin);
    const float* lse = gradients_.lse +
                       (task_.b * shape_.H + strip.h) * shape_.T + strip.begin;
    std::fill_n(lse_, lanes_, 0.0f);
    std::fill_n(delta_, lanes_, 0.0f);
    for (int64_t r = 0; r < strip.rows; ++r) {
      lse_[r] =
          static_cast<float>(static_cast<double>(lse[r]) * std::numbers::log2e);
      delta_[r] = kernels::Dot(DType::kF32, out + r * stride,
                               d_out + r * stride, shape_.Dv);
    }
    kernels::Transpose(d_out, stride, strip.rows, shape_.Dv, d_output_, lanes_);
    for (int64_t d = 0; d < shape_.Dv && strip.rows < lanes_; ++d) {
      std::fill(d_output_ + d * lanes_ + strip.rows,
                d_output_ + (d + 1) * lanes_, 0.0f);
    }
  }

  void PackTurn(const Strip& strip, int64_t turn) {
    if (queries_packed_[static_cast<size_t>(turn)]) return;
    queries_packed_[static_cast<size_t>(turn)] = true;
    const int64_t at = turn * lanes_ * shape_.D;
    PackQueries(call_, turn, task_.b, strip.h, strip.begin, strip.rows,
                query_rows_ + at, queries_ + at);
    std::fill_n(d_queries_ + at, lanes_ * shape_.D, 0.0f);
  }

  // [panels, Dv, kKeyPanel], zeros where no key is.
  const float* Values() {
    if (values_packed_) return values_;
    values_packed_ = true;
    const int64_t first = keys_.first();
    const int64_t Dv = shape_.Dv;
    for (int64_t j = 0; j < keys_.count(); j += kKeyPanel) {
      const int64_t count =
          std::clamp<int64_t>(limit_ - first - j, 0, kKeyPanel);
      float* panel = values_ + j * Dv;
      if (count < kKeyPanel) std::fill_n(panel, kKeyPanel * Dv, 0.0f);
      kernels::Transpose(call_.V(task_.b, first + j, task_.g),
                         call_.input.v_stride, count, Dv, panel, kKeyPanel);
    }
    return values_;
  }

  // Keys [begin, end) of the chunk, all of one run.
  void Step(const Strip& strip, const KeyRun& run, int64_t begin, int64_t end) {
    const int64_t D = shape_.D;
    pieces_.clear();
    for (const int64_t p : run.pieces) {
      const Piece& piece = call_.masked.pieces[static_cast<size_t>(p)];
      PackTurn(strip, piece.query_turn);
      pieces_.push_back({.queries = queries_ + piece.query_turn * lanes_ * D,
                         .keys = keys_.Get(piece.key_turn),
                         .first = strip.view.First(p),
                         .last = strip.view.Last(p)});
    }
    kernels::StripGradient({.pieces = pieces_.data(),
                            .piece_count = static_cast<int64_t>(pieces_.size()),
                            .whole = run.whole,
                            .begin = begin,
                            .end = end,
                            .offset = static_cast<int32_t>(keys_.first()),
                            .D = D,
                            .Dv = shape_.Dv,
                            .values = Values(),
                            .d_output = d_output_,
                            .lse = lse_,
                            .delta = delta_,
                            .weights = weights_,
                            .d_scores = d_scores_,
                            .d_scores_step = kStep * lanes_});
    kernels::StripKeys({.d_scores = weights_,
                        .keys = end - begin,
                        .rows = gradients_.d_out + OutAt(strip.h, strip.begin),
                        .rows_stride = shape_.H * shape_.Dv,
                        .depth = strip.rows,
                        .columns = shape_.Dv,
                        .d_keys = d_values_ + begin * shape_.Dv,
                        .d_keys_stride = shape_.Dv});
    for (size_t at = 0; at < run.pieces.size(); ++at) {
      Gather(call_.masked.pieces[static_cast<size_t>(run.pieces[at])],
             d_scores_ + static_cast<int64_t>(at) * kStep * lanes_, strip.rows,
             begin, end);
    }
  }

  // Adds the gradients of queries and keys that follow from those of the scores
  // of one piece.
  void Gather(const Piece& piece, const float* d_scores, int64_t rows,
              int64_t begin, int64_t end) {
    const int64_t D = shape_.D;
    kernels::StripQueries(
        {.keys = keys_.Get(piece.key_turn),
         .begin = begin,
         .end = end,
         .D = D,
         .d_scores = d_scores,
         .d_queries = d_queries_ + piece.query_turn * lanes_ * D});
    float* d_keys = d_keys_ + piece.key_turn * chunk_ * D;
    if (!keys_touched_[static_cast<size_t>(piece.key_turn)]) {
      keys_touched_[static_cast<size_t>(piece.key_turn)] = true;
      std::fill_n(d_keys, keys_.count() * D, 0.0f);
    }
    kernels::StripKeys({.d_scores = d_scores,
                        .keys = end - begin,
                        .rows = query_rows_ + piece.query_turn * lanes_ * D,
                        .rows_stride = D,
                        .depth = rows,
                        .columns = D,
                        .d_keys = d_keys + begin * D,
                        .d_keys_stride = D});
  }

  // Writes the sums of the strip to d_q, without the scale of the head.
  void WriteQueries(const Strip& strip) {
    const int64_t D = shape_.D;
    const int64_t stride = call_.input.q_stride;
    float* d_q = gradients_.d_q + (task_.b * shape_.T + strip.begin) * stride +
                 strip.h * D;
    float scales[kernels::kMostStripLanes];
    call_.Scales(strip.begin, strip.rows, 1, scales);
    bool add = add_queries_;
    for (int64_t turn = 0; turn < call_.query_turns(); ++turn) {
      if (!queries_packed_[static_cast<size_t>(turn)]) continue;
      kernels::Transpose(d_queries_ + turn * lanes_ * D, lanes_, D, strip.rows,
                         d_query_rows_, D);
      TurnBack(call_.query_rows[static_cast<size_t>(turn)], strip.begin,
               strip.rows, scales, d_query_rows_, d_q, stride, add);
      add = true;
    }
    if (!add) FillRows(d_q, stride, strip.rows, D);
  }

  // Writes the sums of the chunk to d_k and d_v. It divides by log2(e), which
  // the packed queries contain.
  void WriteKeys(position::KeyRange keys) {
    const int64_t D = shape_.D;
    const int64_t stride = call_.input.k_stride;
    float scales[kKeyPanel];
    std::fill_n(scales, kKeyPanel, static_cast<float>(std::numbers::ln2));
    for (int64_t j = keys.first; j < keys.last; j += kKeyPanel) {
      const int64_t rows = std::min(kKeyPanel, keys.last - j);
      float* d_k =
          gradients_.d_k + (task_.b * shape_.S + j) * stride + task_.g * D;
      bool add = !task_.first;
      for (int64_t turn = 0; turn < call_.key_turns(); ++turn) {
        if (!keys_touched_[static_cast<size_t>(turn)]) continue;
        TurnBack(call_.key_rows[static_cast<size_t>(turn)], j, rows, scales,
                 d_keys_ + (turn * chunk_ + j - keys.first) * D, d_k, stride,
                 add);
        add = true;
      }
      if (!add) FillRows(d_k, stride, rows, D);
    }
    for (int64_t j = keys.first; j < keys.last; ++j) {
      const float* from = d_values_ + (j - keys.first) * shape_.Dv;
      float* d_v = gradients_.d_v +
                   (task_.b * shape_.S + j) * call_.input.v_stride +
                   task_.g * shape_.Dv;
      if (task_.first) {
        std::copy_n(from, shape_.Dv, d_v);
      } else {
        kernels::Add(from, shape_.Dv, d_v);
      }
    }
  }

  // Rotates rows of tokens from `begin` on back from the space of a turn.
  void TurnBack(const RotationRows& angle, int64_t begin, int64_t rows,
                const float* scales, const float* from, float* to,
                int64_t stride, bool add) const {
    kernels::RotateRows({.x = from,
                         .y = to,
                         .rows = rows,
                         .D = shape_.D,
                         .x_stride = shape_.D,
                         .y_stride = stride,
                         .pairs = angle.pairs,
                         .cos = angle.cos + begin * angle.stride,
                         .sin = angle.sin + begin * angle.stride,
                         .angle_stride = angle.stride,
                         .scale = scales,
                         .back = true,
                         .accumulate = add});
  }

  static void FillRows(float* x, int64_t stride, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows; ++r) std::fill_n(x + r * stride, width, 0.0f);
  }

  const TrainingCall& call_;
  const TrainingShape& shape_;
  const TrainingGradients& gradients_;
  const int64_t lanes_;
  const int64_t chunk_;  // the largest number of keys in a chunk
  PackedKeys keys_;
  BackwardTask task_;
  int64_t limit_ = 0;         // keys that exist
  bool add_queries_ = false;  // adds to d_q instead of overwriting it
  float* values_;             // [panels, Dv, kKeyPanel]
  float* d_values_;           // [chunk, Dv]
  float* d_keys_;             // [key turns, chunk, D]
  float* query_rows_;         // [query turns, lanes, D]
  float* queries_;            // [query turns, D, lanes]
  float* d_queries_;          // [query turns, D, lanes]
  float* d_query_rows_;       // [lanes, D]
  float* d_output_;           // [Dv, lanes]
  float* lse_;                // [lanes], to base 2
  float* delta_;              // [lanes]: out . d_out
  float* weights_;            // [kStep, lanes]
  float* d_scores_;           // [pieces, kStep, lanes]
  bool values_packed_ = false;
  std::vector<bool> queries_packed_;  // [query turns]
  std::vector<bool> keys_touched_;    // [key turns]
  std::vector<kernels::StripPiece> pieces_;
};

// The gradient of a head's scale is q . d_q before d_q is multiplied by the
// scale, so that the scale may be 0.
void ApplyHeadScales(const TrainingCall& call,
                     const TrainingGradients& gradients, ParallelFor& threads) {
  const TrainingInput& input = call.input;
  const TrainingShape& s = input.shape;
  std::vector<double> sums(static_cast<size_t>(s.B * s.H));
  threads.Run(s.B * s.H, [&](int64_t task, int64_t) {
    const int64_t b = task / s.H;
    const int64_t h = task % s.H;
    const auto scale = static_cast<float>(call.HeadScale(h));
    for (int64_t t = 0; t < s.T; ++t) {
      float* d_q = gradients.d_q + (b * s.T + t) * input.q_stride + h * s.D;
      sums[static_cast<size_t>(task)] +=
          kernels::Dot(DType::kF32, call.Q(b, t, h), d_q, s.D);
      ScaleRows(d_q, s.D, 1, s.D, &scale);
    }
  });
  for (int64_t h = 0; h < s.H && gradients.d_head_scale != nullptr; ++h) {
    double sum = 0;
    for (int64_t b = 0; b < s.B; ++b) {
      sum += sums[static_cast<size_t>(b * s.H + h)];
    }
    gradients.d_head_scale[h] = static_cast<float>(sum);
  }
}

}  // namespace

void TrainBackward(const TrainingInput& input,
                   const TrainingGradients& gradients, ParallelFor& threads,
                   TrainingScratch& scratch) {
  const TrainingCall call(input, scratch);
  const TrainingShape& shape = input.shape;
  Arena count(nullptr);
  Backward(call, gradients, count);
  scratch.memory.Prepare(threads.workers(), count.used());
  const int64_t ranges = Ranges(shape);
  std::vector<BackwardTask> tasks;
  for (int64_t phase = 0; phase < ranges; ++phase) {
    tasks.clear();
    for (int64_t c = 0; c < ranges; ++c) {
      const position::KeyRange keys = Part(shape.S, kKeyPanel, ranges, c);
      const position::KeyRange queries =
          Part(shape.T, kernels::StripLanes(), ranges,
               (ranges + phase - c) % ranges);
      const bool first = phase == 0;
      const bool empty =
          keys.first == keys.last || queries.first == queries.last;
      if (empty && !first) continue;
      for (int64_t b = 0; b < shape.B; ++b) {
        for (int64_t g = 0; g < shape.G; ++g) {
          tasks.push_back({b, g, keys, queries, first});
        }
      }
    }
    threads.Run(
        static_cast<int64_t>(tasks.size()), [&](int64_t at, int64_t worker) {
          Arena arena(scratch.memory.For(worker));
          Backward(call, gradients, arena).Run(tasks[static_cast<size_t>(at)]);
        });
  }
  if (input.head_scale != nullptr || gradients.d_head_scale != nullptr) {
    ApplyHeadScales(call, gradients, threads);
  }
}

}  // namespace ropewalk::attention
