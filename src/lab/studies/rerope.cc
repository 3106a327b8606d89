// Post 9708: a trained RoPE model at eight times its length, no fine-tuning.

#include <array>

#include "lab/studies/bench.h"
#include "lab/studies/figures.h"
#include "lab/studies/length_models.h"
#include "lab/studies/studies.h"

namespace ropewalk::lab::studies {
namespace {

// Windows as shares of N, with the names that rows have.
struct Window {
  const char* name;
  int64_t eighths;
};
constexpr std::array<Window, 6> kWindows = {
    {{"N/8", 1}, {"N/4", 2}, {"N/2", 4}, {"3N/4", 6}, {"7N/8", 7}, {"N", 8}}};
constexpr std::array<int64_t, 4> kFactors = {64, 32, 16, 8};

std::string ReRopeRow(const char* window, const char* logn) {
  return std::string("ReRoPE w=") + window + logn;
}

class ReRopeStudy : public Study {
 public:
  std::string name() const override { return "rerope"; }
  std::string title() const override {
    return "ReRoPE and Leaky ReRoPE: read 8 times further without training "
           "(post 9708)";
  }
  std::string about() const override {
    return "One model was trained to N tokens with rotary positions, a second "
           "one with the log n scale as well. Both are read at up to 8 N under "
           "laws that they were never trained with. The last N targets of each "
           "document are scored at every length, so a longer context can only "
           "help a model that uses it. Repeated text is the last N tokens over "
           "and over: it measures copying from far away. \"logn\" was trained "
           "with the scale, \"logn†\" is given it afterwards.";
  }

  std::vector<ModelSpec> Models(const Setting& setting) const override {
    return BaseModels(setting);
  }

  std::vector<Job> Jobs(const Setting& setting,
                        const ModelSpec& model) const override {
    return model.name == "base" ? PlainJobs(setting, model.seed == 1)
                                : LognJobs(setting, model.seed == 1);
  }

  std::vector<Job> GivenJobs(const Setting& setting) const override {
    return setting.scale_suffix.empty() ? PlainJobs(setting, true)
                                        : LognJobs(setting, true);
  }

  std::vector<Claim> Claims(const Setting& setting) const override;
  std::vector<Figure> Figures(const Setting& setting,
                              const Measurements& measured) const override;

 private:
  // What all but the last 16 tokens are worth.
  static Job WindowJob(int64_t N) {
    const std::string law = "window:size=16";
    return {.row = "window 16", .lines = 3, .run = [law, N](Bench& bench) {
              std::vector<Measurement> lines = bench.ScoreLengths(law, {N}, {});
              lines.push_back(
                  bench.LossAbove(law, "rope", Bench::Set::kNatural, N));
              return lines;
            }};
  }

