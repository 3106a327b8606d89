// Attention on strips, the fast form for many queries.
//
// A strip is a run of as many queries as three vectors have lanes. Scores,
// maxima, sums and outputs of a strip have one query in each lane. So every
// step of the online softmax is arithmetic between vectors, without sums across
// lanes, and keys and values are broadcast from where they are stored. Scores
// of kKeyBlock keys stay in registers from the first product to the
// exponential.
//
//   scores   [keys, lanes] = keys [keys, D] queries [D, lanes]
//   weights  [keys, lanes] = 2^(scores - top)
//   output [width, lanes] += values^T [width, keys] weights [keys, lanes]
//
// Scores are logarithms to base 2: the caller puts log2(e) into the scale of
// the queries, and into the soft-cap.

#ifndef ROPEWALK_KERNELS_CPU_STRIP_H_
#define ROPEWALK_KERNELS_CPU_STRIP_H_

#include <cstdint>

#include "kernels/stored.h"

namespace ropewalk::kernels {

// The number of keys whose scores are computed together. Any key of a block may
// be masked for any lane, but a masked pair costs as much as a visible one.
inline constexpr int64_t kKeyBlock = 8;

// The number of queries in a strip on the instruction set in use: 48 with
// AVX-512, 24 with AVX2, 12 with SSE and NEON, 3 without vectors.
int64_t StripLanes() noexcept;
inline constexpr int64_t kMostStripLanes = 48;

// Running state of the softmax over the lanes of a strip.
//
// `top` is subtracted from the scores. It is not always the maximum: it rises
// only when a score exceeds it by more than kSlack, so that the output need not
// be rescaled whenever the maximum rises a little. Weights are at most
// 2^kSlack. A lane that has seen no key has a `limit` of -inf; the first key
// that it sees sets its top.
struct StripState {
  float* top = nullptr;     // [lanes]
  float* limit = nullptr;   // [lanes]: kSlack, or -inf before the first key
  float* part = nullptr;    // [lanes]: sum of weights since the last fold
  double* sum = nullptr;    // [lanes]: sum of weights before the last fold
  float* output = nullptr;  // [width, lanes]
  int64_t width = 0;
  // [lanes]: sum since the last fold of weights times the scale of their key's
  // value. Strips in integers need it (strip_ints.h); null otherwise.
  float* scaled = nullptr;
};
inline constexpr float kSlack = 8;

// Sets the state to that of lanes that have seen no key.
void ClearStrip(const StripState& state) noexcept;
// Adds `part` to `sum` and clears it and `scaled`. Called after each tile, so
// that at most the weights of one tile are summed in float32.
void FoldStrip(const StripState& state) noexcept;

// The pairs of a tile of keys that one band serves.
struct StripPiece {
  const float* queries = nullptr;  // [D, lanes], rotated and scaled
  const float* keys = nullptr;     // panels of the tile [panels, D, kKeyPanel]
  // Lane l sees key j of the tile where first[l] <= j + offset < last[l].
  const int32_t* first = nullptr;  // [lanes]
  const int32_t* last = nullptr;   // [lanes]
};

// Computes scores and weights of keys [begin, end) of a tile, both multiples of
// kKeyBlock, and updates the state, including `part`. With one piece and
// `whole` every lane sees every key. Otherwise the first piece that shows a
// pair decides it, and pairs that no piece shows get the weight 0. Blocks of a
// tile must be scored in rising order, because a rising top rescales the
// weights of earlier keys.
struct StripScoresArgs {
  const StripPiece* pieces = nullptr;
  int64_t piece_count = 0;
  bool whole = false;
  int64_t begin = 0;
  int64_t end = 0;
  int32_t offset = 0;
  int64_t D = 0;
  float softcap = 0;         // scores become softcap tanh(s / softcap); 0: none
  float* weights = nullptr;  // [keys of the tile, lanes]
  StripState state;
};
void StripScores(const StripScoresArgs& args) noexcept;

// output += values^T weights, for `keys` keys and `columns` rows of output.
struct StripValuesArgs {
  const float* values = nullptr;  // [keys, columns]
  int64_t stride = 0;
  const float* weights = nullptr;  // [keys, lanes]
  int64_t keys = 0;
  int64_t columns = 0;
  float* output = nullptr;  // [columns, lanes]
};
void StripValues(const StripValuesArgs& args) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_STRIP_H_
