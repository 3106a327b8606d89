// Attention over the bands of a plan, tile by tile.
//
// Work is cut into shares: all heads that share a key head, times a run of
// tokens. Many queries go through strips (strip_worker.h), few through rows
// (row_worker.h), where a long store is cut into parts besides. For each tile
// of keys the plan says which bands it touches: nearly always one, so that its
// scores are one matrix product. Softmax runs online, so no matrix larger than
// a tile exists. No loop ever learns which scheme made the plan.
//
// How many tokens come at once decides which way is taken, and with it the
// order of sums: two prefills of one text in other chunks have the same bits,
// a decoded token equals a prefilled one to rounding. The number of threads
// changes no bit.

#ifndef ROPEWALK_ATTENTION_SERVING_ATTENTION_H_
#define ROPEWALK_ATTENTION_SERVING_ATTENTION_H_

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "attention/serving/kv_store.h"
#include "attention/serving/rotation_tables.h"
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
  RotationTables* tables = nullptr;  // of those ids, as Append had them
};

// Memory for the workers of one call; grows on first use.
class AttentionScratch {
 public:
  // `floats` of scratch for each of `workers`.
  void Prepare(int64_t workers, int64_t floats);
  float* For(int64_t worker) { return buffer_.data() + worker * floats_; }
  // Memory that the workers share.
  float* Shared(int64_t floats);

 private:
  AlignedBuffer<float> buffer_;
  AlignedBuffer<float> shared_;
  int64_t floats_ = 0;
};

// Attention of one layer. Immutable after construction.
class BandedAttention {
 public:
  // Throws std::invalid_argument when the shape makes no sense or the plan's
  // tables are wider than the heads.
  BandedAttention(position::Plan plan, const HeadShape& shape);

  // Its stores share the plan, and may outlive the attention.
  const position::Plan& plan() const { return *plan_; }
  const std::shared_ptr<const position::Plan>& shared_plan() const {
    return plan_;
  }
  const HeadShape& shape() const { return shape_; }
  KvStore NewStore(DType type = DType::kF32,
                   std::shared_ptr<TilePool> pool = nullptr) const {
    return KvStore(plan_, shape_, type, std::move(pool));
  }

  // The key store that band b reads.
  int64_t StoreOf(int64_t b) const { return store_of_[static_cast<size_t>(b)]; }

  int64_t KeyStoreCount() const { return key_stores_; }

  // output = softmax(cap(head_scale s(i) factor scores)) values for every
  // slice, with the factor and the cap of the shape (ReferenceScore).
  // `head_scale` [H] multiplies the scores of a head (the learned log n
  // scale), null for none. All stores are of this plan and of one type.
  void Attend(std::span<const QuerySlice> slices, const float* head_scale,
              ParallelFor& threads, AttentionScratch& scratch) const;

 private:
  std::shared_ptr<const position::Plan> plan_;
  HeadShape shape_;
  std::vector<int64_t> store_of_;
  int64_t key_stores_ = 0;
  int64_t reach_ = 0;  // of the plan
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_ATTENTION_H_
