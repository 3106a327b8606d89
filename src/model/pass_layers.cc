// The layers of a forward pass on the fast kernels: they compute what the
// description of each (layer.h) says. Their definition in float64 is
// model/reference.cc.

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <span>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/kernels.h"
#include "model/experts.h"
#include "model/pass.h"

namespace ropewalk::model {
namespace {

const float* Data(const AlignedBuffer<float>& buffer, int64_t offset = 0) {
  return buffer.size() > 0 ? buffer.data() + offset : nullptr;
}

}  // namespace

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
  if (layer.latent) return ProjectLatent(layer, x);
  const int64_t T = batch_.total();
  const attention::HeadShape& heads = layer.heads;
  const int64_t queries = heads.H * heads.D;
  const int64_t keys = heads.G * heads.D;
  const int64_t values = heads.G * heads.ValueWidth();
  if (layer.gate.exists()) {
    w_.gate_.EnsureSize(T * heads.H * heads.ValueWidth());
  }
  Project(x, batch_,
          {{&layer.query, w_.queries_.data()},
           {&layer.key, w_.keys_.data()},
           {&layer.value, w_.values_.data()},
           {&layer.gate, w_.gate_.data()}});
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
         .tables = at.tables,
         .memories = sequence.MemoriesOf(l),
         .sinks = Data(layer.sinks)});
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
    Gate(kernels::Activation::kSilu, w_.gate_.data(), w_.attended_.data(),
         width, width, T, w_.attended_.data());
  }
  const float* attended =
      layer.latent ? RaiseLatent(layer) : w_.attended_.data();
  Project(attended, batch_, {{&layer.output, w_.branch_.data()}});
}

void Pass::Feed(const FeedForward& feed, const float* x,
                kernels::BatchRows batch, float* y) {
  const int64_t T = batch.total();
  const int64_t F = feed.up.weights.rows;
  w_.gate_.EnsureSize(T * F);
  w_.up_.EnsureSize(T * F);
  Project(x, batch, {{&feed.gate, w_.gate_.data()}, {&feed.up, w_.up_.data()}});
  if (feed.limit > 0) Limit(feed, T * F);
  if (feed.gate.exists()) {
    Gate(feed.activation, w_.gate_.data(), w_.up_.data(), F, F, T,
         w_.up_.data());
  } else {
    ForRows(T, threads_, [&](int64_t t) {
      float* row = w_.up_.data() + t * F;
      kernels::Activate(feed.activation, row, F, row);
    });
  }
  Project(w_.up_.data(), batch, {{&feed.down, y}});
}

// gate <- min(gate, limit); up <- clamp(up, -limit, limit) + shift.
void Pass::Limit(const FeedForward& feed, int64_t size) {
  const float limit = feed.limit;
  ForRows(size / feed.up.weights.rows, threads_, [&](int64_t t) {
    const int64_t F = feed.up.weights.rows;
    float* gate = w_.gate_.data() + t * F;
    float* up = w_.up_.data() + t * F;
    for (int64_t i = 0; i < F; ++i) {
      if (feed.gate.exists()) gate[i] = std::min(gate[i], limit);
      up[i] = std::clamp(up[i], -limit, limit) + feed.shift;
    }
  });
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
  Project(x, batch_, {{&experts.router, w_.router_.data()}});
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
                   std::initializer_list<Projection> projections) {
  std::array<kernels::Product, 4> products;
  ROPEWALK_CHECK(projections.size() <= products.size());
  size_t count = 0;
  for (const Projection& projection : projections) {
    if (!projection.linear->exists()) continue;
    products[count++] = {.weights = &projection.linear->weights,
                         .interleaved = &projection.linear->interleaved,
                         .y = projection.y};
  }
  kernels::MatMul(x, batch, std::span(products).first(count), threads_,
                  w_.matmul_scratch_);
  for (const Projection& projection : projections) {
    const Linear& linear = *projection.linear;
    if (linear.bias.size() == 0) continue;
    const int64_t rows = linear.weights.rows;
    ForRows(batch.total(), threads_, [&](int64_t t) {
      kernels::Add(linear.bias.data(), rows, projection.y + t * rows);
    });
  }
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

}  // namespace ropewalk::model
