// What is drawn of the particles that jobs left beside their rows.

#include "lab/flow/pictures.h"

#include <cmath>

#include "lab/flow/draws.h"
#include "lab/flow/targets.h"
#include "lab/studies/monoflow/monoflow.h"
#include "report/number.h"

namespace ropewalk::lab::studies::monoflow {
namespace {

using flow::Draws;
using flow::Purpose;

constexpr int64_t kFieldPixels = 220;

// Dots of the target, the same in every picture.
at::Tensor Dots(const flow::Target& target) {
  at::Generator draws = Draws(7, Purpose::kEvaluate);
  return target.sample(500, draws);
}

// The log ratio that particles see, estimated as a kernel flow does.
at::Tensor FieldOf(const flow::Target& target, const at::Tensor& particles) {
  at::Generator draws = Draws(1, Purpose::kTarget);
  flow::KernelRatio field(target.sample(600, draws), 0.2);
  field.Fit(particles, 0);
  return flow::SampleField(field, 0, target.extent, kFieldPixels);
}

// The flow of the notebooks' Gaussian with everything in closed form.
flow::Scene ExactScene() {
  const flow::GaussianMixture target = flow::NotebookTarget();
  flow::ExactRatio field =
      flow::ExactRatio::OfFlow(flow::NotebookStart(), target);
  at::Generator draws = Draws(3, Purpose::kNoise);
  flow::Trajectory path{.every = 0.1};
  flow::Flow(field, flow::Loss::Parse("logit"),
             flow::NotebookStart().Sample(140, draws), {.step = 0.02, .end = 4},
             &path);
  return {.title = "Gaussian to Gaussian, log r exact",
          .extent = 3.2,
          .field = flow::SampleField(field, 0, 3.2, kFieldPixels),
          .paths = at::stack(path.states)};
}

std::string Time(double share) {
  return "t = " + report::FormatValue(share, report::NumberStyle::kPlain, 2) +
         " T";
}

std::vector<std::string> FrameLabels(int64_t frames) {
  std::vector<std::string> labels;
  for (int64_t f = 0; f < frames; ++f) {
    labels.push_back(
        Time(static_cast<double>(f) / static_cast<double>(frames - 1)));
  }
  return labels;
}

// Paths [F, N, 2] of `frames` frames: what ended early, as a run that diverged
// does, stands still from there.
at::Tensor FullLength(const at::Tensor& paths, int64_t frames) {
  return paths.index_select(
      0, at::arange(frames, at::dtype(at::kLong)).clamp_max(paths.size(0) - 1));
}

Figure TrajectoryFigure(const Setting& setting, const Measurements& measured) {
  std::vector<flow::Scene> scenes;
  for (const std::string& set : SizesOf(setting).sets) {
    const std::string name = set + ", kernel flow";
    const auto file = Particles(setting, measured, name);
    if (!file) continue;
    const at::Tensor paths = file->Get("particles", name);
    const flow::Target target = flow::MakeTarget(set);
    scenes.push_back({.title = set + ", log r by kernels",
                      .extent = target.extent,
                      .field = FieldOf(target, paths[0]),
                      .target = Dots(target),
                      .paths = paths.slice(1, 0, 160)});
  }
  if (scenes.empty()) return {"trajectories", {}, ""};
  scenes.insert(scenes.begin(), ExactScene());
  return {"trajectories",
          flow::ToSvg("Particles along dx/dt = grad log r", scenes, 3),
          "Each line is a particle on its way from the start (blue dots) to "
          "the end (bright dots), over the log ratio that it sees at the "
          "start: gold where the target has more mass than the particles, "
          "blue where it has less. Faint dots: the target."};
}

Figure ShapeFigure(const Setting& setting, const Measurements& measured) {
  std::vector<flow::Scene> scenes;
  for (const char* loss : {"logit", "non-saturating"}) {
    for (const std::string& set : SizesOf(setting).sets) {
      const std::string name = set + ", " + loss;
      const auto file = Particles(setting, measured, name);
      if (!file) continue;
      const flow::Target target = flow::MakeTarget(set);
      const at::Tensor frames = file->Get("generator", name);
      scenes.push_back({.title = set + ", " + loss,
                        .extent = target.extent,
                        .target = Dots(target),
                        .paths = frames.slice(0, frames.size(0) - 1)});
    }
  }
  return {"generators",
          flow::ToSvg("Where the generators end", scenes,
                      static_cast<int64_t>(SizesOf(setting).sets.size())),
          "200 samples of each generator after its last step (bright), over "
          "the target (faint). Seed 1."};
}

Figure ImageFigure(const Setting& setting, const Measurements& measured) {
  std::vector<flow::Sheet> sheets;
  for (const std::string& loss : SizesOf(setting).image_losses) {
    const std::string name = "Fashion-MNIST, " + loss;
    const auto file = Particles(setting, measured, name);
    if (!file) continue;
    sheets.push_back(
        {.title = loss,
         .images = file->Get("images", name).to(at::kFloat) / 127.5 - 1});
  }
  return {"fashion-mnist", flow::ToSvg("Fashion-MNIST by loss", sheets, 8),
          "64 samples of each generator, from the same noise. Seed 1."};
}

}  // namespace

std::vector<Figure> Pictures(const Setting& setting,
                             const Measurements& measured) {
  return {TrajectoryFigure(setting, measured), ShapeFigure(setting, measured),
          ImageFigure(setting, measured)};
}

std::vector<Film> Films(const Setting& setting, const Measurements& measured) {
  std::vector<Film> films;
  flow::Film kernel{.title = "p_t on its way to the target",
                    .labels = FrameLabels(kFlowFrames)};
  flow::Film equal{.title = "A generator and free particles at equal time",
                   .labels = FrameLabels(kFrames)};
  std::vector<flow::Scene> unbound;
  for (const std::string& set : SizesOf(setting).sets) {
    const flow::Target target = flow::MakeTarget(set);
    const std::string flowed = set + ", kernel flow";
    if (const auto file = Particles(setting, measured, flowed)) {
      const at::Tensor paths = file->Get("particles", flowed);
      kernel.scenes.push_back({.title = set,
                               .extent = target.extent,
                               .field = FieldOf(target, paths[0]),
                               .target = Dots(target),
                               .paths = FullLength(paths, kFlowFrames)});
    }
    const std::string both = set + ", generator and particles";
    if (const auto file = Particles(setting, measured, both)) {
      const at::Tensor dots = Dots(target);
      equal.scenes.push_back(
          {.title = set + ", generator",
           .extent = target.extent,
           .target = dots,
           .paths = FullLength(file->Get("generator", both), kFrames)});
      unbound.push_back(
          {.title = set + ", particles",
           .extent = target.extent,
           .target = dots,
           .paths = FullLength(file->Get("particles", both), kFrames)});
    }
  }
  if (!kernel.scenes.empty()) {
    kernel.columns = static_cast<int64_t>(kernel.scenes.size());
    films.push_back(
        {flow::ToHtml(kernel),
         "Particles along dx/dt = grad log r, estimated by kernels, over the "
         "log ratio of the start. Move the slider, or press play."});
  }
  if (!equal.scenes.empty()) {
    equal.columns = static_cast<int64_t>(equal.scenes.size());
    for (flow::Scene& scene : unbound) equal.scenes.push_back(std::move(scene));
    films.push_back(
        {flow::ToHtml(equal),
         "Above, a generator that follows by the regression (4) of post 9662; "
         "below, particles that nothing holds together. Both begin at the "
         "generator's first samples, each with a discriminator of its own."});
  }
  return films;
}

}  // namespace ropewalk::lab::studies::monoflow
