// Post 9698: what an output matrix that is the embedding costs at the start of
// training, and what helps.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "lab/optim/embedding_monitor.h"
#include "lab/studies/bench.h"
#include "lab/studies/comparison.h"
#include "lab/studies/figures.h"
#include "lab/studies/head_simulation.h"
#include "lab/studies/sequence_models.h"
#include "lab/studies/studies.h"
#include "lab/train/checkpoint.h"
#include "report/line_plot.h"

namespace ropewalk::lab::studies {
namespace {

using nn::Head;

struct Mode {
  Head head;
  const char* row;
};
constexpr Mode kModes[] = {
    {Head::kTied, "tied"},
    {Head::kTiedSigma, "tied, sigma = ln(n)/d"},
    {Head::kUntied, "untied"},
    {Head::kTiedOrthogonal, "tied, orthogonal projection"},
    {Head::kTiedHalfSwap, "tied, halves swapped"},
    {Head::kTiedShuffle, "tied, channels shuffled"},
    {Head::kTiedRootWidth, "tied, logits / sqrt(d)"},
};

// The figure's abscissas: sigma in millionths.
constexpr double kSigmas[] = {0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06};
constexpr int64_t kTiedWidths[] = {64, 128, 256, 512, 1024};
constexpr int64_t kVocabularies[] = {500, 1000, 2000, 4000, 8000, 16000};
constexpr const char* kBySigma = "start by sigma";
constexpr const char* kByWidth = "start by width";
constexpr const char* kByVocabulary = "start by vocabulary";
constexpr const char* kEverywhere = "start";

HeadStart Standard(Head head) { return {.head = head}; }

// What smoke can afford.
bool InSmoke(double value, double standard) {
  return std::abs(value - standard) < 1e-9;
}

std::vector<Measurement> StartLines(const HeadStart& start, const char* set,
                                    int64_t at) {
  const HeadStartResult result = MeasureHeadStart(start);
  std::vector<Measurement> lines;
  const auto add = [&](const char* metric, double value, double error) {
    lines.push_back({.set = set,
                     .length = at,
                     .metric = metric,
                     .value = value,
                     .error = error,
                     .count = start.pairs});
  };
  add("initial loss", result.loss, result.loss_error);
  add("closed form", ClosedFormLoss(start), 0);
  add("copies", 100 * result.copies, 0);
  add("entropy", result.entropy, 0);
  return lines;
}

std::vector<Measurement> Starts(const Setting& s, Head head) {
  std::vector<Measurement> lines;
  const auto add = [&](const HeadStart& start, const char* set, int64_t at) {
    for (Measurement& line : StartLines(start, set, at)) {
      lines.push_back(std::move(line));
    }
  };
  const HeadStart standard = Standard(head);
  for (const double sigma : kSigmas) {
    // There it is what the others are at their own sigma.
    if (head == Head::kTiedSigma) break;
    if (!s.Sweeps() && !InSmoke(sigma, 0.04)) continue;
    HeadStart start = standard;
    start.sigma = sigma;
    add(start, kBySigma, std::lround(1e6 * sigma));
  }
  for (const int64_t width : kTiedWidths) {
    if (!s.Sweeps() && width != standard.width) continue;
    HeadStart start = standard;
    start.width = width;
    add(start, kByWidth, width);
  }
  for (const int64_t vocabulary : kVocabularies) {
    if (!s.Sweeps()) break;
    HeadStart start = standard;
    start.vocabulary = vocabulary;
    add(start, kByVocabulary, vocabulary);
  }
  double nats = 0;
  double share = 0;
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    // A narrow network is not near the identity.
    if (lines[i].metric != "initial loss" ||
        (lines[i].set == kByWidth && lines[i].length < 128)) {
      continue;
    }
    const double form = lines[i + 1].value;
    nats = std::max(nats, std::abs(lines[i].value - form));
    share = std::max(share, std::abs(lines[i].value - form) / form);
  }
  lines.push_back(
      {.set = kEverywhere, .metric = "departure, nats", .value = nats});
  lines.push_back(
      {.set = kEverywhere, .metric = "departure, share", .value = share});
  return lines;
}

std::string StartRow(const Mode& mode) {
  return std::string("start: ") + mode.row;
}

// Most of the way from an even guess to what models of this size reach.
double Threshold(const Setting& s) {
  const auto V = static_cast<double>(ConfigOf(s).model.V);
  return 0.65 * std::log(V);
}

constexpr const char* kTraining = "training";
constexpr const char* kStepsTo = "steps to 0.65 ln n";

ModelSpec ModelOf(const Setting& s, const Mode& mode, bool ordinary,
                  uint64_t seed) {
  const int64_t N = CompactLength(s);
  ModelSpec spec{.name = std::string(ordinary ? "head-ordinary-" : "head-") +
                         nn::ToString(mode.head),
                 .seed = seed,
                 .overrides = CompactOverrides(s)};
  const bool smoke = s.scale == Scale::kSmoke;
  const auto more = [&](std::vector<std::string> lines) {
    for (std::string& line : lines) spec.overrides.push_back(std::move(line));
  };
  more({"model.block=gau", "model.heads=1", "model.kv_heads=1",
        "optimizer.name=adamw", "optimizer.learning_rate=0.002",
        "evaluate.schemes=[\"rope\"]", "train.log_every=1"});
  more({ordinary ? "model.init=ordinary" : "model.init=deepnorm"});
  more({"model.head=" + nn::ToString(mode.head)});
  more({"evaluate.lengths=[" + std::to_string(N) + "]"});
  if (smoke) {
    more({"model.head_width=32", "train.steps=12", "train.batch=8",
          "evaluate.documents=8"});
  } else if (s.scale == Scale::kSmall) {
    // Wide and shallow, so that a token's own logit stands out.
    more({"model.layers=2", "model.width=256", "model.head_width=64",
          "model.feed_width=512", "train.steps=800", "train.batch=32",
          "evaluate.documents=512"});
  } else {
    more({"model.head_width=128", "model.feed_width=1536",
          "evaluate.documents=512"});
  }
  return spec;
}

// First step from which the mean loss of 20 steps is below the threshold.
// Nothing: a run that never gets there.
std::optional<int64_t> StepsTo(const std::vector<train::StepRecord>& curve,
                               double threshold) {
  constexpr size_t kMean = 20;
  double sum = 0;
  for (size_t i = 0; i < curve.size(); ++i) {
    sum += curve[i].loss;
    if (i >= kMean) sum -= curve[i - kMean].loss;
    if (i + 1 < kMean) continue;
    if (sum / kMean < threshold) return curve[i].step;
  }
  return std::nullopt;
}

std::vector<Measurement> TrainedLines(Bench& bench) {
  std::vector<Measurement> lines = bench.TaskLines();
  const auto add = [&](const char* metric, double value) {
    lines.push_back({.set = kTraining,
                     .length = bench.curve().back().step,
                     .metric = metric,
                     .value = value});
  };
  add("loss of the first step", bench.curve().front().loss);
  // One that never gets there took more than it had.
  add(kStepsTo,
      static_cast<double>(StepsTo(bench.curve(), Threshold(bench.setting()))
                              .value_or(bench.curve().back().step + 1)));
  const train::Checkpoint checkpoint =
      train::ReadCheckpoint(bench.checkpoint());
  for (const auto& [name, value] : checkpoint.parameters) {
    const bool output = name == "head.weight";
    if (!output && name != "embedding.weight") continue;
    const optim::EmbeddingExtremes extremes = optim::InspectEmbedding(value, 0);
    add(output ? "mean norm of output rows" : "mean norm of embedding rows",
        extremes.mean_row_norm);
    if (!output) add("largest embedding", extremes.max_abs);
  }
  for (Measurement& line : bench.CurveLines()) {
    if (line.metric == "training loss") lines.push_back(std::move(line));
  }
  return lines;
}

std::string TrainedRow(const Mode& mode, bool ordinary) {
  return mode.row + std::string(ordinary ? ", ordinary init" : "");
}

class TiedEmbeddingStudy : public Study {
 public:
  std::string name() const override { return "tied-embedding"; }
  std::string title() const override {
    return "Tied output embeddings: initial loss and its remedies (post 9698)";
  }
  std::string about() const override {
    return "A network that starts near the identity and shares its output "
           "matrix with the embedding begins as a copier of its input: a "
           "token's own logit is d sigma, and the loss with it, far above the "
           "ln n of an even guess. The post's remedies change sigma, untie the "
           "two, or put something between them that makes them uncorrelated. "
           "First the loss of untrained networks against the closed form; then "
           "training at equal budget, three seeds near the identity (DeepNorm) "
           "and one under an ordinary initialisation.";
  }
  bool ByLength() const override { return false; }

