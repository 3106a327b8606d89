// The forward pass on the fast kernels: it computes what the description of
// each layer (layer.h) says. Its definition in float64 is model/reference.cc.

#include "model/forward.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/blocks.h"
#include "kernels/cpu/kernels.h"
#include "model/experts.h"

namespace ropewalk::model {
namespace {

// The rows of elementwise work in one task.
constexpr int64_t kRowsPerTask = 8;

template <typename Body>
void ForRows(int64_t rows, ParallelFor& threads, const Body& body) {
  threads.Run((rows + kRowsPerTask - 1) / kRowsPerTask,
              [&](int64_t task, int64_t) {
                const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
                for (int64_t r = task * kRowsPerTask; r < end; ++r) body(r);
              });
}

const float* Data(const AlignedBuffer<float>& buffer, int64_t offset = 0) {
  return buffer.size() > 0 ? buffer.data() + offset : nullptr;
}

// A slice and the rows of the pass that hold its tokens.
struct Placed {
  const Slice* slice = nullptr;
  int64_t index = 0;  // of the slice in the pass
  int64_t row = 0;    // of the slice's first token
  attention::RotationTables* tables = nullptr;

  int64_t T() const { return static_cast<int64_t>(slice->tokens.size()); }
};

}  // namespace

// One pass; its buffers are those of the workspace.
class Pass {
 public:
  Pass(const Model& model, Workspace& workspace)
      : model_(model), w_(workspace), threads_(workspace.threads()) {}

  void Run(std::span<const Slice> slices);
  std::span<const float> Logits(int64_t first, int64_t rows);

 private:
  void Check(std::span<const Slice> slices) const;
  // Takes the memory for all tokens; if that fails, gives back what it took.
  void Prepare(std::span<const Slice> slices) const;
  // Gives each slice its rows; slices of few tokens come before the others.
  void Place(std::span<const Slice> slices);
  void Reserve();
  void Embed();
  // hidden <- the layer's output.
  void Apply(int64_t l);
  // branch <- the attention part of layer l with the input x, projected.
  void Attend(int64_t l, const float* x);
  // Shows the inputs of attention to the probe.
  void Show(int64_t l, const float* logn_scale) const;
  // attended <- attention of each slice under its own plan.
  void AttendSlices(int64_t l);
  // queries, keys, values <- the projections of x, not rotated.
  void ProjectHeads(const Attention& layer, const float* x);
  // y <- the feed-forward of x.
  void Feed(const FeedForward& feed, const float* x, kernels::BatchRows batch,
            float* y);
  void Feed(const Experts& experts, const float* x, float* y);
  void Project(const float* x, kernels::BatchRows batch, const Linear& linear,
               float* y);
  // y <- norm of x, in rows of norm.width; y may be x. Does nothing if the norm
  // does not exist.
  void Normalise(const Norm& norm, const float* x, int64_t rows, float* y);
  // Returns the norm of x, in normed, or x itself if the norm does not exist.
  const float* Normed(const Norm& norm, const float* x, int64_t rows);
  // y <- act(x) * factor, elementwise; y may be x. `stride` is the distance of
  // rows in `factor`; 0 uses one row of factors for all rows.
  void Gate(kernels::Activation activation, const float* x, const float* factor,
            int64_t stride, int64_t width, int64_t rows, float* y);
  void AddBranch(float scale);
  // Keeps the hidden states whose logits are wanted.
  void KeepWanted(std::span<const Slice> slices);

