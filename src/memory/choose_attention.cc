// Parts by the attention that a question would pay to them.

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>

#include "attention/serving/kv_tiles.h"
#include "base/error.h"
#include "kernels/stored.h"
#include "memory/choose_parts.h"
#include "model/attention_probe.h"
#include "model/forward.h"
#include "position/scheme.h"

namespace ropewalk::memory {
namespace {

using attention::HeadShape;
using attention::kTile;
using attention::MemoryPart;

// The tokens of a question that attend to memories; more would change little.
constexpr int64_t kQueries = 16;

// The queries [Q, H, D] of each layer, of the tokens from `first` on, and the
// learned scales of its heads.
class QueryProbe : public model::AttentionProbe {
 public:
  struct Layer {
    std::vector<float> queries;
    std::vector<float> head_scale;  // [H]; empty for 1
  };

  QueryProbe(const HeadShape& heads, int64_t first, int64_t L)
      : layers(static_cast<size_t>(L)), heads_(heads), first_(first) {}

  void See(const model::AttentionInputs& inputs) override {
    Layer& layer = layers[static_cast<size_t>(inputs.layer)];
    const int64_t row = heads_.H * heads_.D;
    const int64_t skip =
        std::clamp<int64_t>(first_ - inputs.first, 0, inputs.T);
    layer.queries.insert(layer.queries.end(), inputs.queries + skip * row,
                         inputs.queries + inputs.T * row);
    if (inputs.head_scale != nullptr && layer.head_scale.empty()) {
      layer.head_scale.assign(inputs.head_scale, inputs.head_scale + heads_.H);
    }
  }

  std::vector<Layer> layers;

 private:
  HeadShape heads_;
  int64_t first_;
};

// One layer: queries that are rotated and scaled, and the keys of parts.
class LayerScores {
 public:
  // `queries` are ids [first, first + Q) of a text that attends to `tokens`
  // tokens of memories at `distance`.
  LayerScores(const HeadShape& heads, DType type, const position::Plan& plan,
              const QueryProbe::Layer& layer, int64_t first, int64_t tokens,
              double distance, double sharpness)
      : heads_(heads),
        type_(type),
        Q_(static_cast<int64_t>(layer.queries.size()) / (heads.H * heads.D)),
        rows_(Q_ * heads.Group()),
        queries_(layer.queries.size()) {
    const position::FrequencyTable& table =
        plan.tables[static_cast<size_t>(plan.bands.back().table)];
    const int64_t D = heads.D;
    const auto pairs = static_cast<int64_t>(table.frequencies.size());
    const double magnitude = table.magnitude * table.magnitude;
    std::vector<double> q(static_cast<size_t>(D));
    for (int64_t t = 0; t < Q_; ++t) {
      for (int64_t h = 0; h < heads.H; ++h) {
        const float* x = layer.queries.data() + (t * heads.H + h) * D;
        std::copy_n(x, D, q.begin());
        for (int64_t m = 0; m < pairs; ++m) {
          const double angle =
              distance * table.frequencies[static_cast<size_t>(m)];
          const double c = std::cos(angle) * magnitude;
          const double s = std::sin(angle) * magnitude;
          q[static_cast<size_t>(m)] = c * x[m] - s * x[m + pairs];
          q[static_cast<size_t>(m + pairs)] = s * x[m] + c * x[m + pairs];
        }
        const double learned = layer.head_scale.empty()
                                   ? 1.0
                                   : layer.head_scale[static_cast<size_t>(h)];
        const double scale = learned * plan.scale(first + t + tokens) *
                             heads.ScoreFactor() * sharpness;
        // Those of one key head lie side by side, so that a component of a key
        // multiplies all of them at once.
        const int64_t g = h / heads.Group();
        const int64_t r = t * heads.Group() + h % heads.Group();
        for (int64_t d = 0; d < D; ++d) {
          queries_[static_cast<size_t>((g * D + d) * rows_ + r)] =
              static_cast<float>(scale * q[static_cast<size_t>(d)]);
        }
      }
    }
  }

  // Query rows of one key head.
  int64_t rows() const { return rows_; }

  void UnpackKeyOf(const MemoryPart& part, int64_t slot, int64_t g,
                   float* key) const {
    const int64_t panel = kernels::KeyPanelBytes(type_, heads_.D);
    const int64_t at =
        g * (kTile / kernels::kKeyPanel) + slot % kTile / kernels::kKeyPanel;
    kernels::UnpackKey(
        type_, part.keys[static_cast<size_t>(slot / kTile)].get() + at * panel,
        heads_.D, slot % kernels::kKeyPanel, key);
  }

  // Scores [rows] of a key of head g.
  void Score(const float* key, int64_t g, float* scores) const {
    std::fill_n(scores, rows_, 0.0f);
    for (int64_t d = 0; d < heads_.D; ++d) {
      const float k = key[d];
      const float* q = queries_.data() + (g * heads_.D + d) * rows_;
      for (int64_t r = 0; r < rows_; ++r) scores[r] += k * q[r];
    }
    if (heads_.softcap <= 0) return;
    for (int64_t r = 0; r < rows_; ++r) {
      scores[r] = static_cast<float>(heads_.Capped(scores[r]));
    }
  }

