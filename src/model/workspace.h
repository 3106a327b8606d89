// A workspace: threads, scratch memory, rotation tables and the pool of tiles.
// Passes use it one after another, for any number of sequences.

#ifndef ROPEWALK_MODEL_WORKSPACE_H_
#define ROPEWALK_MODEL_WORKSPACE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "attention/serving/attention.h"
#include "attention/serving/kv_tiles.h"
#include "attention/serving/rotation_tables.h"
#include "base/aligned.h"
#include "base/parallel.h"
#include "kernels/matmul.h"
#include "model/attention_probe.h"
#include "model/model.h"

namespace ropewalk::model {

struct WorkspaceOptions {
  int64_t chunk = 512;       // most tokens of one pass, all slices together
  int64_t memory_limit = 0;  // most bytes of keys and values; 0: no limit
};

// One thread at a time. Borrows `threads`, which must outlive it.
class Workspace {
 public:
  // Throws std::invalid_argument for a chunk below 1 or a negative limit.
  explicit Workspace(ParallelFor& threads,
                     const WorkspaceOptions& options = {});

  int64_t chunk() const { return options_.chunk; }
  ParallelFor& threads() { return *threads_; }
  const std::shared_ptr<attention::TilePool>& pool() const { return pool_; }

  // Returns logits [rows, V] of the last pass. Row r is for token first + r of
  // those whose logits were asked for, counted through the slices in order
  // (forward.h), and scores the token that comes next. Valid until the next
  // call of this or of Forward.
  std::span<const float> Logits(int64_t first, int64_t rows);
  // The number of tokens whose logits the last pass was asked for.
  int64_t logit_rows() const { return wanted_.total(); }

  // Calls `probe`, which must outlive its use, with the inputs of attention of
  // each slice from now on; null ends that. No result changes.
  void SetProbe(AttentionProbe* probe) { probe_ = probe; }

 private:
  friend class Pass;

  ParallelFor* threads_;
  WorkspaceOptions options_;
  std::shared_ptr<attention::TilePool> pool_;
  AttentionProbe* probe_ = nullptr;

  // wanted_hidden_ has the hidden states [wanted_.total(), E] of the tokens
  // whose logits are wanted, few-token slices first; wanted_row_[i] is the row
  // of the i-th of these tokens.
  const Model* model_ = nullptr;
  kernels::BatchRows wanted_;
  std::vector<int64_t> wanted_row_;
  AlignedBuffer<float> wanted_hidden_;

  std::deque<attention::RotationTables> tables_;
  attention::AttentionScratch attention_scratch_;
  kernels::MatMulScratch matmul_scratch_;
  AlignedBuffer<float> hidden_;      // [T, E]
  AlignedBuffer<float> normed_;      // [T, E]
  AlignedBuffer<float> queries_;     // [T, H * D]
  AlignedBuffer<float> keys_;        // [T, G * D]
  AlignedBuffer<float> values_;      // [T, G * value width]
  AlignedBuffer<float> attended_;    // [T, H * value width]
  AlignedBuffer<float> projected_;   // [T, H * (d + n)], of latent attention
  AlignedBuffer<float> latent_;      // [T, d + C]
  AlignedBuffer<float> low_;         // [T, R]
  AlignedBuffer<float> head_in_;     // [T, n or C], of one head
  AlignedBuffer<float> head_out_;    // [T, C or v]
  AlignedBuffer<float> raised_;      // [T, H * v]
  AlignedBuffer<float> gate_;        // [T, F or H * value width]
  AlignedBuffer<float> up_;          // [T, F]
  AlignedBuffer<float> branch_;      // [T, E], the part that a layer adds
  AlignedBuffer<float> router_;      // [T, experts]
  AlignedBuffer<float> expert_in_;   // [T, E], tokens of one expert
  AlignedBuffer<float> expert_out_;  // [T, E]
  AlignedBuffer<float> gathered_;    // [rows, E], for logits
  AlignedBuffer<float> logits_;      // [rows, V]
  AlignedBuffer<float> sorted_logits_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_WORKSPACE_H_
