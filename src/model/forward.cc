// The forward pass of a context: what a layer's description says, on the fast
// kernels. Its definition is model/reference.cc.

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "kernels/blocks.h"
#include "kernels/cpu/kernels.h"
#include "model/context.h"
#include "model/experts.h"

namespace ropewalk::model {
namespace {

// Rows of elementwise work that one task takes.
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

}  // namespace

void Context::Forward(std::span<const Token> tokens) {
  const Config& config = model_.config();
  const auto T = static_cast<int64_t>(tokens.size());
  Require(T <= options_.chunk, "context: " + std::to_string(T) +
                                   " tokens at once, at most " +
                                   std::to_string(options_.chunk));
  Require(size() + T <= options_.length, "context is full: it was opened for " +
                                             std::to_string(options_.length) +
                                             " tokens");
  for (const Token token : tokens) {
    Require(token >= 0 && token < config.V,
            "token " + std::to_string(token) +
                " is outside the vocabulary of " + std::to_string(config.V));
  }
  last_ = T;
  if (T == 0) return;
  Reserve(T);
  // All layers were shifted together.
  tables_.Begin(size() + layers_.front().store.frame(), T);
  Embed(tokens);
  for (size_t l = 0; l < layers_.size(); ++l) {
    Apply(model_.layers()[l], layers_[l], T);
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

// Sized by what is used: decoding never needs a chunk's worth.
void Context::Reserve(int64_t T) {
  const Config& config = model_.config();
  const attention::HeadShape& heads = config.heads;
  hidden_.EnsureSize(T * config.E);
  normed_.EnsureSize(T * config.E);
  branch_.EnsureSize(T * config.E);
  queries_.EnsureSize(T * heads.H * heads.D);
  attended_.EnsureSize(T * heads.H * heads.ValueWidth());
  keys_.EnsureSize(T * heads.G * heads.D);
  values_.EnsureSize(T * heads.G * heads.ValueWidth());
}

void Context::Embed(std::span<const Token> tokens) {
  const kernels::Matrix& embedding = model_.embedding();
  for (size_t t = 0; t < tokens.size(); ++t) {
    float* row = hidden_.data() + static_cast<int64_t>(t) * embedding.columns;
    kernels::UnpackRow(embedding.type, embedding.Row(tokens[t]),
                       embedding.columns, row);
    if (model_.embedding_scale() != 1) {
      kernels::Scale(model_.embedding_scale(), embedding.columns, row);
    }
  }
}

void Context::Apply(const Layer& layer, Memory& memory, int64_t T) {
  const float* x = hidden_.data();
  const float* in = Normed(layer.attention_norm, x, T);
  Attend(layer.attention, memory, in, T);
  Normalise(layer.attention_after, branch_.data(), T, branch_.data());
  // What a parallel feed-forward reads is settled before x moves.
  if (layer.parallel && layer.feed_norm.exists()) {
    in = Normed(layer.feed_norm, x, T);
  }
  AddBranch(layer.residual_scale, T);
  if (layer.feed || layer.experts) {
    if (!layer.parallel) in = Normed(layer.feed_norm, x, T);
    if (layer.experts) {
      Feed(*layer.experts, in, T, branch_.data());
    } else {
      Feed(*layer.feed, in, T, branch_.data());
    }
    Normalise(layer.feed_after, branch_.data(), T, branch_.data());
    AddBranch(layer.residual_scale, T);
  }
  Normalise(layer.residual_norm, hidden_.data(), T, hidden_.data());
}

void Context::AddBranch(float scale, int64_t T) {
  const int64_t size = T * model_.config().E;
  if (scale == 1) {
    kernels::Add(branch_.data(), size, hidden_.data());
  } else {
    kernels::AddScaled(branch_.data(), scale, size, hidden_.data());
  }
}

void Context::ProjectHeads(const Attention& layer, const float* x, int64_t T) {
  const attention::HeadShape& heads = layer.heads;
  const int64_t queries = heads.H * heads.D;
  const int64_t keys = heads.G * heads.D;
  const int64_t values = heads.G * heads.ValueWidth();
  Project(x, T, layer.query, queries_.data());
  if (layer.key.exists()) Project(x, T, layer.key, keys_.data());
  Project(x, T, layer.value, values_.data());
  if (layer.clamp > 0) {
    const auto limit = static_cast<float>(layer.clamp);
    const auto clamp = [&](float* row, int64_t size) {
      for (int64_t i = 0; i < size; ++i) {
        row[i] = std::clamp(row[i], -limit, limit);
      }
    };
    ForRows(T, threads_, [&](int64_t t) {
      clamp(queries_.data() + t * queries, queries);
      clamp(keys_.data() + t * keys, keys);
      clamp(values_.data() + t * values, values);
    });
  }
  if (layer.activation) {
    // Queries and keys are one projection under two gains.
    Gate(*layer.activation, queries_.data(), layer.key_gain.data(), 0, heads.D,
         T, keys_.data());
    Gate(*layer.activation, queries_.data(), layer.query_gain.data(), 0,
         heads.D, T, queries_.data());
    ForRows(T, threads_, [&](int64_t t) {
      float* row = values_.data() + t * values;
      kernels::Activate(*layer.activation, row, values, row);
    });
  }
  if (layer.query_norm.exists()) {
    Normalise(layer.query_norm, queries_.data(),
              T * queries / layer.query_norm.width, queries_.data());
  }
  if (layer.key_norm.exists()) {
    Normalise(layer.key_norm, keys_.data(), T * keys / layer.key_norm.width,
              keys_.data());
  }
}

void Context::Attend(const Attention& layer, Memory& memory, const float* x,
                     int64_t T) {
  ProjectHeads(layer, x, T);
  const bool scaled = memory.attention.plan().scale.kind ==
                      position::ScoreScale::Kind::kLearned;
  const float* head_scale = scaled ? layer.logn_scale.data() : nullptr;
  if (probe_ != nullptr) {
    probe_->See({.layer = &memory - layers_.data(),
                 .first = size(),
                 .T = T,
                 .queries = queries_.data(),
                 .keys = keys_.data(),
                 .head_scale = head_scale});
  }
  memory.store.Append(keys_.data(), values_.data(), T, tables_, threads_);
  const attention::QuerySlice slice{.queries = queries_.data(),
                                    .output = attended_.data(),
                                    .T = T,
                                    .store = &memory.store,
                                    .tables = &tables_};
  memory.attention.Attend({&slice, 1}, head_scale, threads_,
                          attention_scratch_);
  if (layer.gate.exists()) {
    const int64_t width = layer.heads.H * layer.heads.ValueWidth();
    gate_.EnsureSize(T * width);
    Project(x, T, layer.gate, gate_.data());
    Gate(kernels::Activation::kSilu, gate_.data(), attended_.data(), width,
         width, T, attended_.data());
  }
  Project(attended_.data(), T, layer.output, branch_.data());
}

void Context::Feed(const FeedForward& feed, const float* x, int64_t T,
                   float* y) {
  const int64_t F = feed.up.weights.rows;
  gate_.EnsureSize(T * F);
  up_.EnsureSize(T * F);
  Project(x, T, feed.up, up_.data());
  if (feed.gate.exists()) {
    Project(x, T, feed.gate, gate_.data());
    Gate(feed.activation, gate_.data(), up_.data(), F, F, T, up_.data());
  } else {
    ForRows(T, threads_, [&](int64_t t) {
      float* row = up_.data() + t * F;
      kernels::Activate(feed.activation, row, F, row);
    });
  }
  Project(up_.data(), T, feed.down, y);
}

// An expert reads its tokens as one matrix, so that its weights are read once
// a chunk.
void Context::Feed(const Experts& experts, const float* x, int64_t T,
                   float* y) {
  const int64_t E = model_.config().E;
  const auto count = static_cast<int64_t>(experts.experts.size());
  router_.EnsureSize(T * count);
  expert_in_.EnsureSize(T * E);
  expert_out_.EnsureSize(T * E);
  kernels::MatMul(x, T, experts.router, router_.data(), threads_,
                  matmul_scratch_);
  const std::vector<std::vector<ExpertShare>> shares =
      RouteTokens(experts, router_.data(), T);
  std::fill_n(y, T * E, 0.0f);
  for (int64_t e = 0; e < count; ++e) {
    const std::vector<ExpertShare>& tokens = shares[static_cast<size_t>(e)];
    if (tokens.empty()) continue;
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::copy_n(x + tokens[i].token * E, E,
                  expert_in_.data() + static_cast<int64_t>(i) * E);
    }
    Feed(experts.experts[static_cast<size_t>(e)], expert_in_.data(),
         static_cast<int64_t>(tokens.size()), expert_out_.data());
    for (size_t i = 0; i < tokens.size(); ++i) {
      kernels::AddScaled(expert_out_.data() + static_cast<int64_t>(i) * E,
                         tokens[i].share, E, y + tokens[i].token * E);
    }
  }
  if (!experts.shared) return;
  Feed(*experts.shared, x, T, expert_out_.data());
  if (experts.shared_router.rows > 0) {
    kernels::MatMul(x, T, experts.shared_router, router_.data(), threads_,
                    matmul_scratch_);
  }
  for (int64_t t = 0; t < T; ++t) {
    const float share =
        experts.shared_router.rows > 0 ? 1 / (1 + std::exp(-router_[t])) : 1.0f;
    kernels::AddScaled(expert_out_.data() + t * E, share, E, y + t * E);
  }
}

void Context::Project(const float* x, int64_t T, const Linear& linear,
                      float* y) {
  kernels::MatMul(x, T, linear.weights, y, threads_, matmul_scratch_);
  if (linear.bias.size() == 0) return;
  const int64_t rows = linear.weights.rows;
  ForRows(T, threads_, [&](int64_t t) {
    kernels::Add(linear.bias.data(), rows, y + t * rows);
  });
}

void Context::Normalise(const Norm& norm, const float* x, int64_t rows,
                        float* y) {
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

const float* Context::Normed(const Norm& norm, const float* x, int64_t T) {
  if (!norm.exists()) return x;
  Normalise(norm, x, T, normed_.data());
  return normed_.data();
}

void Context::Gate(kernels::Activation activation, const float* x,
                   const float* factor, int64_t stride, int64_t width,
                   int64_t T, float* y) {
  ForRows(T, threads_, [&](int64_t t) {
    kernels::GatedActivation(activation, x + t * width, factor + t * stride,
                             width, y + t * width);
  });
}

std::span<const float> Context::Logits(int64_t first, int64_t rows) {
  const Config& config = model_.config();
  ROPEWALK_CHECK(first >= 0 && rows >= 0 && first + rows <= last_);
  const float* x =
      Normed(model_.output_norm(), hidden_.data() + first * config.E, rows);
  logits_.EnsureSize(rows * config.V);
  Project(x, rows, model_.output(), logits_.data());
  const float scale = model_.logit_scale();
  const float cap = model_.final_softcap();
  if (scale != 1 || cap > 0) {
    ForRows(rows, threads_, [&](int64_t r) {
      float* row = logits_.data() + r * config.V;
      if (scale != 1) kernels::Scale(scale, config.V, row);
      if (cap > 0) kernels::SoftCap(cap, config.V, row);
    });
  }
  return {logits_.data(), static_cast<size_t>(rows * config.V)};
}

}  // namespace ropewalk::model