  // The mean key [G, D] of slots from `first` on.
  void MeanKey(const MemoryPart& part, int64_t first, float* mean) const {
    std::vector<float> key(static_cast<size_t>(heads_.D));
    std::vector<double> sum(static_cast<size_t>(heads_.D));
    for (int64_t g = 0; g < heads_.G; ++g) {
      std::ranges::fill(sum, 0.0);
      for (int64_t slot = first; slot < part.last; ++slot) {
        UnpackKeyOf(part, slot, g, key.data());
        for (size_t d = 0; d < sum.size(); ++d) sum[d] += key[d];
      }
      for (size_t d = 0; d < sum.size(); ++d) {
        mean[g * heads_.D + static_cast<int64_t>(d)] =
            static_cast<float>(sum[d] / static_cast<double>(part.last - first));
      }
    }
  }

  // For each query row [G, rows] the score of the mean key, and the logarithm
  // of the number of slots that it stands for.
  void ByMean(const float* mean, int64_t tokens, double* logits) const {
    std::vector<float> scores(static_cast<size_t>(rows_));
    for (int64_t g = 0; g < heads_.G; ++g) {
      Score(mean + g * heads_.D, g, scores.data());
      for (int64_t r = 0; r < rows_; ++r) {
        logits[g * rows_ + r] = scores[static_cast<size_t>(r)] +
                                std::log(static_cast<double>(tokens));
      }
    }
  }

  // The same by every key: ln of the sum of exp of the scores.
  void ByEveryKey(const MemoryPart& part, int64_t first, double* logits) const {
    std::vector<float> key(static_cast<size_t>(heads_.D));
    std::vector<float> scores(static_cast<size_t>(kTile * rows_));
    for (int64_t g = 0; g < heads_.G; ++g) {
      std::vector<double> most(static_cast<size_t>(rows_),
                               -std::numeric_limits<double>::infinity());
      std::vector<double> sum(static_cast<size_t>(rows_), 0.0);
      for (int64_t begin = first; begin < part.last; begin += kTile) {
        const int64_t count = std::min(kTile, part.last - begin);
        std::vector<double> top = most;
        for (int64_t j = 0; j < count; ++j) {
          UnpackKeyOf(part, begin + j, g, key.data());
          float* row = scores.data() + j * rows_;
          Score(key.data(), g, row);
          for (size_t r = 0; r < top.size(); ++r) {
            top[r] = std::max(top[r], static_cast<double>(row[r]));
          }
        }
        for (size_t r = 0; r < top.size(); ++r) {
          double more = 0;
          for (int64_t j = 0; j < count; ++j) {
            more +=
                std::exp(scores[static_cast<size_t>(j * rows_) + r] - top[r]);
          }
          sum[r] = sum[r] * std::exp(most[r] - top[r]) + more;
        }
        most = std::move(top);
      }
      for (int64_t r = 0; r < rows_; ++r) {
        const auto at = static_cast<size_t>(r);
        logits[g * rows_ + r] = most[at] + std::log(sum[at]);
      }
    }
  }

