// Attention over the bands of a plan, tile by tile.
//
// Work is divided into shares: the query heads of one key head, times a run of
// tokens. Many queries are computed in strips (strip_worker.h), few in rows
// (row_worker.h), which also divide a long store into parts. The plan says
// which bands a tile of keys touches; it is nearly always one, so the scores of
// the tile are one matrix product. Softmax runs online, so no matrix larger
// than a tile exists. No loop knows which scheme made the plan.
//
// The number of tokens of a slice decides between strips and rows, and so the
// order of sums: prefills of one text in different chunks give the same bits,
// and a decoded token equals a prefilled one up to rounding. The number of
// threads does not change any bit.

#ifndef ROPEWALK_ATTENTION_SERVING_ATTENTION_H_
#define ROPEWALK_ATTENTION_SERVING_ATTENTION_H_

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "attention/serving/kv_store.h"
#include "attention/serving/memory_keys.h"
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
  // The keys of these T tokens have been appended: query t has the id
  // store->size() - T + t. Negative ids are left padding; their output is 0.
  const KvStore* store = nullptr;
  RotationTables* tables = nullptr;  // for those ids, as given to Append
  // What the queries attend to beside the store, of the same type; or null.
  const LayerMemories* memories = nullptr;
  // [H], or null: each head has a sink besides, a score without a value that
  // takes its share of the weights (gpt-oss). Factor, cap and s(i) are not for
  // it.
  const float* sinks = nullptr;
};

// Memory for the workers of a call; it grows as needed and is used again.
class AttentionScratch {
 public:
  // Makes scratch of `floats` for each of `workers`.
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
  // Throws std::invalid_argument if Validate(shape) does, if the plan has no
  // band, or if its tables are wider than the heads.
  BandedAttention(position::Plan plan, const HeadShape& shape);

  // Stores share the plan and may outlive this object.
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

  // The band of memories, which comes after those of the plan: an index into
  // arrays that have a place for each band.
  int64_t MemoryBand() const {
    return static_cast<int64_t>(plan_->bands.size());
  }

  // Computes output = softmax(cap(head_scale s(i) factor scores)) values for
  // every slice, with the factor and the cap of the shape (ReferenceScore).
  // `head_scale` [H] multiplies the scores of each head (the learned log n
  // scale); null stands for 1. All stores have this plan and one type. Memories
  // come before the store: LayerMemories says how their scores differ.
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
