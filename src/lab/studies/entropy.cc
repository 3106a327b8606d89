// Posts 9588, 8823 and 9034: why attention's scores should grow with log n.

#include <algorithm>
#include <cmath>

#include "base/interrupt.h"
#include "evaluate/attention_entropy.h"
#include "lab/studies/bench.h"
#include "lab/studies/entropy_simulation.h"
#include "lab/studies/figures.h"
#include "lab/studies/length_models.h"
#include "lab/studies/random_projection.h"
#include "lab/studies/studies.h"
#include "position/scheme.h"
#include "report/line_plot.h"
#include "report/number.h"

namespace ropewalk::lab::studies {
namespace {

constexpr double kDeviations[] = {1, 3, 5};
constexpr int64_t kSimulated[] = {512, 4096, 16384};
constexpr int64_t kWidths[] = {8, 16, 32, 64, 128, 256, 512};
constexpr int64_t kVectors[] = {64, 512, 1000};

// Trained four times shorter than the other studies' models.
int64_t Short(const Setting& s) { return s.N / 4; }

std::vector<int64_t> ShortLengths(const Setting& s) {
  std::vector<int64_t> lengths;
  for (int64_t times = 1; times <= 16; times *= 2) {
    lengths.push_back(times * Short(s));
  }
  return lengths;
}

// As many tokens a step as the base.
ModelSpec ShortModel(const Setting& s, const std::string& name, bool masked,
                     bool logn) {
  ModelSpec spec{
      .name = name,
      .overrides = {
          "model.length=" + std::to_string(Short(s)),
          "train.batch=" + std::to_string(4 * ConfigOf(s).batch),
          "data.repeat_fraction=0",
          std::string("model.position=rope") + (logn ? "+logn" : "")}};
  if (masked) {
    std::string lengths;
    for (const int64_t length : ShortLengths(s)) {
      lengths += (lengths.empty() ? "" : ", ") + std::to_string(length);
    }
    for (const char* more :
         {"data.task=mlm", "model.mask=bidirectional", "export.types=[]"}) {
      spec.overrides.emplace_back(more);
    }
    spec.overrides.push_back("evaluate.lengths=[" + lengths + "]");
    spec.overrides.push_back("evaluate.documents=" +
                             std::to_string(s.Sweeps() ? 256 : 16));
  }
  return spec;
}

std::string SimulationRow(double deviation, bool logn) {
  return "scores of deviation " + std::to_string(std::lround(deviation)) +
         (logn ? ", log n" : ", constant");
}

class EntropyStudy : public Study {
 public:
  std::string name() const override { return "entropy"; }
  std::string title() const override {
    return "Entropy-invariant attention: log n and Johnson-Lindenstrauss "
           "(posts 9588, 8823, 9034)";
  }
  std::string about() const override {
    return "A softmax over more keys is flatter unless scores grow with log n. "
           "Masked and causal language models trained to N/4 tokens are read "
           "at up to 4 N, with the scale and without (Attention-E and "
           "Attention-O of the post). Beside them what the derivation rests "
           "on: entropies of random scores, the entropy of a trained model's "
           "attention by length, and random projections, whose worst error "
           "says how many dimensions n vectors need.";
  }

  std::string published_on() const override {
    return "accuracy in percent of masked tokens, RoFormer-small trained to 64 "
           "tokens; entropies in nats, computed in float64 from the derivation";
  }

  std::vector<ModelSpec> Models(const Setting& s) const override {
    return {ShortModel(s, "mlm-short", true, false),
            ShortModel(s, "mlm-short-logn", true, true),
            ShortModel(s, "lm-short", false, false),
            ShortModel(s, "lm-short-logn", false, true),
            BaseModel(s.seeds.front()),
            BaseLognModel(s.seeds.front())};
  }

