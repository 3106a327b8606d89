// Fashion-MNIST: a small convolutional pair under four losses, scored by a
// classifier trained here.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "lab/flow/classifier.h"
#include "lab/flow/draws.h"
#include "lab/flow/files.h"
#include "lab/flow/gan.h"
#include "lab/studies/bench.h"
#include "lab/studies/monoflow.h"
#include "lab/train/text_source.h"

namespace ropewalk::lab::studies::monoflow {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSet = "Fashion-MNIST";
constexpr const char* kClassifierRow = "Fashion-MNIST, classifier";
constexpr const char* kRealRow = "Fashion-MNIST, held-out images";
constexpr int64_t kNoise = 64;
constexpr int64_t kShown = 64;
constexpr int64_t kSaveEvery = 100;

std::string RowOf(const std::string& loss) {
  return std::string(kSet) + ", " + loss;
}

// The images once a process: 47 MB of them, a second to unpack.
const flow::ImageSet& Images() {
  static const flow::ImageSet kImages = flow::ReadFashionMnist();
  return kImages;
}

// States of runs are no result: they stand with the trained models of other
// studies, and may go once their rows are there.
std::string CachePath(const Setting& setting, const std::string& name) {
  const fs::path folder = fs::path(train::CacheFolder()) / "studies" /
                          ("monoflow-" + ToString(setting.scale));
  fs::create_directories(folder);
  return (folder / (name + ".safetensors")).string();
}

// Trained where no other job has; every row is scored by the same eyes.
flow::Classifier MakeClassifier(const Setting& setting) {
  const Sizes sizes = SizesOf(setting);
  flow::Classifier classifier(
      {.steps = sizes.classifier_steps, .device = flow::BestDevice()});
  const std::string path = CachePath(
      setting, "classifier-" + std::to_string(sizes.classifier_steps));
  if (fs::exists(path)) {
    classifier.Load(path);
    return classifier;
  }
  Steps progress(kClassifierRow, 1, sizes.classifier_steps);
  classifier.Train(Images().train, [&](int64_t) { progress.Add(); });
  classifier.Save(path);
  return classifier;
}

std::vector<Measurement> Score(const Setting& setting,
                               const at::Tensor& samples, int64_t steps) {
  const Sizes sizes = SizesOf(setting);
  const flow::ImageSet& images = Images();
  // Smoke looks at some of the training images, the others at all of them.
  const at::Tensor train = setting.scale == Scale::kSmoke
                               ? images.train.images.slice(0, 0, 2000)
                               : images.train.images;
  const flow::ImageScores scores = flow::ScoreImages(
      MakeClassifier(setting), samples,
      images.test.images.slice(0, 0, sizes.scored_images), train);
  std::vector<Measurement> lines;
  for (const auto& [metric, value] :
       std::vector<std::pair<std::string, double>>{
           {"inception score", scores.inception},
           {"Frechet distance", scores.frechet},
           {"memorised", 100 * scores.memorised},
           {"nearest training image", scores.nearest}}) {
    lines.push_back({.set = kSet,
                     .length = steps,
                     .metric = metric,
                     .value = value,
                     .count = samples.size(0)});
  }
  return lines;
}

std::vector<Measurement> RunGan(const Setting& setting, const std::string& loss,
                                uint64_t seed, const Bench& bench) {
  const Sizes sizes = SizesOf(setting);
  const at::Device device = flow::BestDevice();
  const flow::GanOptions options{.loss = loss,
                                 .batch = sizes.image_batch,
                                 .generator = {.rate = 1e-4, .beta1 = 0.5},
                                 .discriminator = {.rate = 2e-4, .beta1 = 0.5},
                                 .seed = seed};
  const at::Tensor& images = Images().train.images;
  flow::Gan gan(
      std::make_unique<flow::ImageGenerator>(
          kNoise, sizes.image_channels,
          flow::NetworkOptions{.seed = 2 * seed, .device = device}),
      std::make_unique<flow::ImageReader>(
          sizes.image_channels, 0, 1,
          flow::NetworkOptions{.seed = 2 * seed + 1, .device = device}),
      [&images](int64_t n, at::Generator& draws) {
        return images.index_select(
            0, at::randint(images.size(0), {n}, draws, at::dtype(at::kLong)));
      },
      {kNoise}, options);
  const std::string row = RowOf(loss);
  const std::string identity =
      row + ", seed " + std::to_string(seed) + ", batch " +
      std::to_string(sizes.image_batch) + ", channels " +
      std::to_string(sizes.image_channels) + ", rates " +
      FormatNumber(options.generator.rate) + " and " +
      FormatNumber(options.discriminator.rate);
  std::string name = loss + "-s" + std::to_string(seed);
  for (char& c : name) c = c == ':' || c == '=' ? '-' : c;
  const std::string path = CachePath(setting, name);
  if (fs::exists(path)) gan.Load(path, identity);
  Steps progress(row, seed, sizes.image_steps - gan.steps());
  const flow::GanReport report =
      gan.Train(sizes.image_steps, [&](const flow::GanReport& now) {
        if (now.steps % kSaveEvery == 0 || now.steps == sizes.image_steps ||
            PendingInterrupt() != 0) {
          gan.Save(path, identity);
        }
        progress.Add();
      });
  if (report.diverged) {
    std::fprintf(stderr, "monoflow: %s: %s; scored as it was after step %lld\n",
                 row.c_str(), report.diverged->c_str(),
                 static_cast<long long>(report.steps));
  }
  if (seed == 1) {
    const at::Tensor shown = gan.Generate(kShown, 0).to(at::kCPU);
    LeaveParticles(
        bench, setting, row,
        {{"images",
          ((shown + 1) * 127.5).round().clamp(0, 255).to(at::kByte)}});
  }
  std::vector<at::Tensor> samples;
  for (int64_t done = 0; done < sizes.scored_images; done += 500) {
    ThrowIfInterrupted();
    samples.push_back(
        gan.Generate(std::min<int64_t>(500, sizes.scored_images - done),
                     seed + 1000 + static_cast<uint64_t>(done))
            .to(at::kCPU));
  }
  std::vector<Measurement> lines =
      Score(setting, at::cat(samples), sizes.image_steps);
  lines.push_back({.set = kSet,
                   .length = sizes.image_steps,
                   .metric = "steps kept",
                   .value = static_cast<double>(report.steps)});
  return lines;
}

CellKey KeyOf(const Setting& setting, const std::string& row,
              const std::string& metric) {
  return {.row = row,
          .set = kSet,
          .length = SizesOf(setting).image_steps,
          .metric = metric};
}

}  // namespace

