// Posts 9662, 9660, 9467 and 9668: a GAN as a diffusion ODE, with the
// experiments of MonoFlow.

#include "lab/studies/monoflow/monoflow.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "lab/studies/bench.h"
#include "lab/studies/studies.h"
#include "report/number.h"

namespace ropewalk::lab::studies {
namespace monoflow {

namespace fs = std::filesystem;

Sizes SizesOf(const Setting& setting) {
  Sizes sizes;
  sizes.sets = {"8-gaussians", "25-gaussians", "two-moons", "spiral"};
  sizes.image_losses = {"logit", "non-saturating", "vanilla:C=5",
                        "vanilla:C=0"};
  // Chosen by the pilot of images.cc; the large scale keeps the
  // rates of the paper.
  if (setting.scale != Scale::kPaper) {
    sizes.images = {.generator_rate = 4e-4,
                    .discriminator_rate = 8e-4,
                    .average = 0.99,
                    .from_mean = true};
  }
  if (setting.scale == Scale::kPaper) {
    sizes.image_steps = 7000;  // 15 epochs of 60000 images, as the paper's
    sizes.image_batch = 128;
    // Half of the test images, the rest stand beside. None are left for a
    // pilot, and none is needed: rates are the paper's.
    sizes.scored_images = 5000;
    sizes.pilot_steps = 0;
  }
  if (setting.scale == Scale::kSmoke) {
    sizes.through_q_steps = 100;
    sizes.control_steps = 2000;
    sizes.learned_steps = 100;
    sizes.gaussian_batch = 256;
    sizes.toy_steps = 200;
    sizes.equal_steps = 60;
    sizes.kernel_end = 1;
    sizes.vanilla_steps = 60;
    sizes.image_steps = 10;
    sizes.image_batch = 32;
    sizes.image_channels = 8;
    sizes.pilot_steps = 4;
    sizes.classifier_steps = 60;
    sizes.scored_images = 200;
    sizes.sets = {"8-gaussians", "spiral"};
    sizes.image_losses = {"logit", "vanilla:C=5"};
  }
  return sizes;
}

namespace {

std::string ParticlesPath(const std::string& folder, const Setting& setting,
                          const std::string& row) {
  std::string name;
  for (const char c : row) {
    if (c == ',' || c == '=') continue;
    name += c == ' ' || c == ':' ? '-' : c;
  }
  return (fs::path(folder) /
          (setting.scale == Scale::kSmall
               ? "particles"
               : "particles-" + ToString(setting.scale)) /
          (name + ".safetensors"))
      .string();
}

}  // namespace

void LeaveParticles(const Bench& bench, const Setting& setting,
                    const std::string& row,
                    std::vector<std::pair<std::string, at::Tensor>> tensors) {
  const std::string path = ParticlesPath(bench.folder(), setting, row);
  fs::create_directories(fs::path(path).parent_path());
  for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kCPU);
  flow::WriteTensorFile(path, {.tensors = std::move(tensors)});
}

std::optional<flow::TensorFile> Particles(const Setting& setting,
                                          const Measurements& measured,
                                          const std::string& row) {
  const bool has_row = std::ranges::any_of(
      measured.lines(),
      [&](const Measurement& line) { return line.row == row; });
  const std::string path = ParticlesPath(
      fs::path(measured.path()).parent_path().string(), setting, row);
  if (!has_row || !fs::exists(path)) return std::nullopt;
  try {
    return flow::ReadTensorFile(path);
  } catch (const FormatError& error) {
    std::fprintf(stderr, "monoflow: %s is not drawn: %s\n",
                 Printable(row, 60).c_str(), error.what());
    return std::nullopt;
  }
}

std::string Diverged(const Measurements& measured, const std::string& row) {
  int64_t runs = 0;
  int64_t diverged = 0;
  for (const Measurement& line : measured.lines()) {
    if (line.row != row || line.metric != kStepsKept) continue;
    ++runs;
    if (line.value < static_cast<double>(line.length)) ++diverged;
  }
  if (diverged == 0) return "";
  return " (diverged: " + std::to_string(diverged) + " of " +
         std::to_string(runs) + ")";
}

std::string Spread(const std::vector<Measurement>& lines, const CellKey& key,
                   int digits) {
  const auto summary = Summarise(lines, key);
  if (!summary) return "-";
  const auto text = [digits](double value) {
    return report::FormatValue(value, report::NumberStyle::kPlain, digits);
  };
  return text(summary->mean) +
         (summary->spread ? " ± " + text(*summary->spread) : "");
}

bool IsFrame(int64_t step, int64_t steps) {
  const int64_t frame = step * (kFrames - 1) / steps;
  return step == 0 || frame != (step - 1) * (kFrames - 1) / steps;
}

Steps::Steps(const std::string& row, uint64_t seed, int64_t steps)
    : progress_(row + ", seed " + std::to_string(seed),
                static_cast<double>(steps), "steps") {}

void Steps::Add() {
  progress_.Add(1);
  ThrowIfInterrupted();
}

namespace {

template <typename T>
void Append(std::vector<T> more, std::vector<T>* to) {
  for (T& one : more) to->push_back(std::move(one));
}

class MonoFlowStudy : public Study {
 public:
  std::string name() const override { return "monoflow"; }
  std::string title() const override {
    return "GAN as a diffusion ODE: MonoFlow (posts 9662, 9660, 9467, 9668)";
  }
  std::string about() const override {
    return "A generator that lowers -h(D) moves its samples along the flow "
           "dx/dt = h'(log r) grad log r, where r is the target's density over "
           "its own and D the discriminator's logit. So any increasing h "
           "leads to the target, and a divergence f put into the loss as it "
           "is, with D held still, leads away from it unless f and its h "
           "agree. The table of the MonoFlow notebooks, toy targets, the "
           "vanishing gradient of the vanilla loss, and Fashion-MNIST.";
  }
  std::string published_on() const override {
    return "where the generator of the 2-D Gaussian notebooks of the MonoFlow "
           "repository ends: its mean and covariance; the target is 0 and "
           "[[1, 0.8], [0.8, 0.89]], the start (1, 1) and the identity";
  }
  std::string OwnData() const override {
    return "seeded draws; Fashion-MNIST of Debian's dataset-fashion-mnist";
  }