  std::vector<Job> Jobs(const Setting& s,
                        const ModelSpec& model) const override {
    if (model.name == "mlm-short") {
      return {{.row = "MLM Attention-O",
               .run = [](Bench& bench) { return bench.TaskLines(); }}};
    }
    if (model.name == "mlm-short-logn") {
      return {{.row = "MLM Attention-E",
               .run = [](Bench& bench) { return bench.TaskLines(); }}};
    }
    const std::vector<int64_t> lengths = ShortLengths(s);
    if (model.name == "lm-short") {
      return {ScoreJob("LM constant scale", "rope", lengths, {}),
              ScoreJob("LM constant scale, window",
                       With("window:size=", Short(s)), lengths, {}),
              ScoreJob("LM constant scale, ReRoPE",
                       With("rerope:window=", Short(s) / 2), lengths, {}),
              ScoreJob("LM log n afterwards, ReRoPE",
                       With("rerope:window=", Short(s) / 2) + "+logn-clip",
                       lengths, {})};
    }
    if (model.name == "lm-short-logn") {
      return {ScoreJob("LM log n", "rope+logn", lengths, {}),
              ScoreJob("LM log n, window",
                       With("window:size=", Short(s)) + "+logn", lengths, {}),
              ScoreJob("LM log n, ReRoPE",
                       With("rerope:window=", Short(s) / 2) + "+logn", lengths,
                       {})};
    }
    if (model.name == "base") return AttentionJobs(s);
    return {AttentionJob(s, "attention, rope logn", "rope+logn"),
            AttentionJob(s, "attention, rerope logn",
                         With("rerope:window=", s.N / 2) + "+logn")};
  }

  std::vector<Job> GivenJobs(const Setting& s) const override {
    std::vector<Job> jobs = AttentionJobs(s);
    jobs.push_back(ScoreJob("Baseline", "rope", {s.N, 8 * s.N}, {}));
    return jobs;
  }

  std::vector<Job> OwnJobs(const Setting& s) const override {
    std::vector<Job> jobs;
    for (const double deviation : kDeviations) {
      for (const bool logn : {false, true}) {
        jobs.push_back({.row = SimulationRow(deviation, logn),
                        .run = [deviation, logn](Bench&) {
                          return Simulate(deviation, logn);
                        }});
      }
    }
    jobs.push_back({.row = "a factor on the scores",
                    .run = [](Bench&) { return Control(); }});
    for (const int64_t n : kVectors) {
      if (!s.Sweeps() && n > 512) continue;
      jobs.push_back({.row = "projection of " + std::to_string(n) + " vectors",
                      .run = [n](Bench&) { return Project(n); }});
    }
    return jobs;
  }

