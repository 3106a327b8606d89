// Posts 9736 and 9512: embeddings that run to 1 / lambda under sign
// optimizers, what keeps them from it, and Tiger beside other optimizers.

#include <algorithm>
#include <string>

#include "lab/optim/embedding_monitor.h"
#include "lab/studies/bench.h"
#include "lab/studies/comparison.h"
#include "lab/studies/figures.h"
#include "lab/studies/length_models.h"
#include "lab/studies/sequence_models.h"
#include "lab/studies/sign_simulation.h"
#include "lab/studies/studies.h"
#include "lab/train/checkpoint.h"
#include "report/line_plot.h"

namespace ropewalk::lab::studies {
namespace {

// What is trained: an optimizer, its decay, a remedy.
struct Variant {
  const char* name;  // of the model
  const char* row;
  double lambda;
  bool seeds;  // every seed: what claims rest on
  std::vector<std::string> overrides;
};

const std::vector<Variant>& Toys() {
  static const std::vector<Variant> kToys = {
      {"tiger-1", "Zipf: Tiger, lambda 0.01", 0.01, true, {}},
      {"tiger-2",
       "Zipf: Tiger, lambda 0.02",
       0.02,
       true,
       {"optimizer.weight_decay=0.02"}},
      {"tiger-matrix",
       "Zipf: Tiger by the matrix's RMS",
       0.01,
       true,
       {"optimizer.embedding_rms=matrix"}},
      {"lion",
       "Zipf: Lion, lambda 0.1",
       0.1,
       true,
       {"optimizer.name=lion", "optimizer.learning_rate=0.003",
        "optimizer.weight_decay=0.1"}},
      {"adamw", "Zipf: AdamW", 0.01, true, {"optimizer.name=adamw"}},
      {"lazy",
       "Zipf: Tiger, lazy rows",
       0.01,
       true,
       {"optimizer.lazy_rows=true"}},
      {"half-swap",
       "Zipf: Tiger, tied with halves swapped",
       0.01,
       true,
       {"model.head=tied-half-swap"}},
      {"hybrid",
       "Zipf: Tiger, AdamW for the embedding",
       0.01,
       true,
       {"optimizer.embedding=adamw",
        "optimizer.embedding_learning_rate=0.002"}},
  };
  return kToys;
}

const std::vector<Variant>& Texts() {
  static const std::vector<Variant> kTexts = {
      {"tiger-1", "text: Tiger, lambda 0.1", 0.1, true, {}},
      {"adamw", "text: AdamW", 0.1, true, {"optimizer.name=adamw"}},
      {"lazy",
       "text: Tiger, lazy rows",
       0.1,
       true,
       {"optimizer.lazy_rows=true"}},
      {"half-swap",
       "text: Tiger, tied with halves swapped",
       0.1,
       true,
       {"model.head=tied-half-swap"}},
      {"hybrid",
       "text: Tiger, AdamW for the embedding",
       0.1,
       true,
       {"optimizer.embedding=adamw",
        "optimizer.embedding_learning_rate=0.002"}},
      {"tiger-2",
       "text: Tiger, lambda 0.2",
       0.2,
       false,
       {"optimizer.weight_decay=0.2"}},
      {"tiger-matrix",
       "text: Tiger by the matrix's RMS",
       0.1,
       false,
       {"optimizer.embedding_rms=matrix"}},
      {"lion",
       "text: Lion, lambda 0.3",
       0.3,
       false,
       {"optimizer.name=lion", "optimizer.learning_rate=0.001",
        "optimizer.weight_decay=0.3"}},
      {"lamb", "text: LAMB", 0.1, false, {"optimizer.name=lamb"}},
      {"muon",
       "text: Muon, AdamW for the embedding",
       0.1,
       false,
       {"optimizer.name=muon", "optimizer.learning_rate=0.003",
        "optimizer.embedding_learning_rate=0.003"}},
  };
  return kTexts;
}

constexpr const char* kTraining = "training";

std::string NameOf(const Variant& variant, bool toy) {
  return std::string(toy ? "zipf-" : "sign-") + variant.name;
}

ModelSpec ModelOf(const Setting& s, const Variant& variant, bool toy,
                  uint64_t seed) {
  ModelSpec spec{.name = NameOf(variant, toy),
                 .seed = seed,
                 .overrides = CompactOverrides(s)};
  const auto add = [&](const std::vector<std::string>& more) {
    spec.overrides.insert(spec.overrides.end(), more.begin(), more.end());
  };
  add({"model.head=untied", "optimizer.name=tiger",
       "optimizer.learning_rate=0.002", "optimizer.weight_decay=0.1",
       "optimizer.schedule=constant", "optimizer.warmup=0", "optimizer.clip=0",
       "train.log_every=20"});
  if (toy) {
    add({"data.task=zipf", "data.tokenizer=", "model.vocabulary=1000",
         "model.layers=1", "model.width=32", "model.heads=1",
         "model.kv_heads=1", "model.head_width=32", "model.feed_width=64",
         "model.length=32", "train.batch=16", "optimizer.weight_decay=0.01",
         "evaluate.documents=256"});
  } else {
    add({"model.length=64", "train.batch=8", "evaluate.schemes=[\"rope\"]",
         "evaluate.lengths=[64]", "evaluate.documents=1024"});
  }
  if (s.scale == Scale::kSmoke) {
    add({"train.steps=40", "evaluate.documents=8"});
  } else {
    add({toy ? "train.steps=8000" : "train.steps=6000"});
  }
  add(variant.overrides);
  return spec;
}

int64_t StepsOf(const Setting& s, const Variant& variant, bool toy) {
  return ConfigOf(s, ModelOf(s, variant, toy, 1).overrides).steps;
}

std::vector<Measurement> TrainedLines(Bench& bench, double lambda) {
  std::vector<Measurement> lines = bench.TaskLines();
  const int64_t steps = bench.curve().back().step;
  const auto add = [&](const char* metric, double value) {
    lines.push_back(
        {.set = kTraining, .length = steps, .metric = metric, .value = value});
  };
  const train::Checkpoint checkpoint =
      train::ReadCheckpoint(bench.checkpoint());
  double weights = 0;
  for (const auto& [name, value] : checkpoint.parameters) {
    weights += static_cast<double>(value.numel());
    if (name != "embedding.weight") continue;
    const optim::EmbeddingExtremes extremes =
        optim::InspectEmbedding(value, lambda);
    add("largest embedding", extremes.max_abs);
    // Steps of a thousandth do not move it much within the first twenty.
    add("times its start",
        extremes.max_abs / bench.curve().front().largest_embedding);
    add("rows above half of 1/lambda",
        static_cast<double>(extremes.rows_above));
    add("rows at 1/lambda", static_cast<double>(extremes.rows_at_limit));
  }
  double bytes = 0;
  for (const auto& [name, value] : checkpoint.optimizer.tensors) {
    bytes += static_cast<double>(value.numel() * value.element_size());
  }
  add("optimizer bytes a weight", bytes / weights);
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
  std::string published_on() const override {
    return "the largest component of the embedding in pre-training a model of "
           "7B parameters with Tiger";
  }
  bool ByLength() const override { return false; }

  std::vector<ModelSpec> Models(const Setting& s) const override {
    std::vector<ModelSpec> models;
    for (const uint64_t seed : s.seeds) {
      for (const bool toy : {true, false}) {
        for (const Variant& variant : toy ? Toys() : Texts()) {
          if (seed != s.seeds.front() && !variant.seeds) continue;
          models.push_back(ModelOf(s, variant, toy, seed));
        }
      }
    }
    return models;
  }

  std::vector<Job> Jobs(const Setting&, const ModelSpec& model) const override {
    for (const bool toy : {true, false}) {
      for (const Variant& variant : toy ? Toys() : Texts()) {
        if (model.name != NameOf(variant, toy)) continue;
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

CellKey Of(const Setting& s, const Variant& variant, bool toy,
           const char* metric) {
  return {.row = variant.row,
          .set = kTraining,
          .length = StepsOf(s, variant, toy),
          .metric = metric};
}

CellKey FinalLoss(const Setting& s, const Variant& variant, bool toy) {
  return {.row = variant.row,
          .set = toy ? "zipf" : "natural",
          .length = ConfigOf(s, ModelOf(s, variant, toy, 1).overrides).model.N,
          .metric = "loss"};
}

const Variant& Find(const std::vector<Variant>& variants,
                    const std::string& name) {
  return *std::ranges::find_if(
      variants, [&](const Variant& v) { return v.name == name; });
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
    const auto& all = toy ? Toys() : Texts();
    for (const char* name : {"tiger-1", "tiger-2", "lion"}) {
      const Variant& variant = Find(all, name);
      claims.push_back({.text = std::string(toy ? "L6, L7: " : "L7: ") +
                                variant.row +
                                ": the largest component is within half of "
                                "1/lambda of it",
                        .left = Of(s, variant, toy, "largest embedding"),
                        .relation = kWithin,
                        .amount = 0.5 / variant.lambda,
                        .bound = 1 / variant.lambda});
    }
    for (const char* name :
         {"tiger-matrix", "adamw", "lazy", "half-swap", "hybrid"}) {
      const Variant& variant = Find(all, name);
      claims.push_back({.text = std::string("L6: ") + variant.row +
                                ": stays below 10 times its start",
                        .left = Of(s, variant, toy, "times its start"),
                        .relation = kBelow,
                        .bound = 10});
    }
    for (const char* name : {"lazy", "half-swap", "hybrid"}) {
      claims.push_back(
          {.text = "L8, " + where + ": the loss hardly shows it: " +
                   Find(all, name).row + " within 0.05 of plain Tiger",
           .left = FinalLoss(s, Find(all, name), toy),
           .relation = kWithin,
           .right = FinalLoss(s, Find(all, "tiger-1"), toy),
           .amount = 0.05});
    }
  }
  const auto text = [&](const char* name) -> const Variant& {
    return Find(Texts(), name);
  };
  const auto below = [&](const char* what, const char* left,
                         const char* right) {
    claims.push_back({.text = what,
                      .left = FinalLoss(s, text(left), false),
                      .relation = kAtMost,
                      .right = FinalLoss(s, text(right), false)});
  };
  below("post 9512: Lion's loss at most Tiger's", "lion", "tiger-1");
  below("post 9512: Tiger's loss at most AdamW's", "tiger-1", "adamw");
  below("post 9512: Tiger's loss at most LAMB's", "tiger-1", "lamb");
  const auto bytes = [&](const char* name) {
    return Of(s, text(name), false, "optimizer bytes a weight");
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
         {.name = "largest component", .align = report::Align::kRight},
         {.name = "times its start", .align = report::Align::kRight},
         {.name = "rows above half", .align = report::Align::kRight},
         {.name = "final loss", .align = report::Align::kRight},
         {.name = "optimizer bytes a weight", .digits = 2}});
    for (const Variant& variant : toy ? Toys() : Texts()) {
      const auto cell = [&](const CellKey& key) {
        const auto summary = Summarise(measured.lines(), key);
        return summary ? report::Cell(Show(*summary, key.metric))
                       : report::Cell();
      };
      const auto loss = Summarise(measured.lines(), FinalLoss(s, variant, toy));
      const auto bytes = Summarise(
          measured.lines(), Of(s, variant, toy, "optimizer bytes a weight"));
      if (!loss || !bytes) continue;
      table.AddRow({variant.row, 1 / variant.lambda,
                    cell(Of(s, variant, toy, "largest embedding")),
                    cell(Of(s, variant, toy, "times its start")),
                    cell(Of(s, variant, toy, "rows above half of 1/lambda")),
                    cell(FinalLoss(s, variant, toy)), bytes->mean});
    }
    tables.push_back(
        {toy ? "Tokens of a Zipf distribution" : "A language model", table,
         "The largest |component| of the embedding after the last step, how "
         "many times that after the first twenty it is, rows with a component "
         "above half of 1/lambda, loss on what training never saw."});
  }
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
  const auto rows = [](const std::vector<Variant>& variants) {
    std::vector<std::string> names;
    for (const Variant& variant : variants) names.emplace_back(variant.row);
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
       CurvePlot(lines, rows(Toys()), "curve", "largest embedding",
                 "Tokens of a Zipf distribution: the embedding's "
                 "largest component",
                 component, /*growth=*/true),
       "Mean over seeds."});
  figures.push_back(
      {"text",
       CurvePlot(lines, rows(Texts()), "curve", "largest embedding",
                 "A language model: the embedding's largest component",
                 component, /*growth=*/true),
       "Mean over seeds."});
  figures.push_back(
      {"text-loss",
       CurvePlot(lines, rows(Texts()), "curve", "training loss",
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
