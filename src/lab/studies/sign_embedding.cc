// Posts 9736 and 9512: embeddings that run to 1 / lambda under sign
// optimizers, what keeps them from it, and Tiger beside other optimizers.

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "lab/nn/model.h"
#include "lab/studies/bench.h"
#include "lab/studies/comparison.h"
#include "lab/studies/figures.h"
#include "lab/studies/length_models.h"
#include "lab/studies/sequence_models.h"
#include "lab/studies/sign_measures.h"
#include "lab/studies/sign_models.h"
#include "lab/studies/sign_simulation.h"
#include "lab/studies/studies.h"
#include "lab/train/trainer.h"
#include "report/line_plot.h"

namespace ropewalk::lab::studies {
namespace {

constexpr const char* kMemory = "optimizer bytes a weight";
constexpr const char* kAccumulating = "the same, accumulating gradients";

std::string MemoryRow(const OptimizerChoice& choice) {
  return std::string("memory: ") + choice.title;
}

// What an optimizer holds for a weight, between the micro-steps of a group too.
std::vector<Measurement> MemoryOf(const Setting& s,
                                  const OptimizerChoice& choice) {
  std::vector<Measurement> lines;
  for (const bool accumulates : {false, true}) {
    std::vector<std::string> overrides =
        OptimizerModel(s, choice, choice.best, 1).overrides;
    overrides.push_back(std::string("train.accumulation=") +
                        (accumulates ? "4" : "1"));
    const train::TrainConfig config = ConfigOf(s, overrides);
    const nn::Model model(config.model, 1);
    int64_t weights = 0;
    for (const nn::Parameter& parameter : model.parameters()) {
      weights += parameter.value.numel();
    }
    const auto optimizer = train::MakeOptimizer(config, model);
    const int64_t bytes =
        optimizer->StateBytes() + optimizer->AccumulationBytes();
    lines.push_back(
        {.set = "memory",
         .metric = accumulates ? kAccumulating : kMemory,
         .value = static_cast<double>(bytes) / static_cast<double>(weights)});
  }
  return lines;
}

CellKey MemoryCell(const OptimizerChoice& choice, const char* metric) {
  return {.row = MemoryRow(choice), .set = "memory", .metric = metric};
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
        return {{.row = OptimizerRow(choice, rate), .run = [](Bench& bench) {
                   return EmbeddingTrainedLines(bench, 0);
                 }}};
      }
    }
    for (const bool toy : {true, false}) {
      for (const SignVariant& variant : toy ? ToyVariants() : TextVariants()) {
        if (model.name != SignModelName(variant, toy)) continue;
        return {{.row = variant.row, .run = [&variant](Bench& bench) {
                   return EmbeddingTrainedLines(bench, variant.lambda);
                 }}};
      }
    }
    return {};
  }

  std::vector<Job> OwnJobs(const Setting& s) const override {
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
    for (const OptimizerChoice& choice : OptimizerChoices()) {
      jobs.push_back({.row = MemoryRow(choice), .run = [&choice, s](Bench&) {
                        return MemoryOf(s, choice);
                      }});
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
    claims.push_back(
        {.text = "with denormals flushed the embedding stops far below "
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
      claims.push_back({.text = std::string(variant.row) +
                                ": the largest of rare ids reaches 1/lambda "
                                "within 5 percent",
                        .left = Of(s, variant, toy, "largest of rare ids"),
                        .relation = kWithin,
                        .amount = 0.05 / variant.lambda,
                        .bound = 1 / variant.lambda});
    }
    const SignVariant& lion = Find(all, "lion");
    claims.push_back({.text = std::string(lion.row) +
                              ": the largest of rare ids comes beyond half of "
                              "1/lambda",
                      .left = Of(s, lion, toy, "largest of rare ids"),
                      .relation = kAbove,
                      .bound = 0.5 / lion.lambda});
    for (const char* name : {"adamw", "lazy", "half-swap", "hybrid"}) {
      const SignVariant& variant = Find(all, name);
      claims.push_back({.text = std::string(variant.row) +
                                ": rare ids stay below 10 times the start",
                        .left = Of(s, variant, toy, kRareTimes),
                        .relation = kBelow,
                        .bound = 10});
    }
    const SignVariant& tiger = Find(all, "tiger-1");
    const SignVariant& swapped = Find(all, "half-swap");
    claims.push_back(
        {.text = std::string("not of the post: ") +
                 Find(all, "tiger-matrix").row +
                 ": the median of rare ids below that by the "
                 "row's",
         .left = Of(s, Find(all, "tiger-matrix"), toy, kRareMedian),
         .right = Of(s, tiger, toy, kRareMedian)});
    claims.push_back({.text = std::string("the ghost: ") + tiger.row +
                              ": momenta of rare ids end as denormal numbers",
                      .left = Of(s, tiger, toy, kGhosts),
                      .relation = kAbove,
                      .bound = 0});
    claims.push_back({.text = std::string("the ghost: ") + swapped.row +
                              ": none, as the output gives every row a "
                              "gradient",
                      .left = Of(s, swapped, toy, kGhosts),
                      .relation = kBelow,
                      .bound = 1});
    // The other remedies change the head or the embedding's step as well.
    for (const char* name : {"lazy", "flushed"}) {
      claims.push_back({.text = std::string("the loss hardly shows it: ") +
                                Find(all, name).row +
                                " within 0.05 of plain Tiger",
                        .left = FinalLoss(s, Find(all, name), toy),
                        .relation = kWithin,
                        .right = FinalLoss(s, tiger, toy),
                        .amount = 0.05});
    }
    if (!toy) {
      claims.push_back(
          {.text = "not of the post: " + std::string(Find(all, "hybrid").row) +
                   ": its loss below plain Tiger's",
           .left = FinalLoss(s, Find(all, "hybrid"), toy),
           .relation = kBelow,
           .right = FinalLoss(s, tiger, toy)});
    }
    claims.push_back({.text = where +
                              ": without denormals the push ends after some "
                              "2100 steps: the median of rare ids is below "
                              "that with them",
                      .left = Of(s, Find(all, "flushed"), toy, kRareMedian),
                      .relation = kBelow,
                      .right = Of(s, tiger, toy, kRareMedian)});
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
                      .relation = kAtMost,
                      .right = loss(right),
                      .amount = 0.02});
  };
  at_most(
      "post 9512, each at its best rate: Lion's loss less than 0.02 above "
      "Tiger's",
      "lion", "tiger");
  at_most("post 9512: Tiger's less than 0.02 above AdamW's", "tiger", "adamw");
  at_most("post 9512: Tiger's less than 0.02 above LAMB's", "tiger", "lamb");
  at_most("post 9512: AdamW and LAMB about equal: AdamW's less than 0.02 above",
          "adamw", "lamb");
  at_most("and LAMB's less than 0.02 above AdamW's", "lamb", "adamw");
  const auto bytes = [&](const char* name, const char* metric, double wanted) {
    const OptimizerChoice& choice = optimizer(name);
    const bool plain = metric == kMemory;
    claims.push_back({.text = std::string("numbers held for a weight") +
                              (plain ? ": " : ", accumulating: ") +
                              choice.title + ", " + FormatNumber(wanted / 4),
                      .left = MemoryCell(choice, metric),
                      .relation = kWithin,
                      .amount = 0.01,
                      .bound = wanted,
                      .required = true});
  };
  bytes("tiger", kMemory, 4);
  bytes("tiger", kAccumulating, 4);
  bytes("lion", kMemory, 4);
  bytes("lion", kAccumulating, 8);
  bytes("adamw", kMemory, 8);
  bytes("adamw", kAccumulating, 12);
  bytes("lamb", kMemory, 8);
  bytes("lamb", kAccumulating, 12);
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
                       {.name = "bytes a weight", .digits = 2},
                       {.name = "accumulating", .digits = 2}});
  for (const OptimizerChoice& choice : OptimizerChoices()) {
    for (size_t rate = 0; rate < choice.rates.size(); ++rate) {
      const std::string row = OptimizerRow(choice, rate);
      const auto loss =
          Summarise(measured.lines(),
                    {.row = row, .length = CompactLength(s), .metric = "loss"});
      const auto memory = [&](const char* metric) {
        const auto bytes =
            Summarise(measured.lines(), MemoryCell(choice, metric));
        return bytes ? report::Cell(bytes->mean) : report::Cell();
      };
      if (!loss) continue;
      table.AddRow(
          {row, Show(*loss, "loss"), memory(kMemory), memory(kAccumulating)});
    }
  }
  tables.push_back(
      {"Optimizers at equal steps", table,
       "Cosine schedule, gradients clipped to a norm of 1, every "
       "rate on one seed; the best rate has every seed. Memory: what "
       "the optimizer holds for a weight, and with gradients that "
       "pile up over micro-steps."});
  return tables;
}

report::Picture GrowthPlot(const std::vector<Measurement>& lines) {
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
  return report::ToPicture(plot);
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
  std::vector<std::string> best;
  for (const OptimizerChoice& choice : OptimizerChoices()) {
    best.push_back(OptimizerRow(choice, choice.best));
  }
  figures.push_back(
      {"optimizers",
       CurvePlot(lines, best, "curve", "training loss",
                 "Optimizers, each at its best rate", "loss, nats a token"),
       "Training loss at equal steps, mean over seeds."});
  return figures;
}

}  // namespace

const Study& SignEmbedding() {
  static const SignEmbeddingStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
