// Post 9529: is causal attention of higher rank?

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "attention/definition/scores.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "evaluate/attention_inputs.h"
#include "lab/nn/model.h"
#include "lab/studies/attention_rank.h"
#include "lab/studies/bench.h"
#include "lab/studies/figures.h"
#include "lab/studies/length_models.h"
#include "lab/studies/rank_sample.h"
#include "lab/studies/sequence_models.h"
#include "lab/studies/studies.h"
#include "lab/studies/trained_run.h"
#include "position/scheme.h"
#include "report/line_plot.h"

namespace ropewalk::lab::studies {
namespace {

constexpr int64_t kRankWidths[] = {8, 16, 32, 64};
constexpr int64_t kTokens = 256;  // rows of a matrix, at most

constexpr const char* kKinds[] = {"softmax, bidirectional", "softmax, causal",
                                  "linear, bidirectional", "linear, causal"};
constexpr const char* kTrained = "trained model";
constexpr const char* kUntrained = "untrained model";
constexpr const char* kByLayer = ", by layer";
constexpr const char* kMaskedSet = "softmax, own mask";
constexpr const char* kMaskedLinear = "linear, own mask";
constexpr const char* kBefore = ", before training";

// The four kinds of kKinds over the same queries and keys [n, D]; scores [n, n]
// of all pairs.
void AddKinds(const at::Tensor& scores, const at::Tensor& queries,
              const at::Tensor& keys, std::vector<RankSample>& samples) {
  samples[0].Add(RankOf(SoftmaxAttention(scores, false)));
  samples[1].Add(RankOf(SoftmaxAttention(scores, true)),
                 LogDeterminant(scores));
  samples[2].Add(RankOf(LinearAttention(queries, keys, false)));
  const at::Tensor causal = LinearAttention(queries, keys, true);
  samples[3].Add(RankOf(causal), causal.diagonal().log().sum().item<double>());
}

std::string GaussianRow(int64_t d) {
  return "Gaussian, d = " + std::to_string(d);
}

std::vector<Measurement> Gaussian(const Setting& s, int64_t d) {
  const int64_t trials = s.Sweeps() ? 20 : 2;
  std::vector<RankSample> samples(std::size(kKinds));
  at::Generator generator = at::detail::createCPUGenerator(1);
  const auto draw = [&] {
    return at::randn({kTokens, d}, generator, at::TensorOptions(at::kDouble));
  };
  for (int64_t trial = 0; trial < trials; ++trial) {
    ThrowIfInterrupted();
    for (RankSample& sample : samples) sample.NextGroup();
    const at::Tensor queries = draw();
    const at::Tensor keys = draw();
    const at::Tensor scores =
        at::mm(queries, keys.t()) / std::sqrt(static_cast<double>(d));
    AddKinds(scores, queries, keys, samples);
  }
  std::vector<Measurement> lines;
  for (size_t k = 0; k < samples.size(); ++k) {
    for (Measurement& line : samples[k].Lines(kKinds[k], kTokens)) {
      lines.push_back(std::move(line));
    }
    for (Measurement& line : samples[k].Spectrum(kKinds[k])) {
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

int64_t Documents(const Bench& bench) {
  return std::min<int64_t>(8, static_cast<int64_t>(bench.documents().size()));
}

std::span<const Token> LastOf(const evaluate::Document& document, int64_t n) {
  return std::span(document).last(static_cast<size_t>(n));
}

// One head of what a layer's attention was given, [n, heads, D], in float64.
at::Tensor HeadOf(const std::vector<float>& all, int64_t heads, int64_t D,
                  int64_t head) {
  return at::tensor(all, at::kFloat)
      .view({-1, heads, D})
      .select(1, head)
      .to(at::kDouble);
}

// Scores [H, n, n] of a layer, minus infinity where a pair is not seen.
at::Tensor ScoresOf(const position::Plan& plan,
                    const attention::HeadShape& shape,
                    const evaluate::AttentionSeen& seen,
                    const std::vector<attention::Direction>& directions) {
  const int64_t size = shape.H * shape.D;
  const auto n = static_cast<int64_t>(seen.queries.size()) / size;
  at::Tensor scores = at::full(
      {shape.H, n, n}, -std::numeric_limits<double>::infinity(), at::kDouble);
  auto at = scores.accessor<double, 3>();
  // Both directions of full attention at once, then what each head sees.
  for (int64_t i = 0; i < n; ++i) {
    const auto rows = attention::RowScores(
        plan, shape,
        std::span(seen.queries)
            .subspan(static_cast<size_t>(i * size), static_cast<size_t>(size)),
        i, seen.keys, seen.head_scale, attention::Direction::kBoth);
    for (int64_t h = 0; h < shape.H; ++h) {
      const attention::Direction direction =
          directions[directions.size() == 1 ? 0 : static_cast<size_t>(h)];
      size_t next = 0;
      for (int64_t j = 0; j < n; ++j) {
        if (!plan.BandOf(std::max(i, j), std::min(i, j))) continue;
        const double score = rows[static_cast<size_t>(h)][next++];
        const bool seen_here =
            direction == attention::Direction::kBoth ||
            (direction == attention::Direction::kForward ? j <= i : j >= i);
        if (seen_here) at[h][i][j] = score;
      }
    }
  }
  return scores;
}

// Of a causal model as the runtime reads it, under the law it was trained by;
// the bidirectional kinds are the same scores without the mask.
std::vector<Measurement> OfModel(Bench& bench) {
  engine::Engine& model = bench.model();
  const model::Config& config = model.model().config();
  const int64_t n = std::min(kTokens, model.positions().train_length);
  const position::Scheme law =
      position::Resolve(position::ParseScheme("rope"), model.positions(), n);
  const position::Stack stack =
      position::BuildStack(law, model.positions(), n, config.L);
  std::vector<RankSample> all(std::size(kKinds));
  std::vector<std::vector<RankSample>> layers(
      static_cast<size_t>(config.L),
      std::vector<RankSample>(std::size(kKinds)));
  Progress progress(
      "singular values",
      static_cast<double>(Documents(bench) * config.L * config.heads.H),
      "heads");
  for (int64_t d = 0; d < Documents(bench); ++d) {
    const auto seen = evaluate::ReadAttention(
        model, stack, LastOf(bench.documents()[static_cast<size_t>(d)], n), 0);
    for (RankSample& sample : all) sample.NextGroup();
    for (int64_t l = 0; l < config.L; ++l) {
      ThrowIfInterrupted();
      auto& of_layer = layers[static_cast<size_t>(l)];
      for (RankSample& sample : of_layer) sample.NextGroup();
      const evaluate::AttentionSeen& inputs = seen[static_cast<size_t>(l)];
      const at::Tensor scores =
          ScoresOf(stack[static_cast<size_t>(l)], config.heads, inputs,
                   {attention::Direction::kBoth});
      for (int64_t h = 0; h < config.heads.H; ++h) {
        const int64_t g = h / (config.heads.H / config.heads.G);
        const at::Tensor q =
            HeadOf(inputs.queries, config.heads.H, config.heads.D, h);
        const at::Tensor k =
            HeadOf(inputs.keys, config.heads.G, config.heads.D, g);
        AddKinds(scores[h], q, k, all);
        AddKinds(scores[h], q, k, of_layer);
        progress.Add(1, 1);
      }
    }
  }
  progress.Clear();
  std::vector<Measurement> lines;
  const auto add = [&](std::vector<Measurement> more, bool effective_only) {
    for (Measurement& line : more) {
      if (effective_only && line.metric != "effective rank") continue;
      line.position = position::ToString(law);
      lines.push_back(std::move(line));
    }
  };
  for (size_t k = 0; k < all.size(); ++k) {
    const std::string kind = kKinds[k];
    add(all[k].Lines(kind, n), false);
    add(all[k].Spectrum(kind), false);
    for (size_t l = 0; l < layers.size(); ++l) {
      add(layers[l][k].Lines(kind + kByLayer, static_cast<int64_t>(l) + 1),
          true);
    }
  }
  return lines;
}

// Linear attention of a head that looks one way, or both.
at::Tensor LinearOf(const at::Tensor& queries, const at::Tensor& keys,
                    attention::Direction direction) {
  if (direction != attention::Direction::kBackward) {
    return LinearAttention(queries, keys,
                           direction == attention::Direction::kForward);
  }
  return LinearAttention(queries.flip(0), keys.flip(0), true).flip({0, 1});
}

// Where each head of a layer looks; one stands for all.
std::vector<attention::Direction> DirectionsOf(const nn::ModelConfig& config,
                                               int64_t layer) {
  using attention::Direction;
  std::vector<Direction> directions = {Direction::kBoth};
  if (config.mask == nn::Mask::kMixedLayers) {
    directions = {layer % 2 == 0 ? Direction::kForward : Direction::kBackward};
  } else if (config.mask == nn::Mask::kMixedHeads) {
    directions.assign(static_cast<size_t>(config.H), Direction::kBackward);
    std::fill_n(directions.begin(), config.H / 2, Direction::kForward);
  }
  return directions;
}

// Of a masked language model, whose heads look where its mask says; `when` is
// said behind the names of the sets.
std::vector<Measurement> MaskedLines(Bench& bench, nn::Model& model,
                                     const TrainedRun& run,
                                     const std::string& when) {
  const nn::ModelConfig& config = run.config.model;
  const int64_t n = config.N;
  const position::Stack stack = model.TrainingStack(n);
  const attention::HeadShape shape{.H = config.H, .G = config.G, .D = config.D};
  RankSample softmax;
  RankSample linear;
  model.SetProbe([&](int64_t l, const at::Tensor& q, const at::Tensor& k) {
    using attention::Direction;
    const std::vector<Direction> directions = DirectionsOf(config, l);
    const auto floats = [](const at::Tensor& x) {
      const at::Tensor dense = x.to(at::kFloat).contiguous();
      const float* data = dense.data_ptr<float>();
      return std::vector<float>(data, data + dense.numel());
    };
    const evaluate::AttentionSeen seen{.queries = floats(q), .keys = floats(k)};
    const at::Tensor scores =
        ScoresOf(stack[static_cast<size_t>(l)], shape, seen, directions);
    for (int64_t h = 0; h < config.H; ++h) {
      const Direction direction =
          directions[directions.size() == 1 ? 0 : static_cast<size_t>(h)];
      const auto add = [&](RankSample& sample, const at::Tensor& weights,
                           const at::Tensor& log_diagonal) {
        const bool triangular = direction != Direction::kBoth;
        sample.Add(RankOf(weights),
                   triangular ? std::optional(log_diagonal.sum().item<double>())
                              : std::nullopt);
      };
      const at::Tensor log_weights = at::log_softmax(scores[h], 1);
      add(softmax, log_weights.exp(), log_weights.diagonal());
      const at::Tensor weights = LinearOf(
          HeadOf(seen.queries, config.H, config.D, h),
          HeadOf(seen.keys, config.G, config.D, h / (config.H / config.G)),
          direction);
      add(linear, weights, weights.diagonal().log());
    }
  });
  // Masked as in training.
  const std::unique_ptr<train::BatchSource> source = run.Source();
  for (int64_t d = 0; d < Documents(bench); ++d) {
    ThrowIfInterrupted();
    softmax.NextGroup();
    linear.NextGroup();
    (void)model.Hidden(source->Test(n, d, d + 1).inputs);
  }
  std::vector<Measurement> lines = softmax.Lines(kMaskedSet + when, n);
  for (Measurement& line : linear.Lines(kMaskedLinear + when, n)) {
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<Measurement> OfMasked(Bench& bench) {
  const TrainedRun run = ReadTrainedRun(bench.checkpoint());
  const at::NoGradGuard no_grad;
  nn::Model model(run.config.model, run.config.seed);
  std::vector<Measurement> lines = MaskedLines(bench, model, run, kBefore);
  train::LoadParameters(run.checkpoint, model.parameters(), false);
  for (Measurement& line : MaskedLines(bench, model, run, "")) {
    lines.push_back(std::move(line));
  }
  return lines;
}

// What training starts from: one step at no rate.
ModelSpec UntrainedModel(uint64_t seed) {
  return {.name = "untrained",
          .seed = seed,
          .overrides = {"train.steps=1", "optimizer.schedule=constant",
                        "optimizer.learning_rate=1e-12",
                        "optimizer.embedding_learning_rate=1e-12"}};
}

class RankStudy : public Study {
 public:
  std::string name() const override { return "rank"; }
  std::string title() const override {
    return "The rank of attention matrices (post 9529)";
  }
  std::string about() const override {
    return "The scores of a head are of rank d at most. A causal softmax "
           "matrix is triangular with a positive diagonal, so its determinant "
           "is the product of that and it has full rank whatever the scores; "
           "linear attention without a mask has rank d. That much is algebra. "
           "Whether rank is what makes decoder-only models better is the "
           "post's conjecture; here are singular values of random scores, of "
           "our models before and after training, and of any model file.";
  }
  bool ByLength() const override { return false; }

  std::vector<ModelSpec> Models(const Setting& s) const override {
    std::vector<ModelSpec> models;
    for (const uint64_t seed : s.seeds) {
      models.push_back(UntrainedModel(seed));
      models.push_back(BaseModel(seed));
      for (const MaskedKind& of : MaskedKinds()) {
        models.push_back(MaskedModel(s, of, seed));
      }
    }
    return models;
  }

  std::vector<Job> Jobs(const Setting&, const ModelSpec& model) const override {
    for (const MaskedKind& of : MaskedKinds()) {
      if (model.name == of.name) return {{.row = of.row, .run = OfMasked}};
    }
    return {
        {.row = model.name == "base" ? kTrained : kUntrained, .run = OfModel}};
  }

  int64_t GivenTokens(const Setting& s) const override {
    return std::min(kTokens, s.N);
  }

  std::vector<Job> GivenJobs(const Setting&) const override {
    return {{.row = kTrained, .run = OfModel}};
  }

  std::vector<Job> OwnJobs(const Setting& s) const override {
    std::vector<Job> jobs;
    for (const int64_t d : kRankWidths) {
      if (!s.Sweeps() && d != 32) continue;
      jobs.push_back({.row = GaussianRow(d),
                      .run = [s, d](Bench&) { return Gaussian(s, d); }});
    }
    return jobs;
  }

  std::vector<Claim> Claims(const Setting& s) const override;
  std::vector<NamedTable> Tables(const Setting& s,
                                 const Measurements& measured) const override;
  std::vector<Figure> Figures(const Setting& s,
                              const Measurements& measured) const override;
};

CellKey Cell(const std::string& row, const std::string& set, int64_t n,
             const char* metric = "effective rank") {
  return {.row = row, .set = set, .length = n, .metric = metric};
}

std::vector<Claim> RankStudy::Claims(const Setting& s) const {
  using enum Claim::Relation;
  const int64_t n = std::min(kTokens, s.N);
  const std::string gaussian = GaussianRow(32);
  std::vector<Claim> claims = {
      {.text = "linear attention without a mask has rank d (32)",
       .left = Cell(gaussian, kKinds[2], kTokens, "rank at 1e-12"),
       .relation = kEqual,
       .bound = 32,
       .required = true},
      {.text = "the causal mask alone lifts it above 200 of 256",
       .left = Cell(gaussian, kKinds[2], kTokens, "rank at 1e-12"),
       .right = Cell(gaussian, kKinds[3], kTokens, "rank at 1e-12"),
       .amount = 200 - 32,
       .required = true},
      {.text = "with the mask softmax attention has full rank: the "
               "logarithm of every determinant is finite",
       .left = Cell(gaussian, kKinds[1], kTokens, kFinite),
       .relation = kEqual,
       .bound = 1,
       .required = true},
      {.text =
           "with the mask linear attention has full rank, in the same sense",
       .left = Cell(gaussian, kKinds[3], kTokens, kFinite),
       .relation = kEqual,
       .bound = 1,
       .required = true},
      {.text = "against the argument: of random scores of width 32 the softmax "
               "matrix with a mask has the lower effective rank",
       .left = Cell(gaussian, kKinds[1], kTokens),
       .right = Cell(gaussian, kKinds[0], kTokens)}};
  if (s.Sweeps() && s.scale != Scale::kGiven) {
    claims.push_back({.text = "and of width 8 the higher",
                      .left = Cell(GaussianRow(8), kKinds[0], kTokens),
                      .right = Cell(GaussianRow(8), kKinds[1], kTokens)});
  }
  for (const char* row : {kUntrained, kTrained}) {
    if (s.scale == Scale::kGiven && row != kTrained) continue;
    for (const char* kind : {kKinds[1], kKinds[3]}) {
      claims.push_back({.text = std::string(row) +
                                ": every determinant of its attention (" +
                                kind + ") is finite in the logarithm",
                        .left = Cell(row, kind, n, kFinite),
                        .relation = kEqual,
                        .bound = 1,
                        .required = true});
    }
    claims.push_back({.text = std::string("the argument, ") + row +
                              ": softmax attention has a higher effective "
                              "rank with the mask than without",
                      .left = Cell(row, kKinds[0], n),
                      .right = Cell(row, kKinds[1], n)});
    claims.push_back({.text = std::string("the argument, ") + row +
                              ": linear attention as well (nearly algebra, "
                              "as it has rank d at most without)",
                      .left = Cell(row, kKinds[2], n),
                      .right = Cell(row, kKinds[3], n)});
  }
  if (s.scale == Scale::kGiven) return claims;
  const MaskedKind& full = MaskedKinds().front();
  for (const MaskedKind& of : MaskedKinds().subspan(1)) {
    const int64_t m = CompactLength(s);
    claims.push_back({.text = std::string("the argument: ") + of.row +
                              ", has a higher effective rank than full "
                              "bidirectional attention",
                      .left = Cell(full.row, kMaskedSet, m),
                      .right = Cell(of.row, kMaskedSet, m)});
  }
  return claims;
}

std::vector<NamedTable> RankStudy::Tables(const Setting&,
                                          const Measurements& measured) const {
  constexpr const char* kMetrics[] = {"effective rank", "rank at 1e-3",
                                      "rank at 1e-12", "log det a row"};
  std::vector<report::Column> columns = {
      {.name = "of"}, {.name = "matrix"}, {.name = "n"}, {.name = "seeds"}};
  for (const char* metric : kMetrics) {
    columns.push_back({.name = metric, .digits = 3});
  }
  report::Table table(columns);
  std::vector<std::pair<std::string, std::string>> shown;
  for (const Measurement& line : measured.lines()) {
    const std::pair place{line.row, line.set};
    if (line.metric != kMetrics[0] || line.set.ends_with(kByLayer) ||
        std::ranges::find(shown, place) != shown.end()) {
      continue;
    }
    shown.push_back(place);
    std::vector<report::Cell> cells = {line.row, line.set, line.length};
    const auto of_seeds =
        Summarise(measured.lines(), Cell(line.row, line.set, line.length));
    cells.push_back(line.seed > 0 ? report::Cell(of_seeds->seeds)
                                  : report::Cell());
    for (const char* metric : kMetrics) {
      const auto summary = Summarise(
          measured.lines(), Cell(line.row, line.set, line.length, metric));
      cells.emplace_back();
      if (summary) cells.back() = summary->mean;
    }
    table.AddRow(std::move(cells));
  }
  return {{"Singular values of attention matrices", table,
           "Means over layers, heads and pieces of text, or over random draws. "
           "Rank at 1e-3: singular values above a thousandth of the largest; "
           "effective rank: exp of the entropy of their distribution. The "
           "logarithm of the determinant is there where the matrix is "
           "triangular: it is never minus infinity, though singular values in "
           "float64 may say otherwise."}};
}

report::Picture KindsPlot(const Measurements& measured, report::LinePlot plot,
                          const std::string& row, const std::string& suffix,
                          bool logarithms = false) {
  for (const char* kind : kKinds) {
    report::Series series{.name = kind};
    for (const Measurement& line : measured.lines()) {
      if (line.row != row || line.set != kind + suffix) continue;
      // Of many seeds the first.
      if (!series.points.empty() &&
          static_cast<double>(line.length) <= series.points.back().x) {
        break;
      }
      series.points.push_back(
          {.x = static_cast<double>(line.length),
           .y = logarithms ? std::log10(line.value) : line.value,
           .error = line.error});
    }
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return report::ToPicture(plot);
}

std::vector<Figure> RankStudy::Figures(const Setting&,
                                       const Measurements& measured) const {
  std::vector<Figure> figures;
  for (const char* row : {kUntrained, kTrained}) {
    const std::string when = row == kTrained ? "trained" : "untrained";
    figures.push_back(
        {"layers-" + when,
         KindsPlot(measured,
                   {.title = std::string("Effective rank by layer, ") + row,
                    .x = {.label = "layer"},
                    .y = {.label = "effective rank", .min = 0},
                    .zoom = report::Zoom::kNever},
                   row, kByLayer),
         "Mean over heads; the bidirectional matrices are of the same scores "
         "without the mask."});
    figures.push_back(
        {"spectrum-" + when,
         KindsPlot(measured,
                   {.title = std::string("Singular values, ") + row,
                    .x = {.label = "number of the singular value",
                          .scale = report::Scale::kLog2},
                    .y = {.label = "log10 of it over the largest", .digits = 1},
                    .zoom = report::Zoom::kNever},
                   row, kSpectrum, /*logarithms=*/true),
         "Geometric means over layers, heads and pieces."});
  }
  return figures;
}

}  // namespace

const Study& Rank() {
  static const RankStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