  static std::vector<Job> PlainJobs(const Setting& s, bool sweeps) {
    const int64_t N = s.N;
    const std::vector<int64_t> all = {N, 2 * N, 4 * N, 8 * N};
    const std::vector<int64_t> far = {8 * N};
    std::vector<Job> jobs = {
        ScoreJob("Baseline", "rope", all, far),
        ScoreJob("window N", With("window:size=", N), all, far), WindowJob(N),
        ScoreJob("NTK-mixed", "ntk-mixed:factor=8", far, far)};
    for (const Window& w : kWindows) {
      const std::string spelling = With("rerope:window=", w.eighths * N / 8);
      const bool main = w.eighths == 2 || w.eighths == 4;
      const bool swept = main || (sweeps && s.Sweeps());
      if (!swept && !(w.eighths == 8 && s.Sweeps())) continue;
      jobs.push_back(
          ScoreJob(ReRopeRow(w.name, ""), spelling, main ? all : far, far));
      if (!swept) continue;
      jobs.push_back(ScoreJob(ReRopeRow(w.name, " logn†"),
                              spelling + "+logn-clip", main ? all : far, far));
    }
    if (s.Sweeps()) {
      // The largest distance that training has.
      jobs.push_back(ScoreJob(ReRopeRow("N-1", ""),
                              With("rerope:window=", N - 1), far, far));
    }
    if (!sweeps) return jobs;
    jobs.push_back(
        ScoreJob("window N/2", With("window:size=", N / 2), far, far));
    jobs.push_back(ScoreJob("PI", "pi:factor=8", far, far));
    jobs.push_back(ScoreJob("NTK-old", "ntk-old:factor=8", far, far));
    jobs.push_back(ScoreJob("NTK-fixed", "ntk-fixed:factor=8", far, far));
    jobs.push_back(
        ScoreJob("NTK-fixed logn†", "ntk-fixed:factor=8+logn-clip", far, far));
    jobs.push_back(
        ScoreJob("NTK-mixed logn†", "ntk-mixed:factor=8+logn-clip", far, far));
    jobs.push_back(ScoreJob("YaRN", "yarn:factor=8", far, far));
    for (const int64_t k : kFactors) {
      if (!s.Sweeps()) continue;
      jobs.push_back(ScoreJob(
          "Leaky w=N/4 k=" + std::to_string(k),
          With("leaky-rerope:window=", N / 4) + With(",k=", k), far, far));
    }
    AddAlong("Baseline along", "rope", 8 * N, jobs);
    AddAlong("ReRoPE w=N/2 along", With("rerope:window=", N / 2), 8 * N, jobs);
    AddAlong("window N along", With("window:size=", N), 8 * N, jobs);
    return jobs;
  }

  static std::vector<Job> LognJobs(const Setting& s, bool sweeps) {
    const int64_t N = s.N;
    const std::vector<int64_t> all = {N, 2 * N, 4 * N, 8 * N};
    const std::vector<int64_t> far = {8 * N};
    // A given model may have another base, or a learned scale.
    const std::string end = s.scale_suffix.empty() ? "+logn" : s.scale_suffix;
    std::vector<Job> jobs = {
        ScoreJob("Baseline logn", "rope" + end, all, far),
        ScoreJob("window N logn", With("window:size=", N) + end, {N, 8 * N},
                 far),
        ScoreJob("NTK-mixed logn", "ntk-mixed:factor=8" + end, far, far)};
    for (const Window& w : kWindows) {
      const bool main = w.eighths == 2 || w.eighths == 4;
      if (!main && !(sweeps && s.Sweeps())) continue;
      jobs.push_back(ScoreJob(ReRopeRow(w.name, " logn"),
                              With("rerope:window=", w.eighths * N / 8) + end,
                              main ? all : far, far));
    }
    if (!sweeps) return jobs;
    jobs.push_back(ScoreJob("PI logn", "pi:factor=8" + end, far, far));
    jobs.push_back(
        ScoreJob("NTK-old logn", "ntk-old:factor=8" + end, far, far));
    jobs.push_back(
        ScoreJob("NTK-fixed logn", "ntk-fixed:factor=8" + end, far, far));
    jobs.push_back(ScoreJob("YaRN logn", "yarn:factor=8" + end, far, far));
    for (const auto& [name, share] : {std::pair{"N/4", 4}, {"N/2", 2}}) {
      for (const int64_t k : kFactors) {
        jobs.push_back(ScoreJob(
            std::string("Leaky w=") + name + " logn k=" + std::to_string(k),
            With("leaky-rerope:window=", N / share) + With(",k=", k) + end, far,
            far));
      }
    }
    AddAlong("ReRoPE w=N/2 logn along", With("rerope:window=", N / 2) + end,
             8 * N, jobs);
    return jobs;
  }

  // What the posts have of the model that was trained with log n.
  static void AddLognClaims(const Setting& s, std::vector<Claim>& claims);

