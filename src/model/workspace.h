// What belongs to the machine: threads, scratch memory, rotation tables and the
// pool of tiles. Sequences are read in it, one pass after another.

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
  int64_t chunk = 512;       // tokens of one pass at most, of all its sequences
  int64_t memory_limit = 0;  // bytes of keys and values; 0 for no limit
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

  // Logits of the tokens that the last pass was asked for, counted through its
  // slices in order (forward.h): those of tokens [first, first + rows), as
  // [rows, V]. Each row says what comes after its token. Valid until the next
  // call of this or of Forward.
  std::span<const float> Logits(int64_t first, int64_t rows);
  // How many there are.
  int64_t logit_rows() const { return wanted_.total(); }

  // Shows `probe`, which must outlive its use, what attention gets from now on,
  // one slice after another; null shows nobody. No result changes.
  void SetProbe(AttentionProbe* probe) { probe_ = probe; }

 private:
  friend class Pass;

  ParallelFor* threads_;
  WorkspaceOptions options_;
  std::shared_ptr<attention::TilePool> pool_;
  AttentionProbe* probe_ = nullptr;

  // Hidden states [wanted_.total(), E] of the tokens whose logits are wanted,
  // those of few-token slices first; `wanted_row_[i]` is the row of the i-th.
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
  AlignedBuffer<float> gate_;        // [T, F or H * value width]
  AlignedBuffer<float> up_;          // [T, F]
  AlignedBuffer<float> branch_;      // [T, E], what a layer adds
  AlignedBuffer<float> router_;      // [T, experts]
  AlignedBuffer<float> expert_in_;   // [T, E], tokens of one expert
  AlignedBuffer<float> expert_out_;  // [T, E]
  AlignedBuffer<float> gathered_;    // [rows, E], for logits
  AlignedBuffer<float> logits_;      // [rows, V]
  AlignedBuffer<float> sorted_logits_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_WORKSPACE_H_