  const Model& model_;
  Workspace& w_;
  ParallelFor& threads_;
  std::vector<Placed> placed_;  // in the order of rows
  kernels::BatchRows batch_;
};

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

void Pass::Apply(int64_t l) {
  const Layer& layer = model_.layers()[static_cast<size_t>(l)];
  const int64_t T = batch_.total();
  const float* x = w_.hidden_.data();
  const float* in = Normed(layer.attention_norm, x, T);
  Attend(l, in);
  Normalise(layer.attention_after, w_.branch_.data(), T, w_.branch_.data());
  // A parallel feed-forward reads x as it is before attention is added.
  if (layer.parallel && layer.feed_norm.exists()) {
    in = Normed(layer.feed_norm, x, T);
  }
  AddBranch(layer.residual_scale);
  if (layer.feed || layer.experts) {
    if (!layer.parallel) in = Normed(layer.feed_norm, x, T);
    if (layer.experts) {
      Feed(*layer.experts, in, w_.branch_.data());
    } else {
      Feed(*layer.feed, in, batch_, w_.branch_.data());
    }
    Normalise(layer.feed_after, w_.branch_.data(), T, w_.branch_.data());
    AddBranch(layer.residual_scale);
  }
  Normalise(layer.residual_norm, w_.hidden_.data(), T, w_.hidden_.data());
}

void Pass::AddBranch(float scale) {
  const int64_t size = batch_.total() * model_.config().E;
  if (scale == 1) {
    kernels::Add(w_.branch_.data(), size, w_.hidden_.data());
  } else {
    kernels::AddScaled(w_.branch_.data(), scale, size, w_.hidden_.data());
  }
}

void Pass::ProjectHeads(const Attention& layer, const float* x) {
  const int64_t T = batch_.total();
  const attention::HeadShape& heads = layer.heads;
  const int64_t queries = heads.H * heads.D;
  const int64_t keys = heads.G * heads.D;
  const int64_t values = heads.G * heads.ValueWidth();
  Project(x, batch_, layer.query, w_.queries_.data());
  if (layer.key.exists()) Project(x, batch_, layer.key, w_.keys_.data());
  Project(x, batch_, layer.value, w_.values_.data());
  if (layer.clamp > 0) {
    const auto limit = static_cast<float>(layer.clamp);
    const auto clamp = [&](float* row, int64_t size) {
      for (int64_t i = 0; i < size; ++i) {
        row[i] = std::clamp(row[i], -limit, limit);
      }
    };
    ForRows(T, threads_, [&](int64_t t) {
      clamp(w_.queries_.data() + t * queries, queries);
      clamp(w_.keys_.data() + t * keys, keys);
      clamp(w_.values_.data() + t * values, values);
    });
  }
  if (layer.activation) {
    // Queries and keys are one projection, multiplied by two gains.
    Gate(*layer.activation, w_.queries_.data(), layer.key_gain.data(), 0,
         heads.D, T, w_.keys_.data());
    Gate(*layer.activation, w_.queries_.data(), layer.query_gain.data(), 0,
         heads.D, T, w_.queries_.data());
    ForRows(T, threads_, [&](int64_t t) {
      float* row = w_.values_.data() + t * values;
      kernels::Activate(*layer.activation, row, values, row);
    });
  }
  if (layer.query_norm.exists()) {
    Normalise(layer.query_norm, w_.queries_.data(),
              T * queries / layer.query_norm.width, w_.queries_.data());
  }
  if (layer.key_norm.exists()) {
    Normalise(layer.key_norm, w_.keys_.data(), T * keys / layer.key_norm.width,
              w_.keys_.data());
  }
}

void Pass::Show(int64_t l, const float* logn_scale) const {
  const attention::HeadShape& heads =
      model_.layers()[static_cast<size_t>(l)].attention.heads;
  for (const Placed& at : placed_) {
    const Sequence& sequence = *at.slice->sequence;
    const bool scaled =
        sequence.attention()[static_cast<size_t>(l)].plan().scale.kind ==
        position::ScoreScale::Kind::kLearned;
    w_.probe_->See({.layer = l,
                    .first = sequence.size(),
                    .T = at.T(),
                    .queries = w_.queries_.data() + at.row * heads.H * heads.D,
                    .keys = w_.keys_.data() + at.row * heads.G * heads.D,
                    .head_scale = scaled ? logn_scale : nullptr});
  }
}

void Pass::AttendSlices(int64_t l) {
  const Attention& layer = model_.layers()[static_cast<size_t>(l)].attention;
  const attention::HeadShape& heads = layer.heads;
  // The slices of one call of attention: they have one plan and one type of
  // store. Groups are in the order of their first slices.
  struct Group {
    const attention::BandedAttention* attention = nullptr;
    DType type = DType::kF32;
    std::vector<attention::QuerySlice> slices;
  };
  std::vector<Group> groups;
  for (const Placed& at : placed_) {
    Sequence& sequence = *at.slice->sequence;
    attention::KvStore& store = sequence.store(l);
    store.Append(w_.keys_.data() + at.row * heads.G * heads.D,
                 w_.values_.data() + at.row * heads.G * heads.ValueWidth(),
                 at.T(), *at.tables, threads_);
    const attention::BandedAttention* attention =
        &sequence.attention()[static_cast<size_t>(l)];
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const Group& candidate) {
          return candidate.attention == attention &&
                 candidate.type == store.type();
        });
    if (group == groups.end()) {
      groups.push_back({attention, store.type(), {}});
      group = groups.end() - 1;
    }
    group->slices.push_back(
        {.queries = w_.queries_.data() + at.row * heads.H * heads.D,
         .output = w_.attended_.data() + at.row * heads.H * heads.ValueWidth(),
         .T = at.T(),
         .store = &store,
         .tables = at.tables});
  }
  for (const Group& group : groups) {
    const bool scaled = group.attention->plan().scale.kind ==
                        position::ScoreScale::Kind::kLearned;
    group.attention->Attend(group.slices,
                            scaled ? layer.logn_scale.data() : nullptr,
                            threads_, w_.attention_scratch_);
  }
}

void Pass::Attend(int64_t l, const float* x) {
  const Attention& layer = model_.layers()[static_cast<size_t>(l)].attention;
  const int64_t T = batch_.total();
  ProjectHeads(layer, x);
  if (w_.probe_ != nullptr) Show(l, layer.logn_scale.data());
  AttendSlices(l);
  if (layer.gate.exists()) {
    const int64_t width = layer.heads.H * layer.heads.ValueWidth();
    w_.gate_.EnsureSize(T * width);
    Project(x, batch_, layer.gate, w_.gate_.data());
    Gate(kernels::Activation::kSilu, w_.gate_.data(), w_.attended_.data(),
         width, width, T, w_.attended_.data());
  }
  Project(w_.attended_.data(), batch_, layer.output, w_.branch_.data());
}

