// Targets of two dimensions: GANs, flows of particles, and what the vanilla
// loss has left of its gradient (posts 9660 and 9662).

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "lab/flow/draws.h"
#include "lab/flow/gan.h"
#include "lab/flow/metrics.h"
#include "lab/flow/targets.h"
#include "lab/studies/bench.h"
#include "lab/studies/monoflow/monoflow.h"
#include "report/line_plot.h"

namespace ropewalk::lab::studies::monoflow {
namespace {

using flow::Draws;
using flow::Purpose;

constexpr const char* kLosses[] = {"logit", "non-saturating"};
constexpr int64_t kShifts[] = {0, 1, 3, 5, 10};
constexpr int64_t kScored = 2000;
constexpr int64_t kParticlesShown = 200;  // particles of a film
constexpr int64_t kParticles = 300;       // of a kernel flow
// Of flows along a learned ratio, and of the regression beside them.
constexpr double kEpsilon = 0.02;

std::string GanRow(const std::string& set, const std::string& loss) {
  return set + ", " + loss;
}
std::string ItselfRow(const std::string& set) { return set + ", itself"; }
// As few points as a kernel flow moves.
std::string FewRow(const std::string& set) {
  return set + ", itself, 300 points";
}
std::string KernelRow(const std::string& set) { return set + ", kernel flow"; }
std::string EqualRow(const std::string& set) {
  return set + ", generator and particles";
}
constexpr const char* kHeldStill = "vanilla, generator held still";
std::string VelocityOf(int64_t C) { return "velocity, C=" + std::to_string(C); }
std::string VanillaRow(int64_t C) { return "vanilla, C=" + std::to_string(C); }

at::Tensor Fresh(const flow::Target& target, int64_t n, uint64_t seed) {
  at::Generator draws = Draws(seed, Purpose::kEvaluate, 1);
  return target.sample(n, draws);
}

std::vector<Measurement> Score(const flow::Target& target,
                               const at::Tensor& samples, int64_t steps,
                               uint64_t seed) {
  const at::Tensor x = samples.to(at::kCPU);
  const flow::Coverage coverage =
      flow::ModeCoverage(x, target.modes, target.reach);
  const double distance =
      flow::SlicedWasserstein(x, Fresh(target, x.size(0), seed), 128, seed);
  std::vector<Measurement> lines;
  for (const auto& [metric, value] :
       std::vector<std::pair<std::string, double>>{
           {"modes covered", 100 * coverage.modes},
           {"samples near a mode", 100 * coverage.quality},
           {"sliced W2", distance}}) {
    lines.push_back({.set = target.name,
                     .length = steps,
                     .metric = metric,
                     .value = value,
                     .count = x.size(0)});
  }
  return lines;
}

std::unique_ptr<flow::Network> MakeNetwork(int64_t outputs, uint64_t seed) {
  return std::make_unique<flow::Perceptron>(
      std::vector<int64_t>{2, 96, 96, outputs},
      flow::NetworkOptions{.seed = seed, .device = flow::BestDevice()});
}

flow::GanOptions OptionsOf(const std::string& loss, uint64_t seed) {
  return {.loss = loss,
          .batch = 128,
          .generator = {.rate = 5e-4, .beta1 = 0.5},
          .discriminator = {.rate = 1e-3, .beta1 = 0.5},
          .seed = seed};
}

flow::Gan MakeGan(const flow::Target& target, const flow::GanOptions& options) {
  return {MakeNetwork(2, 2 * options.seed),
          MakeNetwork(1, 2 * options.seed + 1),
          target.sample,
          {2},
          options};
}

// Drawn on the processor, the same wherever they go.
at::Tensor Points(int64_t n, at::Generator& draws) {
  return flow::Normal({n, 2}, draws, at::dtype(at::kFloat))
      .to(flow::BestDevice());
}

at::Tensor ShownNoise() {
  at::Generator draws = Draws(0, Purpose::kEvaluate);
  return Points(kParticlesShown, draws);
}

// Says a divergence, and gives the line that marks it.
Measurement KeptLine(const std::string& row, const std::string& set,
                     int64_t steps, const flow::GanReport& report) {
  if (report.diverged) {
    std::fprintf(stderr, "monoflow: %s: %s; scored as it was after step %lld\n",
                 row.c_str(), report.diverged->c_str(),
                 static_cast<long long>(report.steps));
  }
  return {.set = set,
          .length = steps,
          .metric = kStepsKept,
          .value = static_cast<double>(report.steps)};
}

std::vector<Measurement> RunGan(const Setting& setting, const std::string& set,
                                const std::string& loss, uint64_t seed,
                                const Bench& bench) {
  const int64_t steps = SizesOf(setting).toy_steps;
  const flow::Target target = flow::MakeTarget(set);
  flow::Gan gan = MakeGan(target, OptionsOf(loss, seed));
  const std::string row = GanRow(set, loss);
  Steps progress(row, seed, steps);
  const at::Tensor z = ShownNoise();
  std::vector<at::Tensor> frames = {gan.generator().Forward(z).detach()};
  const flow::GanReport report =
      gan.Train(steps, [&](const flow::GanReport& now) {
        if (IsFrame(now.steps, steps)) {
          frames.push_back(gan.generator().Forward(z).detach());
        }
        progress.Add();
      });
  if (seed == 1) {
    LeaveParticles(bench, setting, row, {{"generator", at::stack(frames)}});
  }
  std::vector<Measurement> lines =
      Score(target, gan.Generate(kScored, seed), steps, seed);
  lines.push_back(KeptLine(row, set, steps, report));
  return lines;
}

// Both from the same samples g_0(z), with discriminators that begin alike: a
// generator that follows by regression, and free particles, whose every step
// is the generator's step of the same time.
std::vector<Measurement> RunEqualTime(const Setting& setting,
                                      const std::string& set, uint64_t seed,
                                      const Bench& bench) {
  const int64_t steps = SizesOf(setting).equal_steps;
  const flow::Target target = flow::MakeTarget(set);
  const std::string row = EqualRow(set);
  flow::GanOptions options = OptionsOf("logit", seed);
  options.regression = true;
  options.epsilon = kEpsilon;
  options.inner_steps = 3;
  options.generator.rate = 1e-3;
  flow::Gan gan = MakeGan(target, options);
  Steps progress(row, seed, 2 * steps);
  const at::Tensor z = ShownNoise();
  at::Generator draws = Draws(seed, Purpose::kNoise, 0);
  const at::Tensor all = at::cat({z, Points(400, draws)});
  const at::Tensor start = gan.generator().Forward(all).detach();
  std::vector<at::Tensor> frames = {start.slice(0, 0, kParticlesShown)};
  const flow::GanReport report =
      gan.Train(steps, [&](const flow::GanReport& now) {
        if (IsFrame(now.steps, steps)) {
          frames.push_back(gan.generator().Forward(z).detach());
        }
        progress.Add();
      });
  flow::LearnedRatio ratio(
      MakeNetwork(1, 2 * seed + 1), target.sample,
      {.adam = options.discriminator, .batch = options.batch, .seed = seed});
  const double end = kEpsilon * static_cast<double>(steps);
  flow::Trajectory path{.every = end / static_cast<double>(kFrames - 1)};
  const flow::Loss loss = flow::Loss::Parse("logit");
  const flow::OdeReport moved = flow::Integrate(
      [&](const at::Tensor& x, double t) {
        return flow::FlowVelocity(ratio, loss, x, t);
      },
      start, {.method = flow::Method::kEuler, .step = kEpsilon, .end = end},
      &path,
      [&](const at::Tensor& x, double t) {
        ratio.Fit(x, t);
        progress.Add();
      });
  if (seed == 1) {
    LeaveParticles(
        bench, setting, row,
        {{"generator", at::stack(frames)},
         {"particles", at::stack(path.states).slice(1, 0, kParticlesShown)}});
  }
  const at::Tensor by_generator = gan.generator().Forward(all).detach();
  const at::Tensor fresh = Fresh(target, all.size(0), seed);
  std::vector<Measurement> lines = {KeptLine(row, set, steps, report)};
  for (const auto& [metric, value] :
       std::vector<std::pair<std::string, double>>{
           {"generator to target",
            flow::SlicedWasserstein(by_generator, fresh, 128, seed)},
           {"particles to target",
            flow::SlicedWasserstein(moved.state, fresh, 128, seed)},
           {"generator to particles",
            flow::SlicedWasserstein(by_generator, moved.state, 128, seed)}}) {
    lines.push_back({.set = set,
                     .length = steps,
                     .metric = metric,
                     .value = value,
                     .count = all.size(0)});
  }
  return lines;
}

std::vector<Measurement> RunKernel(const Setting& setting,
                                   const std::string& set, uint64_t seed,
                                   const Bench& bench) {
  const flow::Target target = flow::MakeTarget(set);
  const double end = SizesOf(setting).kernel_end;
  at::Generator draws = Draws(seed, Purpose::kTarget);
  at::Generator noise = Draws(seed, Purpose::kNoise);
  flow::KernelRatio field(target.sample(600, draws).to(flow::BestDevice()),
                          0.2);
  const at::Tensor start = 1.2 * Points(kParticles, noise);
  flow::Trajectory path{.every = end / (kFlowFrames - 1)};
  const flow::OdeReport report =
      flow::Flow(field, flow::Loss::Parse("logit"), start,
                 {.method = flow::Method::kHeun,
                  .step = 0.02,
                  .end = end,
                  .tolerance = 0.005},
                 &path);
  if (seed == 1) {
    LeaveParticles(bench, setting, KernelRow(set),
                   {{"particles", at::stack(path.states)}});
  }
  return Score(target, report.state, report.steps, seed);
}

// A discriminator that runs ahead, three steps to one, and how much of its
// slope the loss lets through: RMS of h'(D) grad D over samples.
std::vector<Measurement> RunVanilla(const Setting& setting, int64_t C,
                                    uint64_t seed) {
  constexpr int64_t kPoints = 25;
  const int64_t steps = SizesOf(setting).vanilla_steps;
  const flow::Target target = flow::MakeTarget("8-gaussians");
  flow::GanOptions options = OptionsOf("vanilla:C=" + std::to_string(C), seed);
  options.discriminator_steps = 3;
  flow::Gan gan = MakeGan(target, options);
  Steps progress(VanillaRow(C), seed, steps);
  std::vector<Measurement> lines;
  const int64_t run = std::max<int64_t>(1, steps / kPoints);
  double sum = 0;
  const flow::GanReport report =
      gan.Train(steps, [&](const flow::GanReport& now) {
        sum += now.generator_slope;
        if (now.steps % run == 0) {
          lines.push_back({.set = "velocity curve",
                           .length = now.steps,
                           .metric = "velocity",
                           .value = sum / static_cast<double>(run),
                           .count = run * options.batch});
          sum = 0;
        }
        progress.Add();
      });
  lines.push_back(KeptLine(VanillaRow(C), target.name, steps, report));
  for (Measurement& line :
       Score(target, gan.Generate(kScored, seed), steps, seed)) {
    lines.push_back(line);
  }
  return lines;
}

// A generator held about where a fresh one puts its samples, while D learns to
// tell: how much of D's slope each C lets through, as D grows sure.
std::vector<Measurement> RunHeldStill(const Setting& setting, uint64_t seed) {
  constexpr int64_t kPoints = 25;
  const int64_t steps = SizesOf(setting).vanilla_steps;
  const flow::Target target = flow::MakeTarget("8-gaussians");
  at::Generator draws = Draws(seed, Purpose::kNoise);
  const at::Tensor x = 0.1 * Points(512, draws);
  const flow::GanOptions like = OptionsOf("logit", seed);
  flow::LearnedRatio ratio(
      MakeNetwork(1, 2 * seed + 1), target.sample,
      {.adam = like.discriminator, .batch = like.batch, .seed = seed});
  Steps progress(kHeldStill, seed, steps);
  const int64_t run = std::max<int64_t>(1, steps / kPoints);
  std::vector<Measurement> lines;
  for (int64_t step = 1; step <= steps; ++step) {
    ratio.Fit(x, 0);
    progress.Add();
    if (step % run != 0) continue;
    for (const int64_t C : kShifts) {
      const at::Tensor velocity = flow::FlowVelocity(
          ratio, flow::Loss::Parse("vanilla:C=" + std::to_string(C)), x, 0);
      lines.push_back(
          {.set = "held still curve",
           .length = step,
           .metric = VelocityOf(C),
           .value = velocity.square().sum(1).mean().sqrt().item<double>(),
           .count = x.size(0)});
    }
  }
  return lines;
}

}  // namespace

std::vector<Job> ToyJobs(const Setting& setting) {
  std::vector<Job> jobs;
  const Sizes sizes = SizesOf(setting);
  const auto add = [&](const std::string& row, uint64_t seed, auto run) {
    jobs.push_back({.row = row, .seed = seed, .run = std::move(run)});
  };
  for (const uint64_t seed : setting.seeds) {
    for (const std::string& set : sizes.sets) {
      add(ItselfRow(set), seed, [set, seed](Bench&) {
        const flow::Target target = flow::MakeTarget(set);
        at::Generator draws = Draws(seed, Purpose::kTarget);
        return Score(target, target.sample(kScored, draws), 0, seed);
      });
      add(FewRow(set), seed, [set, seed](Bench&) {
        const flow::Target target = flow::MakeTarget(set);
        at::Generator draws = Draws(seed, Purpose::kTarget);
        return Score(target, target.sample(kParticles, draws), 0, seed);
      });
      add(KernelRow(set), seed, [setting, set, seed](Bench& bench) {
        return RunKernel(setting, set, seed, bench);
      });
      for (const std::string loss : kLosses) {
        add(GanRow(set, loss), seed, [=](Bench& bench) {
          return RunGan(setting, set, loss, seed, bench);
        });
      }
      add(EqualRow(set), seed, [setting, set, seed](Bench& bench) {
        return RunEqualTime(setting, set, seed, bench);
      });
    }
    add(kHeldStill, seed,
        [setting, seed](Bench&) { return RunHeldStill(setting, seed); });
    for (const int64_t C : kShifts) {
      add(VanillaRow(C), seed,
          [setting, C, seed](Bench&) { return RunVanilla(setting, C, seed); });
    }
  }
  return jobs;
}

std::vector<Claim> ToyClaims(const Setting& setting) {
  using enum Claim::Relation;
  const Sizes sizes = SizesOf(setting);
  std::vector<Claim> claims;
  const int64_t run = std::max<int64_t>(1, sizes.vanilla_steps / 25);
  const int64_t last = sizes.vanilla_steps / run * run;
  const auto still = [&](int64_t C) {
    return CellKey{.row = kHeldStill,
                   .set = "held still curve",
                   .length = last,
                   .metric = VelocityOf(C)};
  };
  const auto velocity = [&](int64_t C) {
    return CellKey{.row = VanillaRow(C),
                   .set = "velocity curve",
                   .length = last,
                   .metric = "velocity"};
  };
  const auto distance = [&](int64_t C) {
    return CellKey{.row = VanillaRow(C),
                   .set = "8-gaussians",
                   .length = sizes.vanilla_steps,
                   .metric = "sliced W2"};
  };
  claims.push_back({.text = "against a generator held still, the vanilla "
                            "loss has less slope with C = 0 than with C = 5",
                    .left = still(0),
                    .right = still(5)});
  claims.push_back({.text = "and so it has at the end of training",
                    .left = velocity(0),
                    .right = velocity(5)});
  claims.push_back({.text = "C = 0 ends no nearer to the target than C = 5",
                    .left = distance(5),
                    .relation = kAtMost,
                    .right = distance(0)});
  for (const std::string& set : sizes.sets) {
    const auto key = [&](const char* metric) {
      return CellKey{.row = EqualRow(set),
                     .set = set,
                     .length = sizes.equal_steps,
                     .metric = metric};
    };
    claims.push_back({.text = set + ": free particles end no farther from the "
                                    "target than the generator at equal time",
                      .left = key("particles to target"),
                      .relation = kAtMost,
                      .right = key("generator to target")});
  }
  return claims;
}

std::vector<NamedTable> ToyTables(const Setting& setting,
                                  const Measurements& measured) {
  const Sizes sizes = SizesOf(setting);
  std::vector<NamedTable> tables;
  report::Table table({{.name = "set"},
                       {.name = "by"},
                       {.name = "modes covered", .unit = "%"},
                       {.name = "samples near a mode", .unit = "%"},
                       {.name = "sliced W2"}});
  const auto add = [&](const std::string& set, const std::string& by,
                       const std::string& row, std::optional<int64_t> steps) {
    std::vector<Measurement> lines = measured.lines();
    for (Measurement& line : lines) {
      if (!steps && line.row == row) line.length = 0;
    }
    const auto cell = [&](const char* metric, int digits) {
      return Spread(lines,
                    {.row = row,
                     .set = set,
                     .length = steps.value_or(0),
                     .metric = metric},
                    digits);
    };
    if (cell("sliced W2", 3) == "-") return;
    table.AddRow({set, by + Diverged(measured, row), cell("modes covered", 1),
                  cell("samples near a mode", 1), cell("sliced W2", 3)});
  };
  for (const std::string& set : sizes.sets) {
    add(set, "another sample of the target", ItselfRow(set), 0);
    add(set, "another sample, 300 points", FewRow(set), 0);
    // The steps of a flow are its own choice, another number with each seed.
    add(set, "kernel flow, 300 particles", KernelRow(set), {});
    for (const std::string loss : kLosses) {
      add(set, "GAN, " + loss, GanRow(set, loss), sizes.toy_steps);
    }
  }
  if (!table.rows().empty()) {
    tables.push_back(
        {"Toy targets", table,
         "A mode counts as covered with a fifth of the samples that an even "
         "spread would give it. Sliced W2 to a fresh sample of as many "
         "points: the first line of a set is as near as one can come with "
         "2000, the second with the 300 of a kernel flow."});
  }
  report::Table vanilla({{.name = "C"},
                         {.name = "slope left, generator held still"},
                         {.name = "samples near a mode", .unit = "%"},
                         {.name = "sliced W2"}});
  const int64_t run = std::max<int64_t>(1, sizes.vanilla_steps / 25);
  for (const int64_t C : kShifts) {
    const auto end = [&](const char* metric, int digits) {
      return Spread(measured.lines(),
                    {.row = VanillaRow(C),
                     .set = "8-gaussians",
                     .length = sizes.vanilla_steps,
                     .metric = metric},
                    digits);
    };
    vanilla.AddRow({C,
                    Spread(measured.lines(),
                           {.row = kHeldStill,
                            .set = "held still curve",
                            .length = sizes.vanilla_steps / run * run,
                            .metric = VelocityOf(C)},
                           4),
                    end("samples near a mode", 1),
                    end("sliced W2", 3) + Diverged(measured, VanillaRow(C))});
  }
  tables.push_back({"Vanilla loss against C", vanilla,
                    "RMS of h'(D) grad D over samples of a generator that is "
                    "held still, after D's last step; and where a generator "
                    "that moves ends, on 8 Gaussians."});
  report::Table equal({{.name = "set"},
                       {.name = "generator to target"},
                       {.name = "particles to target"},
                       {.name = "generator to particles"}});
  for (const std::string& set : sizes.sets) {
    std::vector<report::Cell> cells = {set + Diverged(measured, EqualRow(set))};
    for (const char* metric : {"generator to target", "particles to target",
                               "generator to particles"}) {
      cells.emplace_back(Spread(measured.lines(),
                                {.row = EqualRow(set),
                                 .set = set,
                                 .length = sizes.equal_steps,
                                 .metric = metric},
                                3));
    }
    equal.AddRow(std::move(cells));
  }
  tables.push_back({"Generator and free particles at equal time", equal,
                    "Sliced W2 of 600 samples. The generator follows by the "
                    "regression (4) of the post with 3 inner steps, the "
                    "particles by dx/dt = grad D, each with a discriminator of "
                    "its own that begins alike."});
  return tables;
}

std::vector<Figure> ToyFigures(const Setting&, const Measurements& measured) {
  const auto draw = [&](const std::string& title, const std::string& x,
                        const auto& row, const auto& metric) {
    report::LinePlot plot{
        .title = title,
        .x = {.label = x},
        .y = {.label = "RMS of h'(D) grad D", .scale = report::Scale::kLog2},
        .best = report::Best::kHigh,
        .zoom = report::Zoom::kNever};
    for (const int64_t C : kShifts) {
      report::Series series{.name = "C = " + std::to_string(C)};
      for (const Measurement& line : measured.lines()) {
        const double at = static_cast<double>(line.length);
        if (line.row != row(C) || line.metric != metric(C) ||
            std::ranges::any_of(series.points, [at](const report::Point& p) {
              return p.x == at;
            })) {
          continue;
        }
        const auto summary =
            Summarise(measured.lines(), {.row = line.row,
                                         .set = line.set,
                                         .length = line.length,
                                         .metric = line.metric});
        series.points.push_back({.x = at, .y = summary->mean});
      }
      if (!series.points.empty()) plot.series.push_back(std::move(series));
    }
    return report::ToPicture(plot);
  };
  return {{"vanishing-gradient",
           draw(
               "Vanilla loss: the gradient vanishes as D grows sure",
               "discriminator steps", [](int64_t) { return kHeldStill; },
               VelocityOf),
           "The generator is held where it starts, and D learns. Its loss "
           "gives a sample the slope sigma(D + C) grad D: with C = 0 little is "
           "left of it where D is sure of a fake. Mean over seeds."},
          {"vanilla-training",
           draw("Vanilla loss: the gradient along training", "generator steps",
                VanillaRow, [](int64_t) { return "velocity"; }),
           "The same with a generator that moves, under three discriminator "
           "steps to one of its own: a discriminator whose fakes move does "
           "not grow sure. Mean over seeds."}};
}

}  // namespace ropewalk::lab::studies::monoflow
