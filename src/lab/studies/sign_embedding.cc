// Posts 9736 and 9512: embeddings that run to 1 / lambda under sign
// optimizers, what keeps them from it, and Tiger beside other optimizers.

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "lab/nn/model.h"
#include "lab/optim/embedding_monitor.h"
#include "lab/studies/bench.h"
#include "lab/studies/comparison.h"
#include "lab/studies/figures.h"
#include "lab/studies/length_models.h"
#include "lab/studies/sequence_models.h"
#include "lab/studies/sign_models.h"
#include "lab/studies/sign_simulation.h"
#include "lab/studies/studies.h"
#include "lab/studies/token_counts.h"
#include "lab/train/checkpoint.h"
#include "report/line_plot.h"

namespace ropewalk::lab::studies {
namespace {

constexpr const char* kTraining = "training";
constexpr const char* kRareTimes = "largest of rare ids, times the start";
constexpr const char* kRareMedian = "median of rare ids";
constexpr const char* kGhosts = "rare ids of denormal momentum";

// A token seen fewer times than this in a whole training is rare.
constexpr int64_t kRare = 20;

double LargestAtStart(const train::Checkpoint& checkpoint) {
  const train::TrainConfig config =
      train::ReadTrainConfig(checkpoint.state.config, checkpoint.path, {});
  const nn::Model model(config.model, config.seed);
  for (const nn::Parameter& parameter : model.parameters()) {
    if (parameter.name == "embedding.weight") {
      return parameter.value.detach().abs().max().item<double>();
    }
  }
  ROPEWALK_CHECK(false);
  return 0;
}

at::Tensor LargestOfRows(const at::Tensor& matrix) {
  return std::get<0>(matrix.abs().max(1)).contiguous();
}

// The momentum of the embedding under Tiger or Lion, undefined where another
// optimizer has it.
at::Tensor SignMomentum(const train::Checkpoint& checkpoint) {
  for (const auto& [name, value] : checkpoint.optimizer.tensors) {
    for (const char* optimizer : {"tiger", "lion"}) {
      if (name == std::string(optimizer) + "/m/embedding.weight") return value;
    }
  }
  return {};
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// The embedding after training, by how often a row's token was seen.
std::vector<Measurement> EmbeddingLines(const at::Tensor& embedding,
                                        const train::Checkpoint& checkpoint,
                                        double lambda) {
  std::vector<Measurement> lines;
  const auto add = [&](const char* metric, double value) {
    lines.push_back({.metric = metric, .value = value});
  };
  const std::vector<int64_t> counts = TokenCounts(checkpoint);
  const at::Tensor rows = LargestOfRows(embedding);
  const at::Tensor momentum = SignMomentum(checkpoint);
  const at::Tensor momenta =
      momentum.defined() ? LargestOfRows(momentum) : at::Tensor();
  std::vector<double> rare;
  double others = 0;
  double rare_driven = 0;
  double ghosts = 0;
  for (size_t id = 0; id < counts.size(); ++id) {
    const double largest = rows[static_cast<int64_t>(id)].item<double>();
    if (counts[id] == 0) continue;  // never pushed at all
    if (counts[id] >= kRare) {
      others = std::max(others, largest);
      continue;
    }
    rare.push_back(largest);
    rare_driven += largest > 0.5 / lambda ? 1 : 0;
    if (!momenta.defined()) continue;
    const float left = momenta[static_cast<int64_t>(id)].item<float>();
    ghosts += left > 0 && left < std::numeric_limits<float>::min() ? 1 : 0;
  }
  const double largest_rare = rare.empty() ? 0 : std::ranges::max(rare);
  const optim::EmbeddingExtremes extremes =
      optim::InspectEmbedding(embedding, lambda);
  add("largest embedding", extremes.max_abs);
  add("largest of rare ids", largest_rare);
  add("largest of other ids", others);
  add(kRareTimes, largest_rare / LargestAtStart(checkpoint));
  add(kRareMedian, Median(rare));
  add("rare ids", static_cast<double>(rare.size()));
  add("rare ids above half of 1/lambda", rare_driven);
  if (momenta.defined()) add(kGhosts, ghosts);
  add("rows above half of 1/lambda", static_cast<double>(extremes.rows_above));
  add("rows at 1/lambda", static_cast<double>(extremes.rows_at_limit));
  return lines;
}

std::vector<Measurement> TrainedLines(Bench& bench, double lambda) {
  std::vector<Measurement> lines = bench.TaskLines();
  const int64_t steps = bench.curve().back().step;
  const train::Checkpoint checkpoint =
      train::ReadCheckpoint(bench.checkpoint());
  double weights = 0;
  for (const auto& [name, value] : checkpoint.parameters) {
    weights += static_cast<double>(value.numel());
    if (name != "embedding.weight" || lambda == 0) continue;
    for (Measurement& line : EmbeddingLines(value, checkpoint, lambda)) {
      line.set = kTraining;
      line.length = steps;
      lines.push_back(std::move(line));
    }
  }
  double bytes = 0;
  for (const auto& [name, value] : checkpoint.optimizer.tensors) {
    bytes += static_cast<double>(value.numel() * value.element_size());
  }
  lines.push_back({.set = kTraining,
                   .length = steps,
                   .metric = "optimizer bytes a weight",
                   .value = bytes / weights});
  for (Measurement& line : bench.CurveLines()) lines.push_back(std::move(line));
  return lines;
}

constexpr const char* kGrowth = "row growth";
constexpr const char* kFlushed = "row growth, denormals flushed";

std::string GrowthRow(double lambda, bool flush) {
  return std::string(flush ? kFlushed : kGrowth) + ", lambda " +
         (lambda < 0.015 ? "0.01" : "0.02");
}

class SignEmbeddingStudy : public Study {
 public:
  std::string name() const override { return "sign-embedding"; }
  std::string title() const override {
    return "Embeddings under sign optimizers: the anomaly and its remedies "
           "(posts 9736, 9512)";
  }
  std::string about() const override {
    return "Under Tiger and Lion a token that occurs almost never is pushed "
           "in the direction of its last gradient for as long as the momentum "
           "is not exactly 0, until weight decay holds it: at 1 / lambda. The "
           "loss does not show it. Made-up tokens of a Zipf distribution and a "
           "language model on 512 tokens a step, at a constant rate, so that "
           "the plateau is within reach; then the remedies, and Tiger beside "
           "other optimizers at equal steps.";
  }
  bool ByLength() const override { return false; }

  std::vector<ModelSpec> Models(const Setting& s) const override {
    std::vector<ModelSpec> models;
    for (const uint64_t seed : s.seeds) {
      for (const bool toy : {true, false}) {
        for (const SignVariant& variant :
             toy ? ToyVariants() : TextVariants()) {
          if (seed != s.seeds.front() && !variant.seeds) continue;
          models.push_back(SignModel(s, variant, toy, seed));
        }
      }
      for (const OptimizerChoice& choice : OptimizerChoices()) {
        for (size_t rate = 0; rate < choice.rates.size(); ++rate) {
          if (seed != s.seeds.front() && rate != choice.best) continue;
          if (!s.Sweeps() && rate != choice.best) continue;
          models.push_back(OptimizerModel(s, choice, rate, seed));
        }
      }
    }
    return models;
  }

  std::vector<Job> Jobs(const Setting& s,
                        const ModelSpec& model) const override {
    for (const OptimizerChoice& choice : OptimizerChoices()) {
      for (size_t rate = 0; rate < choice.rates.size(); ++rate) {
        if (OptimizerModel(s, choice, rate, 1).name != model.name) continue;
        return {{.row = OptimizerRow(choice, rate),
                 .run = [](Bench& bench) { return TrainedLines(bench, 0); }}};
      }
    }
    for (const bool toy : {true, false}) {
      for (const SignVariant& variant : toy ? ToyVariants() : TextVariants()) {
        if (model.name != SignModelName(variant, toy)) continue;
        return {{.row = variant.row, .run = [&variant](Bench& bench) {
                   return TrainedLines(bench, variant.lambda);
                 }}};
      }
    }
    return {};
  }

  std::vector<Job> OwnJobs(const Setting&) const override {
    std::vector<Job> jobs;
    for (const double lambda : {0.01, 0.02}) {
      for (const bool flush : {false, true}) {
        jobs.push_back(
            {.row = GrowthRow(lambda, flush), .run = [lambda, flush](Bench&) {
               std::vector<Measurement> lines;
               for (const RowSize& size : GrowRow(
                        {.weight_decay = lambda, .flush_denormals = flush})) {
                 Measurement line{.set = "growth curve",
                                  .length = size.update,
                                  .metric = "largest embedding",
                                  .value = size.measured};
                 lines.push_back(line);
                 line.metric = "closed form";
                 line.value = size.closed_form;
                 lines.push_back(line);
               }
               return lines;
             }});
      }
    }
    return jobs;
  }

  std::vector<Claim> Claims(const Setting& s) const override;
  std::vector<NamedTable> Tables(const Setting& s,
                                 const Measurements& measured) const override;
  std::vector<Figure> Figures(const Setting& s,
                              const Measurements& measured) const override;
};

int64_t StepsOf(const Setting& s, const SignVariant& variant, bool toy) {
  return ConfigOf(s, SignModel(s, variant, toy, 1).overrides).steps;
}

CellKey Of(const Setting& s, const SignVariant& variant, bool toy,
           const char* metric) {
  return {.row = variant.row,
          .set = kTraining,
          .length = StepsOf(s, variant, toy),
          .metric = metric};
}

CellKey FinalLoss(const Setting& s, const SignVariant& variant, bool toy) {
  return {
      .row = variant.row,
      .set = toy ? "zipf" : "natural",
      .length = ConfigOf(s, SignModel(s, variant, toy, 1).overrides).model.N,
      .metric = "loss"};
}

const SignVariant& Find(const std::vector<SignVariant>& variants,
                        const std::string& name) {
  return *std::ranges::find_if(
      variants, [&](const SignVariant& v) { return v.name == name; });
}

std::vector<Claim> SignEmbeddingStudy::Claims(const Setting& s) const {
  using enum Claim::Relation;
  std::vector<Claim> claims;
  const auto growth = [](double lambda, bool flush, const char* metric,
                         int64_t at) {
    return CellKey{.row = GrowthRow(lambda, flush),
                   .set = "growth curve",
                   .length = at,
                   .metric = metric};
  };
  for (const double lambda : {0.01, 0.02}) {
    const std::string at = lambda < 0.015 ? " (lambda 0.01)" : " (lambda 0.02)";
    for (const int64_t update : {4000, 8000}) {
      claims.push_back(
          {.text = "a row with denormals grows by the logistic curve, after " +
                   std::to_string(update) +
                   " updates within 2 percent of 1/"
                   "lambda" +
                   at,
           .left = growth(lambda, false, "largest embedding", update),
           .relation = kWithin,
           .right = growth(lambda, false, "closed form", update),
           .amount = 0.02 / lambda,
           .required = true});
    }
    claims.push_back({.text = "L5: with denormals flushed it stops far below "
                              "half of that" +
                              at,
                      .left = growth(lambda, true, "largest embedding", 8000),
                      .relation = kBelow,
                      .bound = 0.5 / lambda,
                      .required = true});
  }
  for (const bool toy : {true, false}) {
    const std::string where = toy ? "Zipf" : "text";
    const auto& all = toy ? ToyVariants() : TextVariants();
    for (const char* name : {"tiger-1", "tiger-2"}) {
      const SignVariant& variant = Find(all, name);
      claims.push_back({.text = std::string("L6, L7: ") + variant.row +
                                ": rare ids reach 1/lambda within 5 percent",
                        .left = Of(s, variant, toy, "largest of rare ids"),
                        .relation = kWithin,
                        .amount = 0.05 / variant.lambda,
                        .bound = 1 / variant.lambda});
    }
    const SignVariant& lion = Find(all, "lion");
    claims.push_back({.text = std::string("L6: ") + lion.row +
                              ": rare ids come beyond half of 1/lambda",
                      .left = Of(s, lion, toy, "largest of rare ids"),
                      .relation = kAbove,
                      .bound = 0.5 / lion.lambda});
    for (const char* name :
         {"tiger-matrix", "adamw", "lazy", "half-swap", "hybrid"}) {
      const SignVariant& variant = Find(all, name);
      claims.push_back({.text = std::string("L6: ") + variant.row +
                                ": rare ids stay below 10 times the start",
                        .left = Of(s, variant, toy, kRareTimes),
                        .relation = kBelow,
                        .bound = 10});
    }
    claims.push_back(
        {.text = "the ghost: " + std::string(Find(all, "tiger-1").row) +
                 ": momenta of rare ids end as denormal numbers",
         .left = Of(s, Find(all, "tiger-1"), toy, kGhosts),
         .relation = kAbove,
         .bound = 0});
    claims.push_back(
        {.text = std::string(Find(all, "half-swap").row) +
                 ": no such momentum, the output gives every row a gradient",
         .left = Of(s, Find(all, "half-swap"), toy, kGhosts),
         .relation = kBelow,
         .bound = 1});
    for (const char* name : {"lazy", "half-swap", "hybrid"}) {
      claims.push_back(
          {.text = "L8, " + where + ": the loss hardly shows it: " +
                   Find(all, name).row + " within 0.05 of plain Tiger",
           .left = FinalLoss(s, Find(all, name), toy),
           .relation = kWithin,
           .right = FinalLoss(s, Find(all, "tiger-1"), toy),
           .amount = 0.05,
           .paired = true});
    }
  }
  const auto optimizer = [&](const std::string& name) -> const auto& {
    return *std::ranges::find_if(
        OptimizerChoices(),
        [&](const OptimizerChoice& c) { return c.name == name; });
  };
  const auto at_most = [&](const char* what, const char* left,
                           const char* right) {
    const auto loss = [&](const char* name) {
      const OptimizerChoice& choice = optimizer(name);
      return CellKey{.row = OptimizerRow(choice, choice.best),
                     .length = CompactLength(s),
                     .metric = "loss"};
    };
    claims.push_back({.text = what,
                      .left = loss(left),
                      .relation = kNotAbove,
                      .right = loss(right),
                      .paired = true});
  };
  at_most("post 9512, each at its best rate: Lion's loss not above Tiger's",
          "lion", "tiger");
  at_most("post 9512: Tiger's not above AdamW's", "tiger", "adamw");
  at_most("post 9512: Tiger's not above LAMB's", "tiger", "lamb");
  const auto bytes = [&](const char* name) {
    return Of(s, Find(TextVariants(), name), false, "optimizer bytes a weight");
  };
  claims.push_back({.text = "L9: Tiger holds one number a weight",
                    .left = bytes("tiger-1"),
                    .relation = kWithin,
                    .amount = 0.01,
                    .bound = 4,
                    .required = true});
  claims.push_back({.text = "L9: AdamW two",
                    .left = bytes("adamw"),
                    .relation = kWithin,
                    .amount = 0.01,
                    .bound = 8,
                    .required = true});
  return claims;
}

std::vector<NamedTable> SignEmbeddingStudy::Tables(
    const Setting& s, const Measurements& measured) const {
  std::vector<NamedTable> tables;
  for (const bool toy : {true, false}) {
    report::Table table(
        {{.name = "row"},
         {.name = "1/lambda", .digits = 2},
         {.name = "largest, rare ids", .align = report::Align::kRight},
         {.name = "times the start", .align = report::Align::kRight},
         {.name = "median, rare ids", .align = report::Align::kRight},
         {.name = "largest, other ids", .align = report::Align::kRight},
         {.name = "rare ids beyond half", .align = report::Align::kRight},
         {.name = "of denormal momentum", .align = report::Align::kRight},
         {.name = "final loss", .align = report::Align::kRight}});
    for (const SignVariant& variant : toy ? ToyVariants() : TextVariants()) {
      const auto cell = [&](const CellKey& key) {
        return ShowCell(measured.lines(), key);
      };
      const CellKey loss = FinalLoss(s, variant, toy);
      if (!Summarise(measured.lines(), loss)) continue;
      table.AddRow(
          {variant.row, 1 / variant.lambda,
           cell(Of(s, variant, toy, "largest of rare ids")),
           cell(Of(s, variant, toy, kRareTimes)),
           cell(Of(s, variant, toy, kRareMedian)),
           cell(Of(s, variant, toy, "largest of other ids")),
           cell(Of(s, variant, toy, "rare ids above half of 1/lambda")),
           cell(Of(s, variant, toy, kGhosts)), cell(loss)});
    }
    tables.push_back(
        {toy ? "Tokens of a Zipf distribution" : "A language model", table,
         "The largest |component| of the embedding's rows after the last step. "
         "Rare: ids that stood 1 to " +
             std::to_string(kRare - 1) +
             " times in all of training. Times the start: of the largest "
             "component before the first step. Of denormal momentum: rare ids "
             "whose momentum is not 0 but too small for a normal number, so "
             "that nothing but a long gone gradient pushes them. Final loss: "
             "on what training never saw."});
  }
  report::Table table({{.name = "optimizer"},
                       {.name = "final loss", .align = report::Align::kRight},
                       {.name = "bytes a weight", .digits = 2}});
  for (const OptimizerChoice& choice : OptimizerChoices()) {
    for (size_t rate = 0; rate < choice.rates.size(); ++rate) {
      const std::string row = OptimizerRow(choice, rate);
      const auto loss =
          Summarise(measured.lines(),
                    {.row = row, .length = CompactLength(s), .metric = "loss"});
      const auto bytes = Summarise(
          measured.lines(),
          {.row = row,
           .set = kTraining,
           .length =
               ConfigOf(s, OptimizerModel(s, choice, rate, 1).overrides).steps,
           .metric = "optimizer bytes a weight"});
      if (loss && bytes) table.AddRow({row, Show(*loss, "loss"), bytes->mean});
    }
  }
  tables.push_back({"Optimizers at equal steps", table,
                    "Cosine schedule, gradients clipped to a norm of 1, every "
                    "rate on one seed; the best rate has every seed."});
  return tables;
}

std::string GrowthPlot(const std::vector<Measurement>& lines) {
  report::LinePlot plot{
      .title = "A token that occurs once, under Tiger",
      .x = {.label = "update"},
      .y = {.label = "largest |component|", .scale = report::Scale::kLog2},
      .zoom = report::Zoom::kNever};
  for (const double lambda : {0.01, 0.02}) {
    const std::string which = lambda < 0.015 ? "0.01" : "0.02";
    for (const char* name : {"with denormals", "flushed", "closed form"}) {
      const std::string kind = name;
      const std::string row = GrowthRow(lambda, kind == "flushed");
      const std::string metric =
          kind == "closed form" ? kind : "largest embedding";
      report::Series series{.name = "lambda " + which + ", " + kind,
                            .dashed = kind == "closed form"};
      for (const Measurement& line : lines) {
        if (line.row != row || line.metric != metric) continue;
        series.points.push_back(
            {.x = static_cast<double>(line.length), .y = line.value});
      }
      if (!series.points.empty()) plot.series.push_back(std::move(series));
    }
  }
  return plot.series.empty() ? "" : report::ToSvg(plot);
}

std::vector<Figure> SignEmbeddingStudy::Figures(
    const Setting&, const Measurements& measured) const {
  std::vector<Figure> figures;
  const auto& lines = measured.lines();
  const auto rows = [](const std::vector<SignVariant>& variants) {
    std::vector<std::string> names;
    for (const SignVariant& variant : variants) names.emplace_back(variant.row);
    return names;
  };
  const char* component = "largest |component|";
  figures.push_back(
      {"growth", GrowthPlot(lines),
       "Logistic growth to 1/lambda: with denormals the sign of the momentum "
       "never becomes 0; flushed it does after two thousand updates. Dashed: "
       "the closed form."});
  figures.push_back(
      {"zipf",
       CurvePlot(lines, rows(ToyVariants()), "curve", "largest embedding",
                 "Tokens of a Zipf distribution: the embedding's "
                 "largest component",
                 component, /*growth=*/true),
       "Mean over seeds."});
  figures.push_back(
      {"text",
       CurvePlot(lines, rows(TextVariants()), "curve", "largest embedding",
                 "A language model: the embedding's largest component",
                 component, /*growth=*/true),
       "Mean over seeds."});
  figures.push_back(
      {"text-loss",
       CurvePlot(lines, rows(TextVariants()), "curve", "training loss",
                 "A language model: training loss", "loss, nats a token"),
       "What the loss shows of it."});
  return figures;
}

}  // namespace

const Study& SignEmbedding() {
  static const SignEmbeddingStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