std::vector<Job> ImageJobs(const Setting& setting) {
  std::vector<Job> jobs;
  jobs.push_back(
      {.row = kClassifierRow, .seed = 1, .run = [setting](Bench&) {
         return std::vector<Measurement>{
             {.set = kSet,
              .length = SizesOf(setting).classifier_steps,
              .metric = "test accuracy",
              .value = MakeClassifier(setting).Accuracy(Images().test),
              .count = Images().test.images.size(0)}};
       }});
  jobs.push_back({.row = kRealRow, .seed = 1, .run = [setting](Bench&) {
                    const int64_t n = SizesOf(setting).scored_images;
                    return Score(setting,
                                 Images().test.images.slice(0, n, 2 * n),
                                 SizesOf(setting).image_steps);
                  }});
  for (const uint64_t seed : setting.seeds) {
    for (const std::string& loss : SizesOf(setting).image_losses) {
      jobs.push_back({.row = RowOf(loss),
                      .seed = seed,
                      .run = [setting, loss, seed](Bench& bench) {
                        return RunGan(setting, loss, seed, bench);
                      }});
    }
  }
  return jobs;
}

std::vector<Claim> ImageClaims(const Setting& setting) {
  std::vector<Claim> claims;
  for (const std::string& loss : SizesOf(setting).image_losses) {
    claims.push_back({.text = RowOf(loss) + ": less than 5 % of the samples "
                                            "are nearer to a training image "
                                            "than 99 % of real ones are",
                      .left = KeyOf(setting, RowOf(loss), "memorised"),
                      .bound = 5});
  }
  return claims;
}

std::vector<NamedTable> ImageTables(const Setting& setting,
                                    const Measurements& measured) {
  report::Table table({{.name = "loss"},
                       {.name = "inception score"},
                       {.name = "Frechet distance"},
                       {.name = "memorised", .unit = "%"},
                       {.name = "nearest training image"}});
  const auto add = [&](const std::string& name, const std::string& row) {
    if (Spread(measured, KeyOf(setting, row, "memorised"), 1) == "-") return;
    table.AddRow(
        {name, Spread(measured, KeyOf(setting, row, "inception score"), 2),
         Spread(measured, KeyOf(setting, row, "Frechet distance"), 1),
         Spread(measured, KeyOf(setting, row, "memorised"), 1),
         Spread(measured, KeyOf(setting, row, "nearest training image"), 2)});
  };
  add("real images, held out", kRealRow);
  for (const std::string& loss : SizesOf(setting).image_losses) {
    add(loss, RowOf(loss));
  }
  if (table.rows().empty()) return {};
  return {{"Fashion-MNIST", table,
           "Inception score and Frechet distance by a classifier trained here "
           "(their values compare with each other alone), against held-out "
           "images. Memorised: samples nearer to a training image than 99 in "
           "100 held-out images are; real images have 1. Mean and deviation "
           "over seeds."}};
}

}  // namespace ropewalk::lab::studies::monoflow
