// Posts 9675 and 9706: other frequencies instead of other distances.

#include <cmath>
#include <utility>

#include "lab/studies/bench.h"
#include "lab/studies/figures.h"
#include "lab/studies/length_models.h"
#include "lab/studies/studies.h"
#include "report/line_plot.h"
#include "report/number.h"

namespace ropewalk::lab::studies {
namespace {

// Evaluations of the search; each shrinks the interval by 0.618.
constexpr int kSearchSteps = 8;
constexpr int64_t kSearchDocuments = 16;

std::string MixedSpelling(double b) {
  return "ntk-mixed:factor=8,b=" +
         report::FormatValue(b, report::NumberStyle::kPlain, 4);
}

// The b of mixed-base RoPE with the least loss at 8 N, by golden sections of
// [0, 1]: b = 0 is position interpolation, b = 1 is NTK-fixed.
std::vector<Measurement> SearchMixedBase(Bench& bench) {
  const int64_t far = 8 * bench.setting().N;
  std::vector<Measurement> lines;
  const auto loss_at = [&](double b) {
    const double loss = bench.Loss(MixedSpelling(b), far, kSearchDocuments);
    lines.push_back({.row = "NTK-mixed search",
                     .position = MixedSpelling(b),
                     .set = "search",
                     .length = std::lround(1000 * b),
                     .metric = "loss",
                     .value = loss});
    return loss;
  };
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = 0;
  double high = 1;
  double left = high - golden * (high - low);
  double right = low + golden * (high - low);
  double at_left = loss_at(left);
  double at_right = loss_at(right);
  for (int step = 2; step < kSearchSteps; ++step) {
    if (at_left < at_right) {
      high = std::exchange(right, left);
      at_right = at_left;
      left = high - golden * (high - low);
      at_left = loss_at(left);
    } else {
      low = std::exchange(left, right);
      at_left = at_right;
      right = low + golden * (high - low);
      at_right = loss_at(right);
    }
  }
  const double best = at_left < at_right ? left : right;
  for (const Measurement& line :
       bench.ScoreLengths(MixedSpelling(best), {far}, {far})) {
    lines.push_back(line);
  }
  lines.push_back({.position = MixedSpelling(best),
                   .set = "search",
                   .length = far,
                   .metric = "b",
                   .value = best});
  return lines;
}

class NtkStudy : public Study {
 public:
  std::string name() const override { return "ntk"; }
  std::string title() const override {
    return "NTK and mixed-base RoPE: other frequencies, no training (posts "
           "9675, 9706)";
  }
  std::string about() const override {
    return "The same two models as in the study rerope, read at 8 N with "
           "slower frequencies. Position interpolation slows all of them by 8, "
           "NTK-old changes the base, NTK-fixed the last period as well, "
           "NTK-mixed spreads the factor by exp(a m^b). b = 0.625 was found on "
           "the post's model; \"best\" is what golden sections find on this "
           "one, "
           "by the loss of the first 16 pieces of text. YaRN is that of "
           "Hugging "
           "Face and llama.cpp; post 9859 has another ramp.";
  }

  std::vector<ModelSpec> Models(const Setting& setting) const override {
    return BaseModels(setting);
  }

  std::vector<Job> Jobs(const Setting& setting,
                        const ModelSpec& model) const override {
    return JobsOf(setting, model.name == "base-logn" ? "+logn" : "",
                  model.seed == 1);
  }

  std::vector<Job> GivenJobs(const Setting& setting) const override {
    return JobsOf(setting, setting.scale_suffix, true);
  }

