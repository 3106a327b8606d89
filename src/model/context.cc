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

}  // namespace

Context::Context(const LlamaModel& model, const position::Stack& stack,
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
  for (const position::Plan& plan : stack) {
    attention::BandedAttention attention(plan, config.heads);
    attention::KvStore store = attention.NewStore();
    layers_.push_back({std::move(attention), std::move(store)});
  }
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
  attended_.EnsureSize(T * config.heads.H * config.heads.D);
  keys_.EnsureSize(T * config.heads.G * config.heads.D);
  values_.EnsureSize(T * config.heads.G * config.heads.D);
  gate_.EnsureSize(T * config.F);
  up_.EnsureSize(T * config.F);

  tables_.Begin(size_, T);
  Embed(tokens);
  for (size_t l = 0; l < layers_.size(); ++l) {
    Attend(model_.layers()[l], layers_[l], T);
    FeedForward(model_.layers()[l], T);
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

void Context::Normalise(const float* x, const AlignedBuffer<float>& weight,
                        int64_t T, float* y) {
  const int64_t E = model_.config().E;
  const float epsilon = model_.config().rms_epsilon;
  ForRows(T, threads_, [&](int64_t t) {
    kernels::RmsNorm(x + t * E, weight.data(), epsilon, E, y + t * E);
  });
}

void Context::Attend(const LayerWeights& weights, Layer& layer, int64_t T) {
  Normalise(hidden_.data(), weights.attention_norm, T, normed_.data());
  const auto project = [&](const kernels::Matrix& matrix, const float* x,
                           float* y) {
    kernels::MatMul(x, T, matrix, y, threads_, matmul_scratch_);
  };
  project(weights.query, normed_.data(), queries_.data());
  project(weights.key, normed_.data(), keys_.data());
  project(weights.value, normed_.data(), values_.data());
  layer.store.Append(keys_.data(), values_.data(), T, tables_, threads_);
  const attention::QuerySlice slice{.queries = queries_.data(),
                                    .output = attended_.data(),
                                    .T = T,
                                    .store = &layer.store,
                                    .tables = &tables_};
  const bool learned =
      layer.attention.plan().scale.kind == position::ScoreScale::Kind::kLearned;
  layer.attention.Attend({&slice, 1},
                         learned ? weights.logn_scale.data() : nullptr,
                         threads_, attention_scratch_);
  project(weights.attention_output, attended_.data(), normed_.data());
  kernels::Add(normed_.data(), T * model_.config().E, hidden_.data());
}

void Context::FeedForward(const LayerWeights& weights, int64_t T) {
  const int64_t F = model_.config().F;
  Normalise(hidden_.data(), weights.feed_norm, T, normed_.data());
  kernels::MatMul(normed_.data(), T, weights.gate, gate_.data(), threads_,
                  matmul_scratch_);
  kernels::MatMul(normed_.data(), T, weights.up, up_.data(), threads_,
                  matmul_scratch_);
  ForRows(T, threads_, [&](int64_t t) {
    kernels::SwiGlu(gate_.data() + t * F, up_.data() + t * F, F,
                    gate_.data() + t * F);
  });
  kernels::MatMul(gate_.data(), T, weights.down, normed_.data(), threads_,
                  matmul_scratch_);
  kernels::Add(normed_.data(), T * model_.config().E, hidden_.data());
}

std::span<const float> Context::Logits(int64_t first, int64_t rows) {
  const Config& config = model_.config();
  ROPEWALK_CHECK(first >= 0 && rows >= 0 && first + rows <= last_);
  Normalise(hidden_.data() + first * config.E, model_.output_norm(), rows,
            normed_.data());
  logits_.EnsureSize(rows * config.V);
  kernels::MatMul(normed_.data(), rows, model_.output(), logits_.data(),
                  threads_, matmul_scratch_);
  return {logits_.data(), static_cast<size_t>(rows * config.V)};
}

int64_t Context::KvBytes() const {
  int64_t sum = 0;
  for (const Layer& layer : layers_) sum += layer.store.bytes();
  return sum;
}

}  // namespace ropewalk::model
