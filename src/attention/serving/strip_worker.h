// Attends with many queries: the work of a prefill.
//
// The rows of a share (the heads of its group for one token after another) are
// divided into strips (kernels/cpu/strip.h). A worker goes over tiles of keys
// and, for each strip, over the blocks of 8 keys that it sees. Nearly always a
// block lies in one band for the whole strip. Only at a border between bands
// and on the diagonal is it computed for both, and each lane takes its own.
//
// Stores of 16 and 8 bits are attended in integers where the processor can
// (kernels/cpu/strip_ints.h), all others in f32.

#ifndef ROPEWALK_ATTENTION_SERVING_STRIP_WORKER_H_
#define ROPEWALK_ATTENTION_SERVING_STRIP_WORKER_H_

#include <cstdint>
#include <vector>

#include "attention/serving/share.h"
#include "kernels/cpu/strip.h"
#include "kernels/cpu/strip_ints.h"

namespace ropewalk::attention {

// The rows of a share. So many that a key tile is used often each time it is
// loaded, and so few that a share's weights and outputs stay in the cache. In
// integers a share has the weights of one strip at a time, and a tile costs as
// much to pack as a fifth of a strip's products.
inline constexpr int64_t kStripTaskRows = 96;
inline constexpr int64_t kIntTaskRows = 192;

class StripWorker {
 public:
  // Takes its memory from `arena`. A worker computes one share after another.
  StripWorker(const BandedAttention& attention, DType type,
              const float* head_scale, Arena& arena);

  void Run(const Share& share);

  // The most tokens of a share.
  static int64_t Tokens(const HeadShape& shape, DType type);

 private:
  struct Strip {
    int64_t first_token = 0;
    int64_t last_token = 0;      // the last token with a row
    std::vector<Bounds> bounds;  // of each view
    std::vector<bool> rotated;   // of each band
    // The runs of keys of the current tile that have weights.
    std::vector<position::KeyRange> runs;
  };

  void Begin(const Share& share);
  // Adds the keys of share_.memory or, if it is null, of the store.
  void AddKeys();
  // Goes over to the keys of share_.memory, or of the store.
  void Enter();
  void Score(int64_t s, int64_t tile);
  void Weigh(int64_t tile);
  void Write();

  // The same in integers. Each strip is weighed as soon as it has been scored.
  void TakeInts(Arena& arena);
  kernels::IntPiece IntPieceOf(int64_t s, size_t view, int64_t tile);
  void PackValues(int64_t tile);
  void WeighInts(int64_t s);

  const float* Keys(int64_t store, int64_t tile);
  const float* Queries(int64_t s, int64_t band);
  kernels::StripState State(int64_t s) const;
  float* Weights(int64_t s) const {
    return weights_ + (ints_ ? 0 : s) * kTile * lanes_;
  }
  const int32_t* Firsts(int64_t s, size_t view) const;
  void FillLimits(int64_t s, size_t view);

  const BandedAttention& attention_;
  const HeadShape& shape_;
  const DType type_;
  const float* head_scale_;
  const int64_t lanes_;
  const int64_t most_strips_;
  const bool ints_;
  Share share_;
  std::vector<BandView> views_;
  std::vector<Strip> strips_;
  // The tile in keys_ of each key store, and of memories; -1: none.
  std::vector<int64_t> unpacked_;
  int64_t origin_ = 0;  // the slot that limits_ count from

  float* queries_;  // [strips, bands + 1, D, lanes], the last for memories
  float* rows_;     // [lanes, max(D, kValueBlock)]
  float* weights_;  // [strips, kTile, lanes]
  float* output_;   // [strips, width, lanes]
  float* top_;      // [strips, lanes]
  float* limit_;
  float* part_;
  double* sum_;
  int32_t* limits_;  // [strips, views, 2, lanes]: first and last slot seen
  float* keys_;      // [key stores + 1, kTile * D], where not f32
  float* values_;    // [kTile, kValueBlock], where not f32

  int64_t bands_;  // those of the plan, and that of memories

  // In integers; queries_ then has room for one strip and band, and weights_
  // for one strip.
  int64_t words_ = 0;           // of a query
  int64_t blocks_ = 0;          // with a scale, of a query
  int32_t* int_queries_;        // [strips, bands + 1, words, lanes]
  float* query_scales_;         // [strips, bands + 1, blocks, lanes]
  kernels::IntKeys int_keys_;   // of the tile, for each key store
  int32_t* int_values_;         // [kTile / 2, columns]
  float* value_scales_;         // [kTile]
  int32_t* int_weights_;        // [kTile / 2, lanes]
  float* scaled_ = nullptr;     // [strips, lanes]
  int64_t packed_values_ = -1;  // the tile of int_values_
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_STRIP_WORKER_H_
