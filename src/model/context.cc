#include "model/context.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "kernels/cpu/kernels.h"
#include "kernels/reference/blocks.h"

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

bool NeedsScale(const position::Plan& plan) {
  return plan.scale.kind == position::ScoreScale::Kind::kLearned;
}

}  // namespace

Context::Context(const Model& model, const position::Stack& stack,
                 ContextOptions options, ParallelFor& threads)
    : model_(model), options_(options), threads_(threads) {
  const Config& config = model.config();
  Require(static_cast<int64_t>(stack.size()) == config.L,
          "context: " + std::to_string(stack.size()) + " position plans for " +
              std::to_string(config.L) + " layers");
  Require(options.length > 0, "context length must be above 0, got " +
                                  std::to_string(options.length));
  Require(options.chunk > 0,
          "chunk must be above 0, got " + std::to_string(options.chunk));
  for (size_t l = 0; l < stack.size(); ++l) {
    Require(!NeedsScale(stack[l]) || LognScale(model.layers()[l]).size() > 0,
            "context: layer " + std::to_string(l) +
                " of this model has no learned log n scale");
    attention::BandedAttention attention(stack[l], config.heads);
    attention::KvStore store = attention.NewStore();
    layers_.push_back({std::move(attention), std::move(store)});
  }
  ones_.EnsureSize(std::max({config.E, config.F, config.heads.D}));
  std::fill_n(ones_.data(), ones_.size(), 1.0f);
}

void Context::Forward(std::span<const Token> tokens) {
  const Config& config = model_.config();
  const auto T = static_cast<int64_t>(tokens.size());
  Require(T <= options_.chunk, "context: " + std::to_string(T) +
                                   " tokens at once, at most " +
                                   std::to_string(options_.chunk));
  Require(size_ + T <= options_.length, "context is full: it was opened for " +
                                            std::to_string(options_.length) +
                                            " tokens");
  for (const Token token : tokens) {
    Require(token >= 0 && token < config.V,
            "token " + std::to_string(token) +
                " is outside the vocabulary of " + std::to_string(config.V));
  }
  last_ = T;
  if (T == 0) return;
  // Sized by what is used: decoding never needs a chunk's worth.
  hidden_.EnsureSize(T * config.E);
  normed_.EnsureSize(T * config.E);
  queries_.EnsureSize(T * config.heads.H * config.heads.D);
  attended_.EnsureSize(T * config.heads.H * config.heads.ValueWidth());
  keys_.EnsureSize(T * config.heads.G * config.heads.D);
  values_.EnsureSize(T * config.heads.G * config.heads.ValueWidth());
  gate_.EnsureSize(T * config.F);
  if (config.block == Block::kLlama) up_.EnsureSize(T * config.F);

  tables_.Begin(size_, T);
  Embed(tokens);
  for (size_t l = 0; l < layers_.size(); ++l) {
    std::visit([&](const auto& layer) { Apply(layer, layers_[l], T); },
               model_.layers()[l]);
  }
  size_ += T;
}

void Context::Embed(std::span<const Token> tokens) {
  const kernels::Matrix& embedding = model_.embedding();
  for (size_t t = 0; t < tokens.size(); ++t) {
    kernels::UnpackRow(
        embedding.type, embedding.Row(tokens[t]), embedding.columns,
        hidden_.data() + static_cast<int64_t>(t) * embedding.columns);
  }
}

void Context::Project(const float* x, int64_t T, const kernels::Matrix& weights,
                      float* y) {
  kernels::MatMul(x, T, weights, y, threads_, matmul_scratch_);
}

void Context::Normalise(const float* x, const float* weight, int64_t T,
                        float* y) {
  const int64_t E = model_.config().E;
  const float epsilon = model_.config().rms_epsilon;
  ForRows(T, threads_, [&](int64_t t) {
    kernels::RmsNorm(x + t * E, weight, epsilon, E, y + t * E);
  });
}