  std::vector<ModelSpec> Models(const Setting&) const override { return {}; }
  std::vector<Job> Jobs(const Setting&, const ModelSpec&) const override {
    return {};
  }

  // What the post's table is about first, what takes longest last.
  std::vector<Job> OwnJobs(const Setting& setting) const override {
    std::vector<Job> jobs = GaussianJobs(setting);
    Append(ToyJobs(setting), &jobs);
    Append(ImageJobs(setting), &jobs);
    return jobs;
  }

  std::vector<Claim> Claims(const Setting& setting) const override {
    std::vector<Claim> claims = GaussianClaims(setting);
    Append(ToyClaims(setting), &claims);
    Append(ImageClaims(setting), &claims);
    return claims;
  }

  std::vector<NamedTable> Tables(const Setting& setting,
                                 const Measurements& measured) const override {
    std::vector<NamedTable> tables = GaussianTables(setting, measured);
    Append(ToyTables(setting, measured), &tables);
    Append(ImageTables(setting, measured), &tables);
    return tables;
  }

  std::vector<Figure> Figures(const Setting& setting,
                              const Measurements& measured) const override {
    std::vector<Figure> figures = Pictures(setting, measured);
    Append(ToyFigures(setting, measured), &figures);
    return figures;
  }

  std::vector<Film> Films(const Setting& setting,
                          const Measurements& measured) const override {
    return monoflow::Films(setting, measured);
  }
};

}  // namespace
}  // namespace monoflow

const Study& MonoFlow() {
  static const monoflow::MonoFlowStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