  std::vector<Claim> Claims(const Setting& s) const override {
    using enum Claim::Relation;
    const int64_t short_length = Short(s);
    std::vector<Claim> claims;
    const auto mlm = [&](const char* row, int64_t times) {
      return CellKey{.row = row, .set = "mlm", .length = times * short_length};
    };
    claims.push_back(
        {.text = "MLM, Attention-E within 0.3 points of Attention-O at the "
                 "trained length",
         .left = mlm("MLM Attention-E", 1),
         .relation = kWithin,
         .right = mlm("MLM Attention-O", 1),
         .amount = 0.3});
    for (const int64_t times : {2, 4, 8, 16}) {
      claims.push_back({.text = "MLM, Attention-O below Attention-E at " +
                                std::to_string(times) +
                                " times the trained length",
                        .left = mlm("MLM Attention-O", times),
                        .right = mlm("MLM Attention-E", times)});
    }
    for (const int64_t times : {2, 4, 8}) {
      claims.push_back({.text = "LM, constant scale below log n at " +
                                std::to_string(times) +
                                " times the trained length",
                        .left = At("LM constant scale", times * short_length),
                        .right = At("LM log n", times * short_length)});
    }
    claims.push_back(
        {.text = "LM read with ReRoPE at 16 times, constant at most log n",
         .left = At("LM constant scale, ReRoPE", 16 * short_length),
         .relation = kAtMost,
         .right = At("LM log n, ReRoPE", 16 * short_length)});
    claims.push_back(
        {.text = "LM read with ReRoPE at 16 times, constant at most log n "
                 "given afterwards",
         .left = At("LM constant scale, ReRoPE", 16 * short_length),
         .relation = kAtMost,
         .right = At("LM log n afterwards, ReRoPE", 16 * short_length)});
    claims.push_back({.text = "a window below ReRoPE with log n at 16 times",
                      .left = At("LM log n, window", 16 * short_length),
                      .right = At("LM log n, ReRoPE", 16 * short_length)});
    const auto simulated = [](bool logn, int64_t n) {
      return CellKey{.row = SimulationRow(3, logn),
                     .set = "simulated",
                     .length = n,
                     .metric = "entropy"};
    };
    claims.push_back({.text = "with log n the entropy of scores of "
                              "deviation 3 moves less than 0.5 from 512 to "
                              "16384 keys",
                      .left = simulated(true, 512),
                      .relation = kWithin,
                      .right = simulated(true, 16384),
                      .amount = 0.5,
                      .required = true});
    claims.push_back({.text = "with a constant scale it rises by more than "
                              "2",
                      .left = simulated(false, 512),
                      .right = simulated(false, 16384),
                      .amount = 2,
                      .required = true});
    const auto factor = [](const char* metric, int64_t permille) {
      return CellKey{.row = "a factor on the scores",
                     .set = "control",
                     .length = permille,
                     .metric = metric};
    };
    claims.push_back({.text = "a factor of 4 does not move the entropy of "
                              "relu^2 attention",
                      .left = factor("relu^2 entropy", 1000),
                      .relation = kEqual,
                      .right = factor("relu^2 entropy", 4000),
                      .amount = 1e-9,
                      .required = true});
    claims.push_back(
        {.text = "it moves the entropy of softmax attention by more than 1",
         .left = factor("softmax entropy", 4000),
         .right = factor("softmax entropy", 1000),
         .amount = 1,
         .required = true});
    return claims;
  }

  std::vector<Figure> Figures(const Setting& s,
                              const Measurements& measured) const override;

 private:
  static std::vector<Job> AttentionJobs(const Setting& s) {
    const std::string rerope = With("rerope:window=", s.N / 2);
    return {AttentionJob(s, "attention, rope", "rope"),
            AttentionJob(s, "attention, rerope", rerope),
            AttentionJob(s, "attention, rerope logn†", rerope + "+logn-clip")};
  }

  static Job AttentionJob(const Setting& s, const std::string& row,
                          const std::string& law) {
    const int64_t N = s.N;
    return {.row = row, .run = [law, N](Bench& bench) {
              return AttentionEntropy(bench, law,
                                      {N / 4, N / 2, N, 2 * N, 4 * N, 8 * N});
            }};
  }

  static std::vector<Measurement> AttentionEntropy(
      Bench& bench, const std::string& law,
      const std::vector<int64_t>& lengths);

  static std::vector<Measurement> Simulate(double deviation, bool logn) {
    std::vector<Measurement> lines;
    const position::ScoreScale scale{
        .kind = logn ? position::ScoreScale::Kind::kLogN
                     : position::ScoreScale::Kind::kNone};
    constexpr int64_t kTrials = 200;
    for (const int64_t n : kSimulated) {
      const EntropyEstimate estimate = SimulatedEntropy(
          {.keys = n, .score_deviation = deviation, .trials = kTrials}, scale);
      lines.push_back({.set = "simulated",
                       .length = n,
                       .metric = "entropy",
                       .value = estimate.mean,
                       .error = estimate.standard_error,
                       .count = kTrials});
    }
    return lines;
  }

  // The length of a line is 1000 times the factor.
  static std::vector<Measurement> Control() {
    const std::vector<double> factors = {0.25, 0.5, 1, 2, 4};
    std::vector<Measurement> lines;
    for (const EntropyAtLambda& row : EntropyByLambda({}, factors)) {
      Measurement line{.set = "control",
                       .length = std::lround(1000 * row.lambda),
                       .metric = "softmax entropy",
                       .value = row.softmax};
      lines.push_back(line);
      line.metric = "relu^2 entropy";
      line.value = row.relu_squared;
      lines.push_back(line);
    }
    return lines;
  }

