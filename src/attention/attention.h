// Attention over the bands of a plan, tile by tile.
//
// A tile is a block of queries (all heads that share a key head, times a run
// of tokens) against kTile keys. The plan says which bands the tile touches:
// nearly always one, so that its scores are one matrix product. Only a tile
// that straddles a border computes two (dual chunk attention: up to three) and
// selects by row. Softmax runs online, so no matrix larger than a tile exists.
// The loop never learns which scheme made the plan.

#ifndef ROPEWALK_ATTENTION_ATTENTION_H_
#define ROPEWALK_ATTENTION_ATTENTION_H_

#include <cstdint>
#include <span>
#include <vector>

#include "attention/kv_store.h"
#include "attention/rotation_tables.h"
#include "base/aligned.h"
#include "base/parallel.h"
#include "position/plan.h"

namespace ropewalk::attention {

// The queries of one sequence of a batch.
struct QuerySlice {
  const float* queries = nullptr;  // [T, H, D], not rotated
  float* output = nullptr;         // [T, H, ValueWidth()]
  int64_t T = 0;
  // Keys up to the last query have been appended: query t has the id
  // store->size() - T + t. Negative ids are left padding; their output is 0.
  const KvStore* store = nullptr;
  RotationTables* tables = nullptr;  // of those ids
};

// Memory for the workers of one call; grows on first use.
class AttentionScratch {
 public:
  // `floats` of scratch for each of `workers`.
  void Prepare(int64_t workers, int64_t floats);
  float* For(int64_t worker) { return buffer_.data() + worker * floats_; }

 private:
  AlignedBuffer<float> buffer_;
  int64_t floats_ = 0;
};

// Attention of one layer. Immutable after construction.
class BandedAttention {
 public:
  // Throws std::invalid_argument when the shape makes no sense or the plan's
  // tables are wider than the heads.
  BandedAttention(position::Plan plan, const HeadShape& shape);

  const position::Plan& plan() const { return plan_; }
  const HeadShape& shape() const { return shape_; }
  KvStore NewStore() const { return KvStore(plan_, shape_); }

  // The key store that band b reads.
  int64_t StoreOf(int64_t b) const { return store_of_[static_cast<size_t>(b)]; }

  // output = softmax(s(i) / sqrt(D) * scores) values for every slice.
  // `head_scale` [H] multiplies the scores of a head (the learned log n
  // scale), null for none.
  void Attend(std::span<const QuerySlice> slices, const float* head_scale,
              ParallelFor& threads, AttentionScratch& scratch) const;

 private:
  struct Task;
  struct Tile;
  class Worker;

  int64_t ValueParts(std::span<const QuerySlice> slices, int64_t tokens,
                     int64_t workers) const;

  position::Plan plan_;
  HeadShape shape_;
  std::vector<int64_t> store_of_;
  int64_t reach_ = 0;  // of the plan
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_ATTENTION_H_
