// Passes over many sequences: their slices, rows and logits. What the layers
// compute is in pass_layers.cc.

#include "model/forward.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/blocks.h"
#include "kernels/cpu/kernels.h"
#include "model/pass.h"

namespace ropewalk::model {

void Forward(const Model& model, std::span<const Slice> slices,
             Workspace& workspace) {
  Pass(model, workspace).Run(slices);
}

Workspace::Workspace(ParallelFor& threads, const WorkspaceOptions& options)
    : threads_(&threads),
      options_(options),
      pool_(attention::TilePool::Make(options.memory_limit)) {
  Require(options.chunk > 0,
          "chunk must be above 0, got " + std::to_string(options.chunk));
}

std::span<const float> Workspace::Logits(int64_t first, int64_t rows) {
  ROPEWALK_CHECK(first >= 0 && rows >= 0 && first + rows <= logit_rows());
  if (rows == 0) return {};
  return Pass(*model_, *this).Logits(first, rows);
}

void Pass::Run(std::span<const Slice> slices) {
  Check(slices);
  w_.wanted_ = {};
  w_.wanted_row_.clear();
  Prepare(slices);
  try {
    Place(slices);
    if (batch_.total() == 0) return;
    Reserve();
    Embed();
    const auto L = static_cast<int64_t>(model_.layers().size());
    for (int64_t l = 0; l < L; ++l) Apply(l);
    KeepWanted(slices);
  } catch (...) {
    // Some layers may have stored keys of tokens that nobody will accept.
    for (const Slice& slice : slices) slice.sequence->GiveSpareBack();
    w_.wanted_ = {};
    w_.wanted_row_.clear();
    throw;
  }
  for (const Placed& at : placed_) at.slice->sequence->Accept(at.slice->tokens);
}

void Pass::Check(std::span<const Slice> slices) const {
  int64_t total = 0;
  std::vector<const Sequence*> sequences;
  for (const Slice& slice : slices) {
    ROPEWALK_CHECK(slice.sequence != nullptr &&
                   &slice.sequence->model() == &model_);
    const Sequence& sequence = *slice.sequence;
    const auto T = static_cast<int64_t>(slice.tokens.size());
    Require(slice.logits >= 0 && slice.logits <= T,
            "logits wanted must be from 0 to the " + std::to_string(T) +
                " tokens of the slice, got " + std::to_string(slice.logits));
    sequence.RequireFits(slice.tokens);
    total += T;
    sequences.push_back(&sequence);
  }
  Require(total <= w_.chunk(), "a pass takes at most " +
                                   std::to_string(w_.chunk()) +
                                   " tokens, got " + std::to_string(total));
  std::sort(sequences.begin(), sequences.end());
  Require(
      std::adjacent_find(sequences.begin(), sequences.end()) == sequences.end(),
      "a sequence must be in one slice of a pass only, got two");
}

void Pass::Prepare(std::span<const Slice> slices) const {
  // The error of RequireRoom names the bytes of the whole pass. Sequences with
  // pools of their own are checked when they are prepared.
  int64_t bytes = 0;
  for (const Slice& slice : slices) {
    if (slice.sequence->pool() != w_.pool_) continue;
    slice.sequence->DropUnreachable();
    bytes += slice.sequence->BytesToPrepare(
        static_cast<int64_t>(slice.tokens.size()));
  }
  w_.pool_->RequireRoom(bytes);
  size_t prepared = 0;
  try {
    for (; prepared < slices.size(); ++prepared) {
      const Slice& slice = slices[prepared];
      slice.sequence->Prepare(static_cast<int64_t>(slice.tokens.size()));
    }
  } catch (...) {
    for (size_t s = 0; s < prepared; ++s) slices[s].sequence->GiveSpareBack();
    throw;
  }
}

void Pass::Place(std::span<const Slice> slices) {
  for (const bool few : {true, false}) {
    for (size_t s = 0; s < slices.size(); ++s) {
      const auto T = static_cast<int64_t>(slices[s].tokens.size());
      const kernels::BatchRows rows = kernels::RowsOf(T);
      if (T == 0 || (rows.few > 0) != few) continue;
      placed_.push_back({.slice = &slices[s],
                         .index = static_cast<int64_t>(s),
                         .row = batch_.total()});
      batch_.few += rows.few;
      batch_.many += rows.many;
    }
  }
  // Slices at the same positions share their rotation tables.
  std::map<std::pair<int64_t, int64_t>, attention::RotationTables*> tables;
  size_t used = 0;
  for (Placed& at : placed_) {
    const Sequence& sequence = *at.slice->sequence;
    const int64_t first = sequence.size() + sequence.frame();
    auto& of_range = tables[{first, at.T()}];
    if (of_range == nullptr) {
      if (used == w_.tables_.size()) w_.tables_.emplace_back();
      of_range = &w_.tables_[used++];
      of_range->Begin(first, at.T());
    }
    at.tables = of_range;
  }
  w_.tables_.resize(used);
}

// Buffers grow with the tokens of a pass, so decoding alone stays small.
void Pass::Reserve() {
  const Config& config = model_.config();
  const attention::HeadShape& heads = config.heads;
  const int64_t T = batch_.total();
  w_.hidden_.EnsureSize(T * config.E);
  w_.normed_.EnsureSize(T * config.E);
  w_.branch_.EnsureSize(T * config.E);
  w_.queries_.EnsureSize(T * heads.H * heads.D);
  w_.attended_.EnsureSize(T * heads.H * heads.ValueWidth());
  w_.keys_.EnsureSize(T * heads.G * heads.D);
  w_.values_.EnsureSize(T * heads.G * heads.ValueWidth());
}

void Pass::Embed() {
  const kernels::Matrix& embedding = model_.embedding();
  for (const Placed& at : placed_) {
    for (int64_t t = 0; t < at.T(); ++t) {
      float* row = w_.hidden_.data() + (at.row + t) * embedding.columns;
      kernels::UnpackRow(
          embedding.type,
          embedding.Row(at.slice->tokens[static_cast<size_t>(t)]),
          embedding.columns, row);
      if (model_.embedding_scale() != 1) {
        kernels::Scale(model_.embedding_scale(), embedding.columns, row);
      }
    }
  }
}

void Pass::KeepWanted(std::span<const Slice> slices) {
  const int64_t E = model_.config().E;
  w_.model_ = &model_;
  // A slice that wants few logits takes the kernel for few tokens.
  std::vector<int64_t> first_row(slices.size(), 0);
  std::vector<int64_t> hidden_row(slices.size(), 0);
  for (const Placed& at : placed_) {
    hidden_row[static_cast<size_t>(at.index)] =
        at.row + at.T() - at.slice->logits;
  }
  for (const bool few : {true, false}) {
    for (size_t s = 0; s < slices.size(); ++s) {
      const kernels::BatchRows rows = kernels::RowsOf(slices[s].logits);
      if (slices[s].logits == 0 || (rows.few > 0) != few) continue;
      first_row[s] = w_.wanted_.total();
      w_.wanted_.few += rows.few;
      w_.wanted_.many += rows.many;
    }
  }
  w_.wanted_hidden_.EnsureSize(w_.wanted_.total() * E);
  for (size_t s = 0; s < slices.size(); ++s) {
    std::copy_n(w_.hidden_.data() + hidden_row[s] * E, slices[s].logits * E,
                w_.wanted_hidden_.data() + first_row[s] * E);
    for (int64_t t = 0; t < slices[s].logits; ++t) {
      w_.wanted_row_.push_back(first_row[s] + t);
    }
  }
}

// Rows are gathered with few-token slices first; their logits are then put into
// the order in which they were asked for.
std::span<const float> Pass::Logits(int64_t first, int64_t rows) {
  const int64_t E = model_.config().E;
  const int64_t V = model_.config().V;
  const auto wanted =
      std::span(w_.wanted_row_)
          .subspan(static_cast<size_t>(first), static_cast<size_t>(rows));
  std::vector<int64_t> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto is_few = [&](int64_t i) {
    return wanted[static_cast<size_t>(i)] < w_.wanted_.few;
  };
  const auto middle = std::stable_partition(order.begin(), order.end(), is_few);
  const kernels::BatchRows batch{.few = middle - order.begin(),
                                 .many = order.end() - middle};
  w_.gathered_.EnsureSize(rows * E);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t row =
        wanted[static_cast<size_t>(order[static_cast<size_t>(r)])];
    std::copy_n(w_.wanted_hidden_.data() + row * E, E,
                w_.gathered_.data() + r * E);
  }
  Normalise(model_.output_norm(), w_.gathered_.data(), rows,
            w_.gathered_.data());
  w_.logits_.EnsureSize(rows * V);
  Project(w_.gathered_.data(), batch, {{&model_.output(), w_.logits_.data()}});
  const float scale = model_.logit_scale();
  const float cap = model_.final_softcap();
  if (scale != 1 || cap > 0) {
    ForRows(rows, threads_, [&](int64_t r) {
      float* row = w_.logits_.data() + r * V;
      if (scale != 1) kernels::Scale(scale, V, row);
      if (cap > 0) kernels::SoftCap(cap, V, row);
    });
  }
  // Rows are nearly always in that order already.
  if (!std::is_sorted(order.begin(), order.end())) {
    w_.sorted_logits_.EnsureSize(rows * V);
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(w_.logits_.data() + r * V, V,
                  w_.sorted_logits_.data() + order[static_cast<size_t>(r)] * V);
    }
    return {w_.sorted_logits_.data(), static_cast<size_t>(rows * V)};
  }
  return {w_.logits_.data(), static_cast<size_t>(rows * V)};
}

}  // namespace ropewalk::model
