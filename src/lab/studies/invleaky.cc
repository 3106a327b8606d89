// Post 9728: train with stretched far distances, infer with plain RoPE.

#include "lab/studies/bench.h"
#include "lab/studies/figures.h"
#include "lab/studies/length_models.h"
#include "lab/studies/step_time.h"
#include "lab/studies/studies.h"

namespace ropewalk::lab::studies {
namespace {

constexpr const char* kInvLeaky = "InvLeaky w=N/4 logn";
constexpr const char* kWideBase = "InvLeaky w=N/4 b8 logn";
constexpr const char* kOneRepeat = ", one repeat";

class InvLeakyStudy : public Study {
 public:
  std::string name() const override { return "invleaky"; }
  std::string title() const override {
    return "InvLeaky ReRoPE: train so that plain RoPE extrapolates (post 9728)";
  }
  std::string about() const override {
    return "Trained with w = N/4 and k = 1/16: beyond the window every token "
           "counts as 16, so that at N the largest trained distance passes "
           "8 N. At inference it is plain RoPE, with the caches and the speed "
           "of any model. \"b8\" has the base 80000 in both phases. Beside it "
           "the base model with log n under its own law, NTK-mixed and ReRoPE.";
  }

  std::vector<ModelSpec> Models(const Setting& setting) const override {
    std::vector<ModelSpec> models;
    for (const uint64_t seed : setting.seeds) {
      models.push_back(BaseLognModel(seed));
      models.push_back(InvLeakyModel(setting, seed, false));
    }
    for (const uint64_t seed : setting.seeds) {
      models.push_back(BaseModel(seed));
    }
    models.push_back(InvLeakyModel(setting, setting.seeds.front(), true));
    return models;
  }

  std::vector<Job> Jobs(const Setting& s,
                        const ModelSpec& model) const override {
    const int64_t N = s.N;
    const std::vector<int64_t> all = {N, 2 * N, 4 * N, 8 * N};
    const std::vector<int64_t> far = {8 * N};
    // A passage twice: to be copied from a distance of N, that of training.
    const auto one_repeat = [&](const std::string& row,
                                const std::string& spelling) {
      return ScoreJob(row + kOneRepeat, spelling, {}, {2 * N});
    };
    if (model.name == "base") {
      return {ScoreJob("Baseline", "rope", all, far)};
    }
    if (model.name == "base-logn") {
      return {ScoreJob("Baseline logn", "rope+logn", all, far),
              ScoreJob("window N logn", With("window:size=", N) + "+logn",
                       {N, 8 * N}, far),
              ScoreJob("NTK-mixed logn", "ntk-mixed:factor=8+logn", far, far),
              ScoreJob("ReRoPE w=N/2 logn",
                       With("rerope:window=", N / 2) + "+logn", all, far),
              one_repeat("ReRoPE w=N/2 logn",
                         With("rerope:window=", N / 2) + "+logn")};
    }
    const std::string row = model.name == "invleaky" ? kInvLeaky : kWideBase;
    const std::vector<int64_t> beyond = {N, 2 * N, 4 * N, 8 * N, 16 * N};
    return {
        ScoreJob(row, "rope+logn", beyond, far), one_repeat(row, "rope+logn"),
        ScoreJob(row + std::string(", as trained"),
                 With("inv-leaky:window=", N / 4) + ",k=1/16+logn", {N}, {})};
  }

  std::vector<Job> OwnJobs(const Setting& s) const override {
    return {{.row = "training step",
             .run = [s](Bench&) { return TimeTraining(s); }}};
  }

  std::vector<Claim> Claims(const Setting& s) const override {
    using enum Claim::Relation;
    const int64_t N = s.N;
    const int64_t far = 8 * N;
    std::vector<Claim> claims = {
        {.text = "plain RoPE with log n below NTK-mixed",
         .left = At("Baseline logn", far),
         .right = At("NTK-mixed logn", far)},
        {.text = "NTK-mixed below InvLeaky",
         .left = At("NTK-mixed logn", far),
         .right = At(kInvLeaky, far)},
        {.text = "InvLeaky at most ReRoPE",
         .left = At(kInvLeaky, far),
         .relation = kAtMost,
         .right = At("ReRoPE w=N/2 logn", far)},
        {.text = "InvLeaky's accuracy at N within 0.3 points of the base's",
         .left = At(kInvLeaky, N),
         .relation = kWithin,
         .right = At("Baseline logn", N),
         .amount = 0.3},
        {.text = "at 8N it loses at most 1.5 points of its own at N",
         .left = At(kInvLeaky, far),
         .relation = kKeeps,
         .right = At(kInvLeaky, N),
         .amount = 1.5},
        {.text = "the base 80000 at N is at least as good",
         .left = At(kInvLeaky, N),
         .relation = kAtMost,
         .right = At(kWideBase, N)},
        {.text = "a window of N below InvLeaky, repeated text",
         .left = RepeatedAt("window N logn", far),
         .right = RepeatedAt(kInvLeaky, far)},
        {.text = "it copies at 8N what it copies over one repeat, but for 5 "
                 "points: what is missing was not learned",
         .left = RepeatedAt(kInvLeaky, far),
         .relation = kKeeps,
         .right = RepeatedAt(kInvLeaky + std::string(kOneRepeat), 2 * N),
         .amount = 5},
        {.text = "trained plainly, plain RoPE's loss rises at 8N",
         .left = LossAt("Baseline", N),
         .right = LossAt("Baseline", far)},
        {.text = "read as it was trained, InvLeaky works at N as well",
         .left = At(kInvLeaky + std::string(", as trained"), N),
         .relation = kWithin,
         .right = At(kInvLeaky, N),
         .amount = 1.5},
        {.text = "training InvLeaky takes less than half more time (1.5 times "
                 "forward and backward)",
         .left = {.row = "training step",
                  .set = "time",
                  .length = N,
                  .metric = "ratio"},
         .bound = 1.5},
        {.text = "identity: a window of N is plain RoPE at N",
         .left = LossAt("window N logn", N),
         .relation = kEqual,
         .right = LossAt("Baseline logn", N),
         .amount = 1e-6,
         .required = true},
    };
    return claims;
  }

  std::vector<Figure> Figures(const Setting& s,
                              const Measurements& measured) const override {
    return {{"by-length",
             LengthPlot(measured.lines(), s, "loss",
                        {"Baseline logn", kInvLeaky, kWideBase,
                         "ReRoPE w=N/2 logn", "Baseline"},
                        "Loss of the same last N targets"),
             "Natural text. InvLeaky and the base are both read with plain "
             "RoPE."}};
  }

 private:
  static std::vector<Measurement> TimeTraining(const Setting& s) {
    const auto config = [&](const ModelSpec& spec) {
      std::vector<std::string> overrides = {"data.train=[\"texts\"]"};
      overrides.insert(overrides.end(), spec.overrides.begin(),
                       spec.overrides.end());
      return train::ReadTrainConfig(s.config, "config", overrides);
    };
    const StepTimes times =
        TimeSteps(config(BaseLognModel(1)), config(InvLeakyModel(s, 1, false)),
                  s.Sweeps() ? 20 : 5);
    const Measurement line{.set = "time", .length = s.N};
    std::vector<Measurement> lines(3, line);
    lines[0].metric = "base seconds";
    lines[0].value = times.first_seconds;
    lines[1].metric = "invleaky seconds";
    lines[1].value = times.second_seconds;
    lines[2].metric = "ratio";
    lines[2].value = times.ratio;
    return lines;
  }
};

}  // namespace

const Study& InvLeaky() {
  static const InvLeakyStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
