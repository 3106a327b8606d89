// Embedding the flow library: a file of points in, a flow of particles and a
// generator towards them, a picture out.
//
//   flow_points POINTS.csv PICTURE.svg [LOSS]
//
// Two numbers a line make a point. LOSS is spelled as Loss::Parse has it:
// logit, non-saturating, vanilla:C=5, arcsinh, f:hellinger, ...

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "lab/flow/draws.h"
#include "lab/flow/files.h"
#include "lab/flow/gan.h"
#include "lab/flow/metrics.h"
#include "lab/flow/pictures.h"
#include "lab/flow/ratio.h"
#include "lab/flow/targets.h"

namespace {

using namespace ropewalk::lab::flow;  // NOLINT: an example

constexpr int64_t kParticles = 300;

void DrawFlows(const std::string& points_path, const std::string& picture_path,
               const std::string& loss_name) {
  const Loss loss = Loss::Parse(loss_name);
  at::Tensor points = ReadPoints(points_path, /*D=*/2);
  // Whatever their units: a cloud about 0 of deviation 1.
  points = (points - points.mean(0)) / points.std(0).clamp_min(1e-6);
  const double extent = 1.1 * points.abs().max().item<double>();

  // Particles without a generator, along the ratio of two kernel estimates.
  at::Generator noise = Draws(/*seed=*/1, Purpose::kNoise);
  const at::Tensor start =
      0.4 * Normal({kParticles, 2}, noise, at::dtype(at::kFloat));
  KernelRatio field(points, SilvermanBandwidth(points) / 2);
  field.Fit(start, 0);
  const at::Tensor sky = SampleField(field, 0, extent, 200);
  Trajectory flowed{.every = 0.25};
  Flow(field, loss, start,
       {.method = Method::kHeun, .step = 0.02, .end = 4, .tolerance = 0.01},
       &flowed);

  // A generator whose samples follow the same flow, with a discriminator in
  // the place of log r.
  const auto network = [](int64_t outputs, uint64_t seed) {
    return std::make_unique<Perceptron>(
        std::vector<int64_t>{2, 64, 64, outputs}, NetworkOptions{.seed = seed});
  };
  Gan gan(network(2, 1), network(1, 2), Resampler(points), {2},
          {.loss = loss_name,
           .batch = 128,
           .generator = {.rate = 5e-4, .beta1 = 0.5},
           .discriminator = {.rate = 1e-3, .beta1 = 0.5}});
  std::vector<at::Tensor> frames = {gan.Generate(kParticles, 1)};
  const GanReport report = gan.Train(1000, [&](const GanReport& now) {
    if (now.steps % 50 == 0) frames.push_back(gan.Generate(kParticles, 1));
  });
  if (report.diverged) std::printf("%s\n", report.diverged->c_str());

  at::Generator draws = Draws(/*seed=*/2, Purpose::kTarget);
  const at::Tensor fresh = Resampler(points)(kParticles, draws);
  const auto distance = [&](const at::Tensor& x) {
    return SlicedWasserstein(x, fresh, 128, /*seed=*/1);
  };
  std::printf("sliced W2 to the points: particles %.3f from %.3f, ",
              distance(flowed.states.back()), distance(start));
  std::printf("generator %.3f from %.3f\n", distance(frames.back()),
              distance(frames.front()));
  ropewalk::WriteFileAtomically(
      picture_path, ToSvg(points_path,
                          {{.title = "particles, log r by kernels",
                            .extent = extent,
                            .field = sky,
                            .target = points.slice(0, 0, 500),
                            .paths = at::stack(flowed.states)},
                           {.title = "generator, log r by a discriminator",
                            .extent = extent,
                            .target = points.slice(0, 0, 500),
                            .paths = at::stack(frames)}},
                          /*columns=*/2));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s POINTS.csv PICTURE.svg [LOSS]\n", argv[0]);
    return 2;
  }
  try {
    DrawFlows(argv[1], argv[2], argc > 3 ? argv[3] : "logit");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