void Pass::Feed(const FeedForward& feed, const float* x,
                kernels::BatchRows batch, float* y) {
  const int64_t T = batch.total();
  const int64_t F = feed.up.weights.rows;
  w_.gate_.EnsureSize(T * F);
  w_.up_.EnsureSize(T * F);
  Project(x, batch, feed.up, w_.up_.data());
  if (feed.gate.exists()) {
    Project(x, batch, feed.gate, w_.gate_.data());
    Gate(feed.activation, w_.gate_.data(), w_.up_.data(), F, F, T,
         w_.up_.data());
  } else {
    ForRows(T, threads_, [&](int64_t t) {
      float* row = w_.up_.data() + t * F;
      kernels::Activate(feed.activation, row, F, row);
    });
  }
  Project(w_.up_.data(), batch, feed.down, y);
}

// An expert multiplies all its tokens as one matrix, so that its weights are
// read once a pass.
void Pass::Feed(const Experts& experts, const float* x, float* y) {
  const int64_t T = batch_.total();
  const int64_t E = model_.config().E;
  const auto count = static_cast<int64_t>(experts.experts.size());
  w_.router_.EnsureSize(T * count);
  w_.expert_in_.EnsureSize(T * E);
  w_.expert_out_.EnsureSize(T * E);
  kernels::MatMul(x, batch_, experts.router, w_.router_.data(), threads_,
                  w_.matmul_scratch_);
  const std::vector<std::vector<ExpertShare>> shares =
      RouteTokens(experts, w_.router_.data(), T);
  std::fill_n(y, T * E, 0.0f);
  for (int64_t e = 0; e < count; ++e) {
    const std::vector<ExpertShare>& tokens = shares[static_cast<size_t>(e)];
    if (tokens.empty()) continue;
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::copy_n(x + tokens[i].token * E, E,
                  w_.expert_in_.data() + static_cast<int64_t>(i) * E);
    }
    // Tokens are in the order of rows: those of few-token slices come first.
    const auto few = std::count_if(
        tokens.begin(), tokens.end(),
        [&](const ExpertShare& token) { return token.token < batch_.few; });
    Feed(experts.experts[static_cast<size_t>(e)], w_.expert_in_.data(),
         {.few = few, .many = static_cast<int64_t>(tokens.size()) - few},
         w_.expert_out_.data());
    for (size_t i = 0; i < tokens.size(); ++i) {
      kernels::AddScaled(w_.expert_out_.data() + static_cast<int64_t>(i) * E,
                         tokens[i].share, E, y + tokens[i].token * E);
    }
  }
  if (!experts.shared) return;
  Feed(*experts.shared, x, batch_, w_.expert_out_.data());
  if (experts.shared_router.rows > 0) {
    kernels::MatMul(x, batch_, experts.shared_router, w_.router_.data(),
                    threads_, w_.matmul_scratch_);
  }
  for (int64_t t = 0; t < T; ++t) {
    const float share = experts.shared_router.rows > 0
                            ? 1 / (1 + std::exp(-w_.router_[t]))
                            : 1.0f;
    kernels::AddScaled(w_.expert_out_.data() + t * E, share, E, y + t * E);
  }
}

void Pass::Project(const float* x, kernels::BatchRows batch,
                   const Linear& linear, float* y) {
  kernels::MatMul(x, batch, linear.weights, y, threads_, w_.matmul_scratch_);
  if (linear.bias.size() == 0) return;
  const int64_t rows = linear.weights.rows;
  ForRows(batch.total(), threads_, [&](int64_t t) {
    kernels::Add(linear.bias.data(), rows, y + t * rows);
  });
}

void Pass::Normalise(const Norm& norm, const float* x, int64_t rows, float* y) {
  if (!norm.exists()) return;
  const int64_t width = norm.width;
  ForRows(rows, threads_, [&](int64_t r) {
    const int64_t set = r % norm.sets * width;
    const float* weight = Data(norm.weight, set);
    if (norm.kind == NormKind::kRms) {
      kernels::RmsNorm(x + r * width, weight, norm.epsilon, width,
                       y + r * width);
    } else {
      kernels::LayerNorm(x + r * width, weight, Data(norm.bias, set),
                         norm.epsilon, width, y + r * width);
    }
  });
}

const float* Pass::Normed(const Norm& norm, const float* x, int64_t rows) {
  if (!norm.exists()) return x;
  Normalise(norm, x, rows, w_.normed_.data());
  return w_.normed_.data();
}

void Pass::Gate(kernels::Activation activation, const float* x,
                const float* factor, int64_t stride, int64_t width,
                int64_t rows, float* y) {
  ForRows(rows, threads_, [&](int64_t t) {
    kernels::GatedActivation(activation, x + t * width, factor + t * stride,
                             width, y + t * width);
  });
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
  Project(w_.gathered_.data(), batch, model_.output(), w_.logits_.data());
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