void Context::Gate(const float* x, const float* factor, int64_t stride,
                   int64_t width, int64_t T, float* y) {
  ForRows(T, threads_, [&](int64_t t) {
    kernels::SwiGlu(x + t * width, factor + t * stride, width, y + t * width);
  });
}

void Context::Attend(const AlignedBuffer<float>& logn_scale, Memory& memory,
                     int64_t T) {
  const Config& config = model_.config();
  if (config.key_norm) {
    const int64_t D = config.heads.D;
    ForRows(T * config.heads.G, threads_, [&](int64_t row) {
      float* key = keys_.data() + row * D;
      kernels::RmsNorm(key, ones_.data(), config.rms_epsilon, D, key);
    });
  }
  memory.store.Append(keys_.data(), values_.data(), T, tables_, threads_);
  const attention::QuerySlice slice{.queries = queries_.data(),
                                    .output = attended_.data(),
                                    .T = T,
                                    .store = &memory.store,
                                    .tables = &tables_};
  memory.attention.Attend(
      {&slice, 1},
      NeedsScale(memory.attention.plan()) ? logn_scale.data() : nullptr,
      threads_, attention_scratch_);
}

void Context::Apply(const LlamaLayer& layer, Memory& memory, int64_t T) {
  const int64_t F = model_.config().F;
  float* x = hidden_.data();
  float* normed = normed_.data();
  Normalise(x, layer.attention_norm.data(), T, normed);
  Project(normed, T, layer.query, queries_.data());
  Project(normed, T, layer.key, keys_.data());
  Project(normed, T, layer.value, values_.data());
  Attend(layer.logn_scale, memory, T);
  Project(attended_.data(), T, layer.attention_output, normed);
  kernels::Add(normed, T * model_.config().E, x);

  Normalise(x, layer.feed_norm.data(), T, normed);
  Project(normed, T, layer.gate, gate_.data());
  Project(normed, T, layer.up, up_.data());
  Gate(gate_.data(), up_.data(), F, F, T, gate_.data());
  Project(gate_.data(), T, layer.down, normed);
  kernels::Add(normed, T * model_.config().E, x);
}

void Context::Apply(const GauLayer& layer, Memory& memory, int64_t T) {
  const int64_t F = model_.config().F;
  const int64_t D = model_.config().heads.D;
  float* x = hidden_.data();
  float* normed = normed_.data();
  Project(x, T, layer.u, gate_.data());
  Project(x, T, layer.v, values_.data());
  Project(x, T, layer.z, queries_.data());
  // silu(z) under either gain; silu(v); silu(u) waits for what it gates.
  Gate(queries_.data(), layer.gamma_k.data(), 0, D, T, keys_.data());
  Gate(queries_.data(), layer.gamma_q.data(), 0, D, T, queries_.data());
  Gate(values_.data(), ones_.data(), 0, F, T, values_.data());
  Attend(layer.logn_scale, memory, T);
  Gate(gate_.data(), attended_.data(), F, F, T, gate_.data());
  Project(gate_.data(), T, layer.output, normed);
  kernels::Add(normed, T * model_.config().E, x);
  Normalise(x, ones_.data(), T, x);
}

std::span<const float> Context::Logits(int64_t first, int64_t rows) {
  const Config& config = model_.config();
  ROPEWALK_CHECK(first >= 0 && rows >= 0 && first + rows <= last_);
  const float* x = hidden_.data() + first * config.E;
  if (model_.output_norm().size() > 0) {
    Normalise(x, model_.output_norm().data(), rows, normed_.data());
    x = normed_.data();
  }
  logits_.EnsureSize(rows * config.V);
  Project(x, rows, model_.output(), logits_.data());
  return {logits_.data(), static_cast<size_t>(rows * config.V)};
}

int64_t Context::KvBytes() const {
  int64_t sum = 0;
  for (const Memory& memory : layers_) sum += memory.store.bytes();
  return sum;
}

}  // namespace ropewalk::model
