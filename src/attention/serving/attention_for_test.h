// Helpers of the attention tests: plans from spellings, random sequences, and
// the tolerance between float32 and the definition.

#ifndef ROPEWALK_ATTENTION_SERVING_ATTENTION_FOR_TEST_H_
#define ROPEWALK_ATTENTION_SERVING_ATTENTION_FOR_TEST_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "attention/serving/attention.h"
#include "base/random.h"
#include "position/scheme.h"

namespace ropewalk::attention {

inline constexpr int64_t kTrained = 64;

inline position::ModelPositions Model(int64_t D, int64_t N = kTrained) {
  return {.head_width = D,
          .rotary_width = D,
          .train_length = N,
          .original_length = N,
          .has_learned_logn = true};
}

inline position::Plan MakePlan(const std::string& spelling, int64_t D,
                               int64_t length) {
  const position::ModelPositions model = Model(D);
  return position::BuildStack(
             position::Resolve(position::ParseScheme(spelling), model, length),
             model, length, 1)
      .front();
}

// One sequence of random queries, keys and values.
struct Sequence {
  HeadShape shape;
  int64_t n = 0;
  std::vector<float> queries;  // [n, H, D]
  std::vector<float> keys;     // [n, G, D]
  std::vector<float> values;   // [n, G, ValueWidth()]
};

inline Sequence MakeSequence(const HeadShape& shape, int64_t n, uint64_t seed) {
  Rng rng(seed);
  const auto fill = [&](int64_t heads, int64_t width) {
    std::vector<float> out(static_cast<size_t>(n * heads * width));
    for (float& x : out) x = static_cast<float>(rng.Normal());
    return out;
  };
  return {shape, n, fill(shape.H, shape.D), fill(shape.G, shape.D),
          fill(shape.G, shape.ValueWidth())};
}

inline std::vector<double> Doubles(const std::vector<float>& x) {
  return {x.begin(), x.end()};
}

// Runs attention over the sequence in chunks of the given sizes; the last size
// repeats.
inline std::vector<float> RunChunks(
    const position::Plan& plan, const Sequence& s,
    const std::vector<int64_t>& chunks, ParallelFor& threads,
    const float* head_scale = nullptr, KvStore* final_store = nullptr,
    DType type = DType::kF32, const float* sinks = nullptr) {
  const BandedAttention attention(plan, s.shape);
  KvStore store = attention.NewStore(type);
  RotationTables tables;
  AttentionScratch scratch;
  const int64_t q_row = s.shape.H * s.shape.D;
  const int64_t k_row = s.shape.G * s.shape.D;
  const int64_t v_row = s.shape.G * s.shape.ValueWidth();
  const int64_t o_row = s.shape.H * s.shape.ValueWidth();
  std::vector<float> output(static_cast<size_t>(s.n * o_row));
  size_t at = 0;
  while (store.size() < s.n) {
    const int64_t first = store.size();
    const int64_t T =
        std::min(chunks[std::min(at, chunks.size() - 1)], s.n - first);
    ++at;
    tables.Begin(first, T);
    store.Append(s.keys.data() + first * k_row, s.values.data() + first * v_row,
                 T, tables, threads);
    const QuerySlice slice{.queries = s.queries.data() + first * q_row,
                           .output = output.data() + first * o_row,
                           .T = T,
                           .store = &store,
                           .tables = &tables,
                           .sinks = sinks};
    attention.Attend({&slice, 1}, head_scale, threads, scratch);
  }
  if (final_store != nullptr) *final_store = std::move(store);
  return output;
}

// The largest error that the soft-cap of the shape may add to a score of that
// size: the error of the cap itself, and of its difference from a running
// maximum.
inline double CapError(const HeadShape& shape, double score) {
  return shape.softcap > 0
             ? (5e-7 + 2 * 0x1p-24) * std::min(shape.softcap, score)
             : 0.0;
}

// Largest allowed |difference| of an output component.
//
// A score is a sum of D products of rounded factors. Its error is (D + 8)
// half-ulps of |q||k| s times the shape's factor, plus that of a cap: 5e-7 and
// two half-ulps of the capped score. A weight has twice that error, relative to
// itself: once from its score and once from the sum. The weighted sum of values
// adds 8 half-ulps of itself.
inline double Tolerance(const position::Plan& plan, const Sequence& s,
                        int64_t i, int64_t h) {
  const int64_t D = s.shape.D;
  const int64_t g = h / s.shape.Group();
  const auto norm = [&](const float* x) {
    double sum = 0;
    for (int64_t d = 0; d < D; ++d) sum += static_cast<double>(x[d]) * x[d];
    return std::sqrt(sum);
  };
  double key = 0;
  double value = 0;
  for (int64_t j = 0; j <= i; ++j) {
    const int64_t at = (j * s.shape.G + g) * D;
    key = std::max(key, norm(s.keys.data() + at));
    const int64_t width = s.shape.ValueWidth();
    const int64_t first = (j * s.shape.G + g) * width;
    for (int64_t d = 0; d < width; ++d) {
      value = std::max(value, std::abs(static_cast<double>(
                                  s.values[static_cast<size_t>(first + d)])));
    }
  }
  const double magnitude = plan.tables[0].magnitude;
  const double largest = norm(s.queries.data() + (i * s.shape.H + h) * D) *
                         key * magnitude * magnitude *
                         std::max(1.0, plan.scale(i)) * s.shape.ScoreFactor();
  const double score = static_cast<double>(D + 8) * 0x1p-24 * largest +
                       CapError(s.shape, largest);
  return (2 * score + 16 * 0x1p-24) * value;
}

inline const std::vector<std::string>& Spellings() {
  static const std::vector<std::string> kAll = {
      "rope",
      "pi:factor=8",
      "ntk-mixed:factor=4+logn",
      "yarn:factor=8",
      "dynamic-ntk",
      "cope",
      "nope",
      "rerope:window=20",
      "rerope:window=1",
      "rerope:window=64+logn-clip",
      "leaky-rerope:window=20,k=16",
      "leaky-rerope:window=20,k=1/4",
      "self-extend:window=20,group=3",
      "dca:chunk=24",
      "dca:chunk=63",
      "window:size=20",
      "window:size=1",
      "window:size=64",
      "sink-window:size=20,sinks=4",
      "sink-window:size=20,sinks=70",
      "sink-window:size=20,sinks=4,cache-positions=0"};
  return kAll;
}

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_ATTENTION_FOR_TEST_H_