  // The length of a line is the width projected to.
  static std::vector<Measurement> Project(int64_t n) {
    std::vector<Measurement> lines;
    for (const ProjectionErrors& row : ProjectionTable({&n, 1}, kWidths)) {
      Measurement line{.set = "projection",
                       .length = row.projected,
                       .metric = "mean error",
                       .value = row.mean_error,
                       .count = n * (n - 1) / 2};
      lines.push_back(line);
      line.metric = "max error";
      line.value = row.max_error;
      lines.push_back(line);
      line.metric = "max distortion";
      line.value = row.max_distortion;
      lines.push_back(line);
    }
    return lines;
  }
};

std::vector<Measurement> EntropyStudy::AttentionEntropy(
    Bench& bench, const std::string& law, const std::vector<int64_t>& lengths) {
  // Entropy varies little between documents, and costs float64 loops.
  constexpr size_t kDocuments = 16;
  const auto& all = bench.documents();
  const std::vector<evaluate::Document> documents(
      all.begin(),
      all.begin() + static_cast<ptrdiff_t>(std::min(kDocuments, all.size())));
  std::vector<Measurement> lines;
  for (const evaluate::EntropyRow& row : evaluate::MeasureAttentionEntropy(
           bench.model(), documents,
           {.schemes = {position::ParseScheme(law)},
           .spellings = {law},
           .lengths = lengths},
           [](int64_t, const Workload&) { ThrowIfInterrupted(); })) {
    if (row.layer >= 0) continue;
    lines.push_back({.position = row.resolved,
                     .set = "attention",
                     .length = row.length,
                     .metric = "entropy",
                     .value = row.entropy,
                     .error = row.entropy_stderr,
                     .count = row.documents});
  }
  return lines;
}

std::vector<Figure> EntropyStudy::Figures(const Setting& s,
                                          const Measurements& measured) const {
  const auto& lines = measured.lines();
  Setting trained = s;
  trained.N = Short(s);
  std::vector<Figure> figures;
  figures.push_back({"mlm",
                     LengthPlot(lines, trained, "accuracy",
                                {"MLM Attention-O", "MLM Attention-E"},
                                "Masked language models by length", "mlm"),
                     "Accuracy of masked tokens of held-out text."});
  figures.push_back(
      {"lm",
       LengthPlot(lines, trained, "accuracy",
                  {"LM constant scale", "LM log n", "LM constant scale, ReRoPE",
                   "LM log n afterwards, ReRoPE", "LM log n, ReRoPE"},
                  "Causal language models by length"),
       "Natural text."});
  report::LinePlot projection{
      .title = "Random projections: worst error of an inner product",
      .x = {.label = "dimensions d", .scale = report::Scale::kLog2},
      .y = {.label = "largest |error| over all pairs"},
      .zoom = report::Zoom::kNever};
  for (const int64_t n : kVectors) {
    report::Series series{.name = std::to_string(n) + " vectors"};
    const std::string row = "projection of " + std::to_string(n) + " vectors";
    for (const Measurement& line : lines) {
      if (line.row != row || line.metric != "max error") continue;
      series.points.push_back(
          {.x = static_cast<double>(line.length), .y = line.value});
    }
    if (series.points.empty()) continue;
    projection.series.push_back(std::move(series));
    projection.x_markers.push_back(
        {.at = IdealWidth(n), .label = "8 ln " + std::to_string(n)});
  }
  figures.push_back(
      {"attention-entropy",
       LengthPlot(
           lines, s, "entropy",
           {"attention, rope", "attention, rerope", "attention, rerope logn†",
            "attention, rope logn", "attention, rerope logn"},
           "Entropy of a trained model's attention", "attention"),
       "Mean over layers, heads and the last queries of each "
       "length, in nats."});
  figures.push_back({"projection", report::ToPicture(projection),
                     "The post reckons with 8 ln n dimensions for n vectors."});
  return figures;
}

}  // namespace

const Study& Entropy() {
  static const EntropyStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