  std::vector<Claim> Claims(const Setting& s) const override {
    using enum Claim::Relation;
    const int64_t far = 8 * s.N;
    std::vector<Claim> claims;
    const auto add = [&](const std::string& left, Claim::Relation relation,
                         const std::string& right, bool repeated = false) {
      claims.push_back(
          {.text = left + (relation == kBelow ? " below " : " at most ") +
                   right + (repeated ? ", repeated text" : ""),
           .left = repeated ? RepeatedAt(left, far) : At(left, far),
           .relation = relation,
           .right = repeated ? RepeatedAt(right, far) : At(right, far)});
    };
    add("PI", kBelow, "Baseline");
    add("Baseline", kBelow, "NTK-old");
    add("NTK-old", kAtMost, "NTK-fixed");
    add("NTK-fixed", kBelow, "NTK-mixed");
    add("NTK-mixed", kAtMost, "NTK-mixed best");
    add("NTK-mixed", kBelow, "ReRoPE w=N/2");
    add("YaRN", kAtMost, "ReRoPE w=N/2");
    add("window N", kBelow, "ReRoPE w=N/2");
    for (const std::string row : {"NTK-fixed", "NTK-mixed"}) {
      add(row, kAtMost, row + " logn†");
      add(row + " logn†", kAtMost, row + " logn");
      add(row, kBelow, row + " logn†", true);
      add(row + " logn†", kBelow, row + " logn", true);
    }
    add("Baseline", kAtMost, "Baseline logn");
    add("NTK-fixed", kBelow, "NTK-mixed", true);
    for (const bool repeated : {false, true}) {
      add("NTK-fixed logn†", kBelow, "NTK-mixed logn†", repeated);
      add("PI logn", kBelow, "Baseline logn", repeated);
      add("Baseline logn", kBelow, "NTK-old logn", repeated);
      add("NTK-old logn", kAtMost, "NTK-fixed logn", repeated);
      add("NTK-fixed logn", kBelow, "NTK-mixed logn", repeated);
      add("NTK-mixed logn", kBelow, "YaRN logn", repeated);
      add("NTK-mixed logn", kBelow, "ReRoPE w=N/2 logn", repeated);
      add("YaRN logn", kAtMost, "ReRoPE w=N/2 logn", repeated);
      add("window N logn", kBelow, "ReRoPE w=N/2 logn", repeated);
    }
    for (const char* row :
         {"PI", "NTK-old", "NTK-fixed", "NTK-mixed", "YaRN"}) {
      claims.push_back(
          {.text = std::string("identity: at N the factor is 1 and ") + row +
                   " is plain RoPE",
           .left = LossAt(row, s.N),
           .relation = kEqual,
           .right = LossAt("Baseline", s.N),
           .amount = 1e-6,
           .required = true});
    }
    return claims;
  }

  std::vector<Figure> Figures(const Setting& s,
                              const Measurements& measured) const override {
    // The length of a search's line is 1000 b.
    std::vector<Measurement> search;
    for (Measurement line : measured.lines()) {
      if (line.row != "NTK-mixed search" || line.set != "search") continue;
      line.row = line.model;
      search.push_back(std::move(line));
    }
    std::vector<SweepLine> models;
    for (const Measurement& line : search) {
      if (models.empty() || models.back().name != line.model) {
        models.push_back({.name = line.model});
      }
    }
    return {{"by-length",
             LengthPlot(measured.lines(), s, "loss",
                        {"Baseline", "PI", "NTK-fixed", "NTK-mixed", "YaRN",
                         "Dynamic NTK", "ReRoPE w=N/2", "window N"},
                        "Loss of the same last N targets"),
             "Natural text, the model without log n."},
            {"mixed-base", SearchPlot(search, models),
             "Loss at 8N against b, each point an evaluation of the search."}};
  }

 private:
  // `end` is the scale that the model was trained with; `all_laws` false leaves
  // those that say how wide seeds spread.
  static std::vector<Job> JobsOf(const Setting& s, const std::string& end,
                                 bool all_laws) {
    const int64_t N = s.N;
    const std::vector<int64_t> all = {N, 2 * N, 4 * N, 8 * N};
    const std::vector<int64_t> far = {8 * N};
    const bool logn = !end.empty();
    const std::string name = logn ? " logn" : "";
    std::vector<Job> jobs = {
        ScoreJob("Baseline" + name, "rope" + end, all, far),
        ScoreJob("window N" + name, With("window:size=", N) + end, all, far),
        ScoreJob("ReRoPE w=N/2" + name, With("rerope:window=", N / 2) + end,
                 all, far)};
    struct Law {
      const char* row;
      const char* spelling;
      bool always;
    };
    // Factors by default are L / N: at each length what it takes.
    for (const Law& law :
         {Law{"PI", "pi", false}, Law{"NTK-old", "ntk-old", false},
          Law{"NTK-fixed", "ntk-fixed", true},
          Law{"NTK-mixed", "ntk-mixed", true}, Law{"YaRN", "yarn", false},
          Law{"Dynamic NTK", "dynamic-ntk", false}}) {
      if (!all_laws && !law.always) continue;
      jobs.push_back(ScoreJob(law.row + name, law.spelling + end, all, far));
      if (logn) continue;
      jobs.push_back(ScoreJob(law.row + std::string(" logn†"),
                              law.spelling + std::string("+logn-clip"), far,
                              far));
    }
    if (all_laws && !logn) {
      jobs.push_back({.row = "NTK-mixed best", .run = SearchMixedBase});
    }
    return jobs;
  }

  static report::Picture SearchPlot(const std::vector<Measurement>& search,
                                    const std::vector<SweepLine>& models) {
    report::LinePlot plot{.title = "Mixed base: loss at 8N",
                          .x = {.label = "b"},
                          .y = {.label = "loss, nats a token"},
                          .zoom = report::Zoom::kNever};
    for (const SweepLine& model : models) {
      report::Series series{.name = model.name};
      for (const Measurement& line : search) {
        if (line.model != model.name) continue;
        series.points.push_back(
            {.x = static_cast<double>(line.length) / 1000, .y = line.value});
      }
      plot.series.push_back(std::move(series));
    }
    return report::ToPicture(plot);
  }
};

}  // namespace

const Study& Ntk() {
  static const NtkStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
