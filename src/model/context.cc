#include "model/context.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "kernels/blocks.h"
#include "kernels/cpu/kernels.h"

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
  CheckStack(stack);
  Require(options.length > 0, "context length must be above 0, got " +
                                  std::to_string(options.length));
  Require(options.chunk > 0,
          "chunk must be above 0, got " + std::to_string(options.chunk));
  for (size_t l = 0; l < stack.size(); ++l) {
    attention::BandedAttention attention(stack[l], config.heads);
    attention::KvStore store = attention.NewStore(options.kv_type, pool_);
    layers_.push_back({std::move(attention), std::move(store)});
  }
  ones_.EnsureSize(std::max({config.E, config.F, config.heads.D}));
  std::fill_n(ones_.data(), ones_.size(), 1.0f);
}

void Context::CheckStack(const position::Stack& stack) const {
  const auto L = static_cast<int64_t>(model_.layers().size());
  Require(static_cast<int64_t>(stack.size()) == L,
          "context: " + std::to_string(stack.size()) + " position plans for " +
              std::to_string(L) + " layers");
  for (size_t l = 0; l < stack.size(); ++l) {
    Require(!NeedsScale(stack[l]) || LognScale(model_.layers()[l]).size() > 0,
            "context: layer " + std::to_string(l) +
                " of this model has no learned log n scale");
  }
}

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
  // Sized by what is used: decoding never needs a chunk's worth.
  hidden_.EnsureSize(T * config.E);
  normed_.EnsureSize(T * config.E);
  queries_.EnsureSize(T * config.heads.H * config.heads.D);
  attended_.EnsureSize(T * config.heads.H * config.heads.ValueWidth());
  keys_.EnsureSize(T * config.heads.G * config.heads.D);
  values_.EnsureSize(T * config.heads.G * config.heads.ValueWidth());
  gate_.EnsureSize(T * config.F);
  if (config.block == Block::kLlama) up_.EnsureSize(T * config.F);

  // All layers were shifted together.
  tables_.Begin(size() + layers_.front().store.frame(), T);
  Embed(tokens);
  for (size_t l = 0; l < layers_.size(); ++l) {
    std::visit([&](const auto& layer) { Apply(layer, layers_[l], T); },
               model_.layers()[l]);
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
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
  const float* head_scale =
      NeedsScale(memory.attention.plan()) ? logn_scale.data() : nullptr;
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

template <typename Question>
std::optional<std::string> Context::FirstReason(
    const Question& question) const {
  for (size_t l = 0; l < layers_.size(); ++l) {
    if (const auto reason = question(layers_[l].store, l)) return reason;
  }
  return std::nullopt;
}

std::optional<std::string> Context::WhyNotTrim(int64_t size) const {
  return FirstReason([&](const attention::KvStore& store, size_t) {
    return store.WhyNotTrim(size);
  });
}

void Context::Trim(int64_t size) {
  const auto reason = WhyNotTrim(size);
  Require(!reason, reason.value_or(""));
  for (Memory& memory : layers_) memory.store.Trim(size);
  tokens_.resize(static_cast<size_t>(size));
  last_ = 0;
}

int64_t Context::ReusePrefix(std::span<const Token> tokens) {
  size_t same = 0;
  while (same < tokens_.size() && same + 1 < tokens.size() &&
         tokens_[same] == tokens[same]) {
    ++same;
  }
  auto size = static_cast<int64_t>(same);
  if (WhyNotTrim(size)) size = 0;
  Trim(size);
  return size;
}

std::optional<std::string> Context::WhyNotShift(int64_t keep,
                                                int64_t count) const {
  return FirstReason([&](const attention::KvStore& store, size_t) {
    return store.WhyNotShift(keep, count);
  });
}

void Context::Shift(int64_t keep, int64_t count) {
  const auto reason = WhyNotShift(keep, count);
  Require(!reason, reason.value_or(""));
  for (Memory& memory : layers_) {
    memory.store.Evict(keep, count);
    memory.store.CloseGap();
  }
  tokens_.erase(tokens_.begin() + keep, tokens_.begin() + keep + count);
  last_ = 0;
}

std::optional<std::string> Context::WhyNotChangeStack(
    const position::Stack& stack) const {
  return FirstReason([&](const attention::KvStore& store, size_t l) {
    return store.WhyNotChangePlan(stack[l]);
  });
}

void Context::ChangeStack(const position::Stack& stack, int64_t length) {
  CheckStack(stack);
  Require(length > 0 && size() <= length, "context: " + std::to_string(size()) +
                                              " tokens do not fit plans " +
                                              "for " + std::to_string(length));
  const auto reason = WhyNotChangeStack(stack);
  Require(!reason, reason.value_or(""));
  std::vector<Memory> layers;
  for (size_t l = 0; l < layers_.size(); ++l) {
    attention::BandedAttention attention(stack[l], model_.config().heads);
    layers_[l].store.ChangePlan(stack[l]);
    layers.push_back({std::move(attention), std::move(layers_[l].store)});
  }
  layers_ = std::move(layers);
  options_.length = length;
}

std::vector<attention::KvImage> Context::Images() const {
  std::vector<attention::KvImage> images;
  for (const Memory& memory : layers_) images.push_back(memory.store.Image());
  return images;
}

position::Stack Context::stack() const {
  position::Stack stack;
  for (const Memory& memory : layers_) {
    stack.push_back(memory.attention.plan());
  }
  return stack;
}

void Context::Restore(std::vector<Token> tokens,
                      std::span<const attention::KvImage> images) {
  const auto size = static_cast<int64_t>(tokens.size());
  Require(images.size() == layers_.size(),
          "kept keys and values of " + std::to_string(images.size()) +
              " layers for " + std::to_string(layers_.size()));
  Require(size <= options_.length,
          "the kept text has " + std::to_string(size) +
              " tokens and does not fit a context of " +
              std::to_string(options_.length));
  for (const Token token : tokens) {
    Require(token >= 0 && token < model_.config().V,
            "the kept text has a token " + std::to_string(token) +
                " outside the vocabulary");
  }
  std::vector<attention::KvStore> stores;
  for (size_t l = 0; l < layers_.size(); ++l) {
    Require(images[l].size == size && images[l].frame == images[0].frame,
            "kept keys and values of layer " + std::to_string(l) +
                " are not of the kept text");
    stores.push_back(layers_[l].attention.NewStore(options_.kv_type, pool_));
    stores.back().Restore(images[l]);
  }
  for (size_t l = 0; l < layers_.size(); ++l) {
    layers_[l].store = std::move(stores[l]);
  }
  tokens_ = std::move(tokens);
  last_ = 0;
}

int64_t Context::KvBytes() const {
  int64_t sum = 0;
  for (const Memory& memory : layers_) sum += memory.store.bytes();
  return sum;
}

}  // namespace ropewalk::model