  static void AddAlong(const std::string& row, const std::string& spelling,
                       int64_t length, std::vector<Job>& jobs) {
    jobs.push_back({.row = row, .run = [spelling, length](Bench& bench) {
                      return bench.ScoreAlong(spelling, length);
                    }});
  }
};

void ReRopeStudy::AddLognClaims(const Setting& s, std::vector<Claim>& claims) {
  const int64_t N = s.N;
  const int64_t far = 8 * N;
  // As published, from the worst to the best, on both kinds of text.
  constexpr std::array<const char*, 7> kOrder = {
      "PI logn",        "Baseline logn", "NTK-old logn",     "NTK-fixed logn",
      "NTK-mixed logn", "YaRN logn",     "ReRoPE w=N/4 logn"};
  for (const bool repeated : {false, true}) {
    const auto at = [&](const std::string& row) {
      return repeated ? RepeatedAt(row, far) : At(row, far);
    };
    const std::string on = repeated ? ", repeated text" : ", natural text";
    for (size_t i = 0; i + 1 < kOrder.size(); ++i) {
      claims.push_back({.text = std::string("log n trained: ") + kOrder[i] +
                                " below " + kOrder[i + 1] + on,
                        .left = at(kOrder[i]),
                        .right = at(kOrder[i + 1])});
    }
    claims.push_back(
        {.text = "log n trained: plain RoPE below ReRoPE w=N/2" + on,
         .left = at("Baseline logn"),
         .right = at("ReRoPE w=N/2 logn")});
    claims.push_back({.text = "log n trained: w = N collapses: more than 5 "
                              "points below w = N/2" +
                              on,
                      .left = at("ReRoPE w=N logn"),
                      .right = at("ReRoPE w=N/2 logn"),
                      .amount = 5});
    for (const char* w : {"N/8", "N/4", "3N/4"}) {
      claims.push_back({.text = std::string("log n trained: w = ") + w +
                                " does not: at most 5 points below w = N/2" +
                                on,
                        .left = at(ReRopeRow(w, " logn")),
                        .relation = Claim::Relation::kKeeps,
                        .right = at("ReRoPE w=N/2 logn"),
                        .amount = 5});
    }
  }
  claims.push_back({.text = "log n trained: longer context, lower loss: "
                            "ReRoPE at 2N below N",
                    .left = LossAt("ReRoPE w=N/2 logn", 2 * N),
                    .right = LossAt("ReRoPE w=N/2 logn", N)});
  claims.push_back({.text = "log n trained: and at 4N below 2N",
                    .left = LossAt("ReRoPE w=N/2 logn", 4 * N),
                    .right = LossAt("ReRoPE w=N/2 logn", 2 * N)});
  claims.push_back({.text = "log n trained: plain RoPE's loss rises at 2N",
                    .left = LossAt("Baseline logn", N),
                    .right = LossAt("Baseline logn", 2 * N)});
  claims.push_back({.text = "identity: a window of N is plain RoPE at N, log n "
                            "trained",
                    .left = LossAt("window N logn", N),
                    .relation = Claim::Relation::kEqual,
                    .right = LossAt("Baseline logn", N),
                    .amount = 1e-6,
                    .required = true});
}

std::vector<Claim> ReRopeStudy::Claims(const Setting& s) const {
  using enum Claim::Relation;
  const int64_t N = s.N;
  const int64_t far = 8 * N;
  std::vector<Claim> claims;
  const auto add = [&](const std::string& text, const CellKey& left,
                       Claim::Relation relation, const CellKey& right,
                       double amount = 0, bool required = false) {
    claims.push_back({.text = text,
                      .left = left,
                      .relation = relation,
                      .right = right,
                      .amount = amount,
                      .required = required});
  };
  claims.push_back(
      {.text = "the base uses its context: a window of 16 costs loss at N, "
               "document by document",
       .left = {.row = "window 16", .length = N, .metric = "loss above rope"},
       .relation = kAbove,
       .bound = 0});
  add("position interpolation below plain RoPE", At("PI", far), kBelow,
      At("Baseline", far));
  add("plain RoPE below NTK-old", At("Baseline", far), kBelow,
      At("NTK-old", far));
  add("NTK-old at most NTK-fixed", At("NTK-old", far), kAtMost,
      At("NTK-fixed", far));
  add("NTK-fixed below NTK-mixed", At("NTK-fixed", far), kBelow,
      At("NTK-mixed", far));
  for (const char* w : {"N/4", "N/2"}) {
    add(std::string("NTK-mixed below ReRoPE w=") + w, At("NTK-mixed", far),
        kBelow, At(ReRopeRow(w, ""), far), 0);
    add(std::string("plain RoPE below ReRoPE w=") + w, At("Baseline", far),
        kBelow, At(ReRopeRow(w, ""), far));
  }
  for (const char* w : {"N/8", "N/4", "N/2", "3N/4"}) {
    add(std::string("log n afterwards at least none, ReRoPE w=") + w,
        At(ReRopeRow(w, ""), far), kAtMost, At(ReRopeRow(w, " logn†"), far));
    add(std::string("log n trained at least log n afterwards, ReRoPE w=") + w,
        At(ReRopeRow(w, " logn†"), far), kAtMost,
        At(ReRopeRow(w, " logn"), far));
  }
  // 4 to 9 points and 3 to 7 in the post: copying shows it best.
  for (const char* w : {"N/8", "N/4", "N/2", "3N/4"}) {
    add(std::string("log n afterwards above none, repeated text, ReRoPE w=") +
            w,
        RepeatedAt(ReRopeRow(w, " logn†"), far), kAbove,
        RepeatedAt(ReRopeRow(w, ""), far));
    add(std::string("log n trained above log n afterwards, repeated text, "
                    "ReRoPE w=") +
            w,
        RepeatedAt(ReRopeRow(w, " logn"), far), kAbove,
        RepeatedAt(ReRopeRow(w, " logn†"), far));
  }
  for (const char* row : {"NTK-fixed", "NTK-mixed"}) {
    const std::string afterwards = std::string(row) + " logn†";
    const std::string trained = std::string(row) + " logn";
    add(std::string("log n afterwards at least none, ") + row, At(row, far),
        kAtMost, At(afterwards, far));
    add(std::string("log n trained at least log n afterwards, ") + row,
        At(afterwards, far), kAtMost, At(trained, far));
    add(std::string("log n afterwards above none, repeated text, ") + row,
        RepeatedAt(afterwards, far), kAbove, RepeatedAt(row, far));
    add(std::string("log n trained above log n afterwards, repeated text, ") +
            row,
        RepeatedAt(trained, far), kAbove, RepeatedAt(afterwards, far));
  }
  AddLognClaims(s, claims);
  add("ReRoPE w=N/2 logn at 8N loses at most 1 point of the model's at N",
      At("ReRoPE w=N/2 logn", far), kKeeps, At("Baseline logn", N), 1);
  add("ReRoPE w=N/2 at 8N loses at most 1 point of the model's at N",
      At("ReRoPE w=N/2", far), kKeeps, At("Baseline", N), 1);
  add("w = N collapses: more than 5 points below w = N/2",
      At("ReRoPE w=N", far), kBelow, At("ReRoPE w=N/2", far), 5);
  add("w = N, the first untrained distance, below w = N - 1",
      At("ReRoPE w=N", far), kBelow, At("ReRoPE w=N-1", far));
  for (const char* w : {"N/8", "N/4", "3N/4"}) {
    add(std::string("w = ") + w + " does not: at most 5 points below w = N/2",
        At(ReRopeRow(w, ""), far), kKeeps, At("ReRoPE w=N/2", far), 5);
  }
  add("YaRN at most ReRoPE w=N/4", At("YaRN", far), kAtMost,
      At("ReRoPE w=N/4", far));
  add("Leaky without log n degrades as well: k = 8 below k = 16, repeated text",
      RepeatedAt("Leaky w=N/4 k=8", far), kBelow,
      RepeatedAt("Leaky w=N/4 k=16", far));
  add("Leaky degrades once its largest position passes N: k = 8 below k = 16, "
      "repeated text",
      RepeatedAt("Leaky w=N/4 logn k=8", far), kBelow,
      RepeatedAt("Leaky w=N/4 logn k=16", far));
  add("the same with w = N/2", RepeatedAt("Leaky w=N/2 logn k=8", far), kBelow,
      RepeatedAt("Leaky w=N/2 logn k=16", far));
  add("longer context, lower loss: ReRoPE at 2N below N",
      LossAt("ReRoPE w=N/2", 2 * N), kBelow, LossAt("ReRoPE w=N/2", N));
  add("and at 4N below 2N", LossAt("ReRoPE w=N/2", 4 * N), kBelow,
      LossAt("ReRoPE w=N/2", 2 * N));
  add("plain RoPE's loss rises at 2N", LossAt("Baseline", N), kBelow,
      LossAt("Baseline", 2 * N));
  add("a window of N below ReRoPE w=N/2, repeated text",
      RepeatedAt("window N", far), kBelow, RepeatedAt("ReRoPE w=N/2", far));
  add("a window of N below ReRoPE w=N/2, natural text", At("window N", far),
      kBelow, At("ReRoPE w=N/2", far));
  add("a window of N below ReRoPE w=N/2 logn, repeated text",
      RepeatedAt("window N logn", far), kBelow,
      RepeatedAt("ReRoPE w=N/2 logn", far));
  add("a window of N below ReRoPE w=N/2 logn, natural text",
      At("window N logn", far), kBelow, At("ReRoPE w=N/2 logn", far));
  add("identity: a window of N is plain RoPE at N", LossAt("window N", N),
      kEqual, LossAt("Baseline", N), 1e-6, true);
  add("identity: log n afterwards changes nothing at N",
      LossAt("ReRoPE w=N/2 logn†", N), kEqual, LossAt("ReRoPE w=N/2", N), 1e-6,
      true);
  return claims;
}

std::vector<Figure> ReRopeStudy::Figures(const Setting& s,
                                         const Measurements& measured) const {
  const int64_t N = s.N;
  const auto& lines = measured.lines();
  std::vector<Figure> figures;
  figures.push_back(
      {"by-length",
       LengthPlot(lines, s, "loss",
                  {"Baseline", "window N", "ReRoPE w=N/4", "ReRoPE w=N/2",
                   "Baseline logn", "ReRoPE w=N/2 logn"},
                  "Loss of the same last N targets"),
       "Natural text. A line that falls uses the longer context; one that "
       "rises has left the positions that it knows."});
  const auto sweep = [&](const std::string& set) {
    std::vector<SweepLine> sweeps;
    for (const char* logn : {"", " logn†", " logn"}) {
      SweepLine line{.name = *logn == 0 ? "none" : std::string(logn).substr(1)};
      for (const Window& w : kWindows) {
        line.rows.emplace_back(static_cast<double>(w.eighths * N) / 8,
                               ReRopeRow(w.name, logn));
      }
      sweeps.push_back(std::move(line));
    }
    return SweepPlot(lines, "ReRoPE at 8N by window, " + set, "window w", set,
                     8 * N, sweeps);
  };
  figures.push_back({"window-sweep", sweep("natural"),
                     "Accuracy at 8N of natural text against the window."});
  figures.push_back({"window-sweep-repeated", sweep("repeated"),
                     "The same on repeated text."});
  std::vector<SweepLine> leaky;
  for (const char* w : {"N/4", "N/2"}) {
    SweepLine line{.name = std::string("w=") + w + " logn"};
    for (const int64_t k : kFactors) {
      line.rows.emplace_back(
          static_cast<double>(k),
          std::string("Leaky w=") + w + " logn k=" + std::to_string(k));
    }
    leaky.push_back(std::move(line));
  }
  figures.push_back({"leaky-sweep",
                     SweepPlot(lines, "Leaky ReRoPE at 8N by k, repeated", "k",
                               "repeated", 8 * N, leaky),
                     "Small k lets the largest position pass N."});
  figures.push_back({"along",
                     AlongPlot(lines, s, "Loss along a text of 8N tokens",
                               {"Baseline along", "ReRoPE w=N/2 along",
                                "ReRoPE w=N/2 logn along", "window N along"}),
                     "Each point is the mean loss of N/2 targets."});
  return figures;
}

}  // namespace

const Study& ReRope() {
  static const ReRopeStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