  std::vector<ModelSpec> Models(const Setting& s) const override {
    std::vector<ModelSpec> models;
    for (const uint64_t seed : s.seeds) {
      for (const Mode& mode : kModes) {
        models.push_back(ModelOf(s, mode, false, seed));
      }
    }
    for (const Mode& mode : kModes) {
      if (!s.Sweeps()) break;
      models.push_back(ModelOf(s, mode, true, s.seeds.front()));
    }
    return models;
  }

  std::vector<Job> Jobs(const Setting& s,
                        const ModelSpec& model) const override {
    for (const Mode& mode : kModes) {
      for (const bool ordinary : {false, true}) {
        if (ModelOf(s, mode, ordinary, 1).name != model.name) continue;
        return {{.row = TrainedRow(mode, ordinary), .run = TrainedLines}};
      }
    }
    return {};
  }

  std::vector<Job> OwnJobs(const Setting& s) const override {
    std::vector<Job> jobs;
    for (const Mode& mode : kModes) {
      jobs.push_back({.row = StartRow(mode), .run = [&mode, s](Bench&) {
                        return Starts(s, mode.head);
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

CellKey Start(const Mode& mode, const char* metric) {
  return {.row = StartRow(mode),
          .set = kByWidth,
          .length = Standard(mode.head).width,
          .metric = metric};
}

int64_t StepsOf(const Setting& s) {
  return ConfigOf(s, ModelOf(s, kModes[0], false, 1).overrides).steps;
}

// The closed form of the network that is trained.
double TrainedStart(const Setting& s, const Mode& mode) {
  const nn::ModelConfig config =
      ConfigOf(s, ModelOf(s, mode, false, 1).overrides).model;
  return ClosedFormLoss({.head = mode.head,
                         .width = config.E,
                         .vocabulary = config.V,
                         .layers = config.L});
}

CellKey Trained(const Setting& s, const char* row, const char* metric) {
  return {.row = row, .set = kTraining, .length = StepsOf(s), .metric = metric};
}

CellKey FinalLoss(const Setting& s, const std::string& row) {
  return {.row = row, .length = CompactLength(s), .metric = "loss"};
}

std::vector<Claim> TiedEmbeddingStudy::Claims(const Setting& s) const {
  using enum Claim::Relation;
  std::vector<Claim> claims;
  for (const Mode& mode : kModes) {
    const double loss = ClosedFormLoss(Standard(mode.head));
    const bool own = KeepsOwnLogit(mode.head);
    claims.push_back(
        {.text = std::string(mode.row) +
                 ": the initial loss is the closed form's within " +
                 (own ? "2 percent" : "0.1 nats"),
         .left = Start(mode, "initial loss"),
         .relation = kWithin,
         .right = Start(mode, "closed form"),
         .amount = own ? 0.02 * loss : 0.1,
         .required = true});
  }
  claims.push_back({.text = "tied starts as a copier, of 99 percent of its "
                            "inputs",
                    .left = Start(kModes[0], "copies"),
                    .relation = kWithin,
                    .amount = 1,
                    .bound = 100,
                    .required = true});
  claims.push_back({.text = "with halves swapped it copies less than 2 "
                            "percent",
                    .left = Start(kModes[4], "copies"),
                    .relation = kBelow,
                    .bound = 2,
                    .required = true});
  const HeadStart swapped = Standard(Head::kTiedHalfSwap);
  const double ln_n = std::log(static_cast<double>(swapped.vocabulary));
  claims.push_back({.text = "with halves swapped the entropy at the start is "
                            "that of an even guess, but "
                            "for d sigma^2 / 2 + 0.1",
                    .left = Start(kModes[4], "entropy"),
                    .relation = kWithin,
                    .amount = ClosedFormLoss(swapped) - ln_n + 0.1,
                    .bound = ln_n,
                    .required = true});
  for (const Mode& mode : kModes) {
    const bool own = KeepsOwnLogit(mode.head);
    claims.push_back(
        {.text = std::string("at every sigma, width from 128 "
                             "on and vocabulary: ") +
                 mode.row + ": the largest departure is below " +
                 (own ? "2 percent" : "0.1 nats"),
         .left = {.row = StartRow(mode),
                  .set = kEverywhere,
                  .metric = own ? "departure, share" : "departure, nats"},
         .relation = kBelow,
         .bound = own ? 0.02 : 0.1});
  }
  const char* slow = kModes[1].row;
  // The post compares its remedies; the others stand beside them.
  const auto whose = [](const Mode& mode) {
    const bool posts =
        mode.head != Head::kTied && mode.head != Head::kTiedRootWidth;
    return std::string(posts ? "post 9698: " : "not of the post: ");
  };
  for (const Mode& mode : kModes) {
    if (mode.head == Head::kTiedSigma) continue;
    claims.push_back({.text = whose(mode) +
                              "sigma = ln(n)/d needs more steps to a loss of "
                              "0.65 ln n than " +
                              mode.row,
                      .left = Trained(s, mode.row, kStepsTo),
                      .right = Trained(s, slow, kStepsTo)});
  }
  for (const Mode& mode : kModes) {
    if (mode.head == Head::kUntied || mode.head == Head::kTiedSigma) continue;
    claims.push_back({.text = whose(mode) + "the others alike: " + mode.row +
                              " within 20 steps of untied",
                      .left = Trained(s, mode.row, kStepsTo),
                      .relation = kWithin,
                      .right = Trained(s, "untied", kStepsTo),
                      .amount = 20});
  }
  for (const Mode& mode : kModes) {
    if (mode.head == Head::kUntied) continue;
    claims.push_back({.text = whose(mode) + "final loss about the same: " +
                              mode.row + " within 0.05 of untied",
                      .left = FinalLoss(s, mode.row),
                      .relation = kWithin,
                      .right = FinalLoss(s, "untied"),
                      .amount = 0.05});
  }
  claims.push_back({.text = "post 9736: halves swapped slightly better than "
                            "untied",
                    .left = FinalLoss(s, kModes[4].row),
                    .right = FinalLoss(s, "untied")});
  claims.push_back({.text =
                        "not of the posts: tied, orthogonal projection ends "
                        "below tied",
                    .left = FinalLoss(s, "tied, orthogonal projection"),
                    .right = FinalLoss(s, "tied")});
  return claims;
}

// "> 800" where a seed never got there.
report::Cell StepsCell(const Measurements& measured, const CellKey& key) {
  for (const Measurement& line : measured.lines()) {
    if (line.row == key.row && line.metric == key.metric &&
        line.value > static_cast<double>(key.length)) {
      return "> " + std::to_string(key.length);
    }
  }
  return ShowCell(measured.lines(), key);
}

std::vector<NamedTable> TiedEmbeddingStudy::Tables(
    const Setting& s, const Measurements& measured) const {
  report::Table table(
      {{.name = "head"},
       {.name = "init"},
       {.name = "closed form", .digits = 3},
       {.name = "first step", .align = report::Align::kRight},
       {.name = kStepsTo, .align = report::Align::kRight},
       {.name = "final loss", .align = report::Align::kRight},
       {.name = "norm of a row", .align = report::Align::kRight}});
  for (const bool ordinary : {false, true}) {
    for (const Mode& mode : kModes) {
      const std::string row = TrainedRow(mode, ordinary);
      const auto cell = [&](const CellKey& key) {
        return ShowCell(measured.lines(), key);
      };
      const report::Cell loss = cell(FinalLoss(s, row));
      if (!Summarise(measured.lines(), FinalLoss(s, row))) continue;
      table.AddRow(
          {mode.row, ordinary ? "ordinary" : "DeepNorm",
           ordinary ? report::Cell() : report::Cell(TrainedStart(s, mode)),
           cell(Trained(s, row.c_str(), "loss of the first step")),
           StepsCell(measured, Trained(s, row.c_str(), kStepsTo)), loss,
           cell(Trained(s, row.c_str(), "mean norm of embedding rows"))});
    }
  }
  return {{"Training at equal budget", table,
           "Losses in nats a token, the final one on held-out text. The closed "
           "form is that of the trained network's width and vocabulary."}};
}

std::vector<Figure> TiedEmbeddingStudy::Figures(
    const Setting&, const Measurements& measured) const {
  const auto& lines = measured.lines();
  std::vector<Figure> figures;
  const auto draw = [&](const char* set, const char* name,
                        const std::string& title, const std::string& label,
                        double unit) {
    report::LinePlot plot{.title = title,
                          .x = {.label = label, .scale = report::Scale::kLog2},
                          .y = {.label = "initial loss, nats"},
                          .zoom = report::Zoom::kNever};
    for (const Mode& mode : kModes) {
      // Three lines say it; the other modes lie on one of them.
      for (const std::string metric : {"closed form", "initial loss"}) {
        const bool theory = metric == "closed form";
        report::Series series{
            .name = mode.row + std::string(theory ? ", closed form" : ""),
            .draw = theory ? report::Draw::kLine : report::Draw::kPoints};
        for (const Measurement& line : lines) {
          if (line.row != StartRow(mode) || line.set != set ||
              line.metric != metric) {
            continue;
          }
          series.points.push_back({.x = unit * static_cast<double>(line.length),
                                   .y = line.value,
                                   .error = line.error});
        }
        const bool shown = mode.head == Head::kTied ||
                           mode.head == Head::kUntied ||
                           mode.head == Head::kTiedHalfSwap ||
                           mode.head == Head::kTiedRootWidth ||
                           (mode.head == Head::kTiedSigma && set != kBySigma);
        if (shown && !series.points.empty()) {
          plot.series.push_back(std::move(series));
        }
      }
    }
    figures.push_back({name, report::ToPicture(plot),
                       "Points: untrained networks of 4 gated attention units, "
                       "mean over 3072 pairs of input and target. Dashed: the "
                       "closed form. What does not vary is d = 256, n = 2048, "
                       "sigma = L^(-1/3) / sqrt(d)."});
  };
  draw(kBySigma, "start-by-sigma", "Initial loss by the embedding's deviation",
       "sigma, thousandths", 1e-3);
  draw(kByWidth, "start-by-width", "Initial loss by width", "d", 1);
  draw(kByVocabulary, "start-by-vocabulary", "Initial loss by vocabulary", "n",
       1);
  for (const bool ordinary : {false, true}) {
    std::vector<std::string> rows;
    for (const Mode& mode : kModes) rows.push_back(TrainedRow(mode, ordinary));
    figures.push_back(
        {ordinary ? "training-ordinary" : "training",
         CurvePlot(lines, rows, "curve", "training loss",
                   ordinary ? "Training loss, ordinary init"
                            : "Training loss, DeepNorm init",
                   "loss, nats a token"),
         "Mean over the steps since the point before, and over seeds."});
  }
  return figures;
}

}  // namespace

const Study& TiedEmbedding() {
  static const TiedEmbeddingStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