 private:
  HeadShape heads_;
  DType type_;
  int64_t Q_;
  int64_t rows_;
  std::vector<float> queries_;  // [G, D, rows]
};

// What is known of a layer: its scores and the mean keys [parts, G, D].
struct LayerQuestion {
  size_t layer = 0;
  std::vector<LayerScores> scores;  // one for each type of memories
  std::vector<float> means;
};

// The parts that count, with what a law leaves of them.
struct Kept {
  const PartOf* of = nullptr;
  size_t at = 0;  // in the caller's list
  int64_t first = 0;
  int64_t tokens = 0;
  size_t type = 0;  // index into LayerQuestion::scores
};

// Adds to `shares` [parts] the softmax over parts of each column of logits
// [parts, columns].
void AddShares(const std::vector<double>& logits, size_t columns,
               std::vector<double>& shares) {
  const size_t parts = shares.size();
  for (size_t c = 0; c < columns; ++c) {
    double most = logits[c];
    for (size_t p = 0; p < parts; ++p) {
      most = std::max(most, logits[p * columns + c]);
    }
    double sum = 0;
    for (size_t p = 0; p < parts; ++p) {
      sum += std::exp(logits[p * columns + c] - most);
    }
    for (size_t p = 0; p < parts; ++p) {
      shares[p] += std::exp(logits[p * columns + c] - most) / sum;
    }
  }
}

// Reads the question alone and returns the queries of its tokens from `first`.
std::vector<QueryProbe::Layer> ReadQuestion(
    engine::Engine& engine, std::span<const Token> question, int64_t first,
    const engine::ResolvedScheme& scheme) {
  const model::Config& config = engine.model().config();
  QueryProbe probe(config.heads, first, config.L);
  model::Sequence sequence(engine.model(), scheme.attention,
                           {.length = scheme.length},
                           engine.workspace().pool());
  const std::lock_guard lock(engine.pass_mutex());
  model::Workspace& workspace = engine.workspace();
  // The probe is taken away again however the reading ends.
  struct Probing {
    model::Workspace& workspace;
    ~Probing() { workspace.SetProbe(nullptr); }
  } const probing{workspace};
  workspace.SetProbe(&probe);
  const auto chunk = static_cast<size_t>(engine::kPromptChunk);
  for (size_t at = 0; at < question.size(); at += chunk) {
    const model::Slice slice{
        &sequence, question.subspan(at, std::min(chunk, question.size() - at)),
        0};
    model::Forward(engine.model(), {&slice, 1}, workspace);
  }
  return std::move(probe.layers);
}

}  // namespace

std::vector<double> ShareByAttention(engine::Engine& engine,
                                     std::span<const PartOf> parts,
                                     std::span<const Token> question,
                                     const Law& law, int64_t exact) {
  const position::ModelPositions& positions = engine.positions();
  const HeadShape& heads = engine.model().config().heads;
  const auto n = static_cast<int64_t>(question.size());
  // A question that is shorter than what reads itself alone is asked whole.
  const int64_t first =
      std::max<int64_t>({0, n - kQueries, law.alone < n ? law.alone : 0});
  const engine::ResolvedScheme scheme = engine.Resolve(
      position::ParseScheme("auto"), std::max(n, positions.train_length), true);
  const std::vector<QueryProbe::Layer> queries =
      ReadQuestion(engine, question, first, scheme);

  const Law far =
      LawFor({.distance = law.kind == Law::Kind::kFar ? law.distance : -1,
              .sharpness = law.sharpness},
             positions);
  std::vector<double> result(parts.size(), 0.0);
  std::vector<Kept> kept;
  std::vector<DType> types;
  int64_t tokens = 0;
  for (size_t p = 0; p < parts.size(); ++p) {
    const auto layer = std::ranges::find_if(
        parts[p].part->layers,
        [](const MemoryPart& of) { return !of.keys.empty(); });
    const int64_t from = std::max(layer->first, law.skip);
    if (from >= layer->last) continue;
    const auto type = std::ranges::find(types, parts[p].memory->type);
    const auto index = static_cast<size_t>(type - types.begin());
    if (type == types.end()) types.push_back(parts[p].memory->type);
    kept.push_back({&parts[p], p, from, layer->last - from, index});
    tokens += kept.back().tokens;
  }
  Require(!kept.empty(), "memory law " + ToString(law) +
                             " leaves out all tokens of the memories");

  std::vector<LayerQuestion> layers;
  for (size_t l = 0; l < queries.size(); ++l) {
    if (kept.front().of->part->layers[l].keys.empty()) continue;
    LayerQuestion& layer = layers.emplace_back(LayerQuestion{.layer = l});
    for (const DType type : types) {
      layer.scores.emplace_back(
          heads, type, (*scheme.attention)[l].plan(), queries[l], first, tokens,
          static_cast<double>(far.distance), *far.sharpness);
    }
  }
  const auto columns =
      static_cast<size_t>(heads.G * layers.front().scores.front().rows());
  const auto key_size = static_cast<size_t>(heads.G * heads.D);
  const auto part_in = [](const Kept& part,
                          const LayerQuestion& layer) -> const MemoryPart& {
    return part.of->part->layers[layer.layer];
  };

  const std::lock_guard lock(engine.pass_mutex());
  const auto for_parts = [&](size_t count, const auto& body) {
    engine.threads().Run(
        static_cast<int64_t>(count),
        [&](int64_t task, int64_t) { body(static_cast<size_t>(task)); });
  };
  for (LayerQuestion& layer : layers) {
    layer.means.resize(kept.size() * key_size);
    for_parts(kept.size(), [&](size_t p) {
      layer.scores[kept[p].type].MeanKey(part_in(kept[p], layer), kept[p].first,
                                         layer.means.data() + p * key_size);
    });
  }
  // Shares by mean keys, but for the parts in `exactly`.
  const auto shares_of = [&](std::span<const size_t> exactly) {
    std::vector<double> shares(kept.size(), 0.0);
    std::vector<double> logits(kept.size() * columns);
    for (const LayerQuestion& layer : layers) {
      for_parts(kept.size(), [&](size_t p) {
        layer.scores[kept[p].type].ByMean(layer.means.data() + p * key_size,
                                          kept[p].tokens,
                                          logits.data() + p * columns);
      });
      for_parts(exactly.size(), [&](size_t e) {
        const size_t p = exactly[e];
        layer.scores[kept[p].type].ByEveryKey(part_in(kept[p], layer),
                                              kept[p].first,
                                              logits.data() + p * columns);
      });
      AddShares(logits, columns, shares);
    }
    return shares;
  };
  const std::vector<double> estimate = shares_of({});
  std::vector<size_t> order(kept.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater(),
                           [&](size_t p) { return estimate[p]; });
  order.resize(std::min(order.size(), static_cast<size_t>(exact)));
  const std::vector<double> shares = shares_of(order);
  const auto all = static_cast<double>(columns * layers.size());
  for (size_t p = 0; p < kept.size(); ++p) {
    result[kept[p].at] = shares[p] / all;
  }
  return result;
}

}  // namespace ropewalk::memory
