// Fashion-MNIST: a small convolutional pair under four losses, scored by a
// classifier trained here.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "base/interrupt.h"
#include "base/sha256.h"
#include "base/text.h"
#include "lab/flow/classifier.h"
#include "lab/flow/draws.h"
#include "lab/flow/files.h"
#include "lab/flow/gan.h"
#include "lab/studies/bench.h"
#include "lab/studies/monoflow/monoflow.h"
#include "lab/train/text_source.h"

namespace ropewalk::lab::studies::monoflow {
namespace {

namespace fs = std::filesystem;

constexpr const char* kImageSet = "Fashion-MNIST";
constexpr const char* kClassifierRow = "Fashion-MNIST, classifier";
constexpr const char* kRealRow = "Fashion-MNIST, held-out images";
constexpr const char* kTrainingRow = "Fashion-MNIST, training images";
constexpr const char* kUntrainedRow = "Fashion-MNIST, untrained generator";
constexpr const char* kUnshifted = "vanilla:C=0";
constexpr int64_t kNoise = 64;
constexpr int64_t kImagesShown = 64;
constexpr int64_t kSaveEvery = 100;
constexpr double kPilotAverage = 0.99;
constexpr double kLonger = 2.5;
constexpr const char* kShare = "Frechet distance, share of untrained";

std::string RowOf(const std::string& loss) {
  return std::string(kImageSet) + ", " + loss;
}

at::Tensor ToBytes(const at::Tensor& images) {
  return ((images + 1) * 127.5).round().clamp(0, 255).to(at::kByte);
}

// The images once a process: 47 MB of them, a second to unpack.
const flow::ImageSet& Images() {
  static const flow::ImageSet kImages = flow::ReadFashionMnist();
  return kImages;
}

double MeanPixel() {
  static const double kMean = Images().train.images.mean().item<double>();
  return kMean;
}

// Of all training images and labels, so that a state of other data is never
// taken for one of these.
const std::string& DataHash() {
  static const std::string kHash = [] {
    const flow::LabelledImages& train = Images().train;
    const at::Tensor pixels = ToBytes(train.images).contiguous();
    const at::Tensor labels = train.labels.to(at::kByte).contiguous();
    const auto bytes = [](const at::Tensor& tensor) {
      return std::string_view(static_cast<const char*>(tensor.data_ptr()),
                              tensor.nbytes());
    };
    return Sha256(Sha256(bytes(pixels)) + Sha256(bytes(labels))).substr(0, 12);
  }();
  return kHash;
}

// States of runs are no result: they stand with the trained models of other
// studies, and may go once their rows are there. The name holds a hash of what
// was trained on what: whatever is changed has a file of its own. Empty where
// the cache cannot be used: then nothing is kept.
std::string CachePath(const Setting& setting, const std::string& name,
                      const std::string& identity) {
  const std::string folder =
      train::UsableCache((fs::path(train::CacheFolder()) / "studies" /
                          ("monoflow-" + ToString(setting.scale)))
                             .string(),
                         "");
  if (folder.empty()) return "";
  return (fs::path(folder) / StateFile(name, identity, DataHash())).string();
}

// Trained where no other job has; every row is scored by the same eyes.
flow::Classifier MakeClassifier(const Setting& setting) {
  const Sizes sizes = SizesOf(setting);
  flow::Classifier classifier(
      {.steps = sizes.classifier_steps, .device = flow::BestDevice()});
  const std::string path =
      CachePath(setting, "classifier", classifier.Identity());
  if (!path.empty() && fs::exists(path)) {
    classifier.Load(path);
    return classifier;
  }
  Steps progress(kClassifierRow, 1, sizes.classifier_steps);
  classifier.Train(Images().train, [&](int64_t) { progress.Add(); });
  if (!path.empty()) classifier.Save(path);
  return classifier;
}

// Held-out images by their use: `part` 0 is what rows are held against, 1 the
// real images that are scored like samples, 2 what the pilot is held against,
// so that rates are not chosen by what the table reports. Nothing where the
// test images do not reach so far.
at::Tensor HeldOut(const Setting& setting, int64_t part) {
  const int64_t n = SizesOf(setting).scored_images;
  const at::Tensor& images = Images().test.images;
  if ((part + 1) * n > images.size(0)) return {};
  return images.slice(0, part * n, (part + 1) * n);
}

Measurement LineOf(int64_t steps, const std::string& metric, double value,
                   int64_t count) {
  return {.set = kImageSet,
          .length = steps,
          .metric = metric,
          .value = value,
          .count = count};
}

std::vector<Measurement> Score(const Setting& setting,
                               const at::Tensor& samples) {
  const int64_t steps = SizesOf(setting).image_steps;
  // Smoke looks at some of the training images, the others at all of them.
  const at::Tensor& train = Images().train.images;
  const flow::ImageScores scores = flow::ScoreImages(
      MakeClassifier(setting), samples, HeldOut(setting, 0),
      setting.scale == Scale::kSmoke ? train.slice(0, 0, 2000) : train);
  const int64_t n = samples.size(0);
  return {LineOf(steps, "inception score", scores.inception, n),
          LineOf(steps, "Frechet distance", scores.frechet, n),
          LineOf(steps, "memorised", 100 * scores.memorised, n),
          LineOf(steps, "nearest training image", scores.nearest, n)};
}

std::unique_ptr<flow::ImageGenerator> MakeGenerator(const Sizes& sizes,
                                                    const ImageRecipe& recipe,
                                                    uint64_t seed) {
  return std::make_unique<flow::ImageGenerator>(
      kNoise, sizes.image_channels,
      flow::NetworkOptions{.seed = 2 * seed, .device = flow::BestDevice()},
      recipe.from_mean ? MeanPixel() : 0);
}

// A pair that learns, and what says all that its state follows from.
struct ImageRun {
  flow::Gan gan;
  std::string identity;
};

ImageRun MakeRun(const Sizes& sizes, const ImageRecipe& recipe,
                 const std::string& loss, uint64_t seed, int64_t steps) {
  flow::GanOptions options{
      .loss = loss,
      .batch = sizes.image_batch,
      .generator = {.rate = recipe.generator_rate, .beta1 = 0.5},
      .discriminator = {.rate = recipe.discriminator_rate, .beta1 = 0.5},
      .average = recipe.average,
      .seed = seed};
  if (recipe.decay > 0) {
    options.decay_to = steps;
    options.decay_from =
        std::llround(static_cast<double>(steps) * (1 - recipe.decay));
  }
  const std::string identity = StateIdentity(
      options, steps, kNoise, sizes.image_channels, recipe.from_mean);
  const at::Tensor& images = Images().train.images;
  return {.gan = flow::Gan(
              MakeGenerator(sizes, recipe, seed),
              std::make_unique<flow::ImageReader>(
                  sizes.image_channels, 0, 1,
                  flow::NetworkOptions{.seed = 2 * seed + 1,
                                       .device = flow::BestDevice()}),
              [images](int64_t n, at::Generator& draws) {
                return images.index_select(
                    0, at::randint(images.size(0), {n}, draws,
                                   at::dtype(at::kLong)));
              },
              {kNoise}, options),
          .identity = identity};
}

// From where its last state was saved, if it was.
flow::GanReport TrainRun(const Setting& setting, const std::string& row,
                         uint64_t seed, int64_t steps, ImageRun* run) {
  const std::string path =
      CachePath(setting, row + " s" + std::to_string(seed), run->identity);
  const bool keep = !path.empty();
  if (keep && fs::exists(path)) run->gan.Load(path, run->identity);
  Steps progress(row, seed, steps - run->gan.steps());
  const flow::GanReport report =
      run->gan.Train(steps, [&](const flow::GanReport& now) {
        if (keep && (now.steps % kSaveEvery == 0 || now.steps == steps ||
                     PendingInterrupt() != 0)) {
          run->gan.Save(path, run->identity);
        }
        progress.Add();
      });
  if (report.diverged) {
    std::fprintf(stderr, "monoflow: %s: %s; scored as it was after step %lld\n",
                 row.c_str(), report.diverged->c_str(),
                 static_cast<long long>(report.steps));
  }
  return report;
}

// A run of samples at a time, which is what memory holds.
at::Tensor Samples(
    const Setting& setting, uint64_t seed,
    const std::function<at::Tensor(int64_t n, uint64_t seed)>& generate) {
  constexpr int64_t kRun = 500;
  const int64_t n = SizesOf(setting).scored_images;
  std::vector<at::Tensor> samples;
  for (int64_t done = 0; done < n; done += kRun) {
    ThrowIfInterrupted();
    samples.push_back(generate(std::min(kRun, n - done),
                               seed + 1000 + static_cast<uint64_t>(done))
                          .to(at::kCPU));
  }
  return at::cat(samples);
}

// The same networks and noise before their first step.
at::Tensor UntrainedSamples(const Setting& setting, uint64_t seed) {
  const Sizes sizes = SizesOf(setting);
  const flow::Gan gan =
      MakeRun(sizes, sizes.images, "logit", seed, sizes.image_steps).gan;
  return Samples(setting, seed, [&](int64_t n, uint64_t draws) {
    return gan.Generate(n, draws);
  });
}

std::vector<Measurement> RunGan(const Setting& setting, const std::string& loss,
                                uint64_t seed, const Bench& bench) {
  const Sizes sizes = SizesOf(setting);
  ImageRun run = MakeRun(sizes, sizes.images, loss, seed, sizes.image_steps);
  const std::string row = RowOf(loss);
  const flow::GanReport report =
      TrainRun(setting, row, seed, sizes.image_steps, &run);
  if (seed == 1) {
    LeaveParticles(
        bench, setting, row,
        {{"images", ToBytes(run.gan.Generate(kImagesShown, 0).to(at::kCPU))}});
  }
  const at::Tensor samples = Samples(
      setting, seed,
      [&](int64_t n, uint64_t draws) { return run.gan.Generate(n, draws); });
  std::vector<Measurement> lines = Score(setting, samples);
  const flow::Classifier classifier = MakeClassifier(setting);
  const at::Tensor heldout = HeldOut(setting, 0);
  lines.push_back(
      LineOf(sizes.image_steps, kShare,
             flow::FrechetDistance(classifier, samples, heldout) /
                 flow::FrechetDistance(
                     classifier, UntrainedSamples(setting, seed), heldout),
             samples.size(0)));
  lines.push_back(LineOf(sizes.image_steps, kStepsKept,
                         static_cast<double>(report.steps), 0));
  return lines;
}

// A short training under one recipe, scored on images that the table does not
// see: by the parameters of its end and by their average. What is about the end
// of a training wants longer ones.
struct Pilot {
  const char* name;
  ImageRecipe recipe;
  double longer = 1;  // times the steps of a pilot
};

const std::vector<Pilot>& Pilots() {
  static const std::vector<Pilot> kPilots = {
      {"G 1e-4, D 2e-4", {1e-4, 2e-4}},
      {"G 2e-4, D 4e-4", {2e-4, 4e-4}},
      {"G 4e-4, D 4e-4", {4e-4, 4e-4}},
      {"G 4e-4, D 8e-4", {4e-4, 8e-4}},
      {"G 4e-4, D 8e-4, from the mean",
       {.generator_rate = 4e-4, .discriminator_rate = 8e-4, .from_mean = true}},
      {"G 4e-4, D 8e-4, from the mean, rates fall",
       {.generator_rate = 4e-4,
        .discriminator_rate = 8e-4,
        .decay = 0.4,
        .from_mean = true}},
      {"G 8e-4, D 8e-4, from the mean",
       {.generator_rate = 8e-4, .discriminator_rate = 8e-4, .from_mean = true}},
      {"longer, G 4e-4, D 8e-4, from the mean",
       {.generator_rate = 4e-4, .discriminator_rate = 8e-4, .from_mean = true},
       kLonger},
      {"longer, G 4e-4, D 8e-4, from the mean, rates fall",
       {.generator_rate = 4e-4,
        .discriminator_rate = 8e-4,
        .decay = 0.4,
        .from_mean = true},
       kLonger},
  };
  return kPilots;
}

std::string PilotRow(const std::string& name) {
  return std::string(kImageSet) + " pilot, " + name;
}

int64_t StepsOf(const Setting& setting, const Pilot& pilot) {
  return std::llround(static_cast<double>(SizesOf(setting).pilot_steps) *
                      pilot.longer);
}

std::vector<Measurement> RunPilot(const Setting& setting, const Pilot& pilot) {
  constexpr uint64_t kSeed = 1;
  const Sizes sizes = SizesOf(setting);
  const int64_t steps = StepsOf(setting, pilot);
  ImageRecipe recipe = pilot.recipe;
  recipe.average = kPilotAverage;
  ImageRun run = MakeRun(sizes, recipe, "logit", kSeed, steps);
  const flow::GanReport report =
      TrainRun(setting, PilotRow(pilot.name), kSeed, steps, &run);
  const flow::Classifier classifier = MakeClassifier(setting);
  std::vector<Measurement> lines;
  for (const auto& [suffix, weights] :
       {std::pair{"", flow::Gan::Weights::kLast},
        std::pair{", averaged", flow::Gan::Weights::kAverage}}) {
    const at::Tensor samples =
        Samples(setting, kSeed, [&, use = weights](int64_t n, uint64_t draws) {
          return run.gan.Generate(n, draws, use);
        });
    lines.push_back(LineOf(steps, std::string("inception score") + suffix,
                           flow::InceptionScore(classifier.Logits(samples)),
                           samples.size(0)));
    lines.push_back(
        LineOf(steps, std::string("Frechet distance") + suffix,
               flow::FrechetDistance(classifier, samples, HeldOut(setting, 2)),
               samples.size(0)));
  }
  lines.push_back(
      LineOf(steps, kStepsKept, static_cast<double>(report.steps), 0));
  return lines;
}

CellKey KeyOf(const Setting& setting, const std::string& row,
              const std::string& metric) {
  return {.row = row,
          .set = kImageSet,
          .length = SizesOf(setting).image_steps,
          .metric = metric};
}

}  // namespace

std::string StateIdentity(const flow::GanOptions& options, int64_t steps,
                          int64_t noise, int64_t channels, bool from_mean) {
  const auto adam = [](const flow::AdamOptions& of) {
    return FormatNumber(of.rate) + " (" + FormatNumber(of.beta1) + ", " +
           FormatNumber(of.beta2) + ")";
  };
  // What is written in the networks' code alone has no number; whoever changes
  // it counts up.
  return "networks 1, " + options.loss + ", seed " +
         std::to_string(options.seed) + ", steps " + std::to_string(steps) +
         ", batch " + std::to_string(options.batch) + ", noise " +
         std::to_string(noise) + ", channels " + std::to_string(channels) +
         ", D steps " + std::to_string(options.discriminator_steps) +
         ", Adam " + adam(options.generator) + " and " +
         adam(options.discriminator) + ", decay " +
         std::to_string(options.decay_from) + " to " +
         std::to_string(options.decay_to) + ", average " +
         FormatNumber(options.average) + ", from " +
         (from_mean ? "the mean" : "0") + ", objective " +
         std::to_string(static_cast<int>(options.objective)) +
         (options.regression ? ", regression" : "") + ", inner steps " +
         std::to_string(options.inner_steps) + ", move " +
         FormatNumber(options.epsilon) + ", logits to " +
         FormatNumber(options.largest_logit) + ", kept every " +
         std::to_string(options.keep_every);
}

std::string StateFile(const std::string& name, const std::string& identity,
                      const std::string& data) {
  std::string file = name;
  for (char& c : file) {
    if (c == ':' || c == '=' || c == ' ' || c == ',') c = '-';
  }
  const std::string hash = Sha256(identity + ", data " + data);
  return file + "-" + hash.substr(0, 12) + ".safetensors";
}

std::vector<Job> ImageJobs(const Setting& setting) {
  std::vector<Job> jobs;
  jobs.push_back(
      {.row = kClassifierRow, .seed = 1, .run = [setting](Bench&) {
         return std::vector<Measurement>{
             {.set = kImageSet,
              .length = SizesOf(setting).classifier_steps,
              .metric = "test accuracy",
              .value = MakeClassifier(setting).Accuracy(Images().test),
              .count = Images().test.images.size(0)}};
       }});
  jobs.push_back({.row = kRealRow, .seed = 1, .run = [setting](Bench&) {
                    return Score(setting, HeldOut(setting, 1));
                  }});
  // What copies score: all of them memorised, by far.
  jobs.push_back({.row = kTrainingRow, .seed = 1, .run = [setting](Bench&) {
                    return Score(setting,
                                 Images().train.images.slice(
                                     0, 0, SizesOf(setting).scored_images));
                  }});
  if (SizesOf(setting).pilot_steps > 0) {
    for (const Pilot& pilot : Pilots()) {
      jobs.push_back({.row = PilotRow(pilot.name),
                      .seed = 1,
                      .run = [setting, pilot](Bench&) {
                        return RunPilot(setting, pilot);
                      }});
    }
  }
  for (const uint64_t seed : setting.seeds) {
    jobs.push_back(
        {.row = kUntrainedRow, .seed = seed, .run = [setting, seed](Bench&) {
           return Score(setting, UntrainedSamples(setting, seed));
         }});
  }
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
  const std::vector<std::string> losses = SizesOf(setting).image_losses;
  for (const std::string& loss : losses) {
    // Without a shift the slope vanishes: that one is set beside C = 5 below.
    if (loss == kUnshifted) continue;
    claims.push_back({.text = RowOf(loss) +
                              ": ends at less than a quarter of the "
                              "untrained generator's Frechet distance",
                      .left = KeyOf(setting, RowOf(loss), kShare),
                      .bound = 0.25});
  }
  // What a generator's samples score says nothing where they are far from any
  // image; that copies would be found is what can be shown.
  claims.push_back({.text = "Fashion-MNIST: copies of training images pass for "
                            "memorised, other real images do not",
                    .left = KeyOf(setting, kRealRow, "memorised"),
                    .right = KeyOf(setting, kTrainingRow, "memorised"),
                    .amount = 90});
  if (std::ranges::find(losses, kUnshifted) != losses.end()) {
    claims.push_back(
        {.text = "Fashion-MNIST: the vanilla loss ends nearer to the real "
                 "images with C = 5 than with C = 0 (Frechet distance)",
         .left = KeyOf(setting, RowOf("vanilla:C=5"), "Frechet distance"),
         .right = KeyOf(setting, RowOf(kUnshifted), "Frechet distance")});
  }
  return claims;
}

std::vector<NamedTable> ImageTables(const Setting& setting,
                                    const Measurements& measured) {
  std::vector<NamedTable> tables;
  report::Table table({{.name = "images of"},
                       {.name = "inception score"},
                       {.name = "Frechet distance"},
                       {.name = "share of untrained"},
                       {.name = "memorised", .unit = "%"},
                       {.name = "nearest training image"}});
  const auto add = [&](const std::string& name, const std::string& row) {
    if (Spread(measured.lines(), KeyOf(setting, row, "memorised"), 1) == "-")
      return;
    table.AddRow(
        {name + Diverged(measured, row),
         Spread(measured.lines(), KeyOf(setting, row, "inception score"), 2),
         Spread(measured.lines(), KeyOf(setting, row, "Frechet distance"), 1),
         Spread(measured.lines(), KeyOf(setting, row, kShare), 3),
         Spread(measured.lines(), KeyOf(setting, row, "memorised"), 1),
         Spread(measured.lines(), KeyOf(setting, row, "nearest training image"),
                2)});
  };
  add("real, held out", kRealRow);
  add("real, of the training set", kTrainingRow);
  add("an untrained generator", kUntrainedRow);
  for (const std::string& loss : SizesOf(setting).image_losses) {
    add(loss, RowOf(loss));
  }
  if (!table.rows().empty()) {
    tables.push_back(
        {"Fashion-MNIST", table,
         "Inception score and Frechet distance by a classifier trained here "
         "(their values compare with each other alone), against held-out "
         "images that it was not trained on: what other held-out images score "
         "is as near as one can come. Memorised: samples nearer to a training "
         "image than 99 in 100 held-out images are, which says something of "
         "those alone that lie about as near as real images do; nearest "
         "training image: the median Euclidean distance of pixels in [-1, 1]. "
         "Mean and deviation over seeds."});
  }
  report::Table pilot({{.name = "recipe"},
                       {.name = "steps"},
                       {.name = "Frechet distance"},
                       {.name = "averaged"},
                       {.name = "inception score"},
                       {.name = "averaged"}});
  for (const Pilot& one : Pilots()) {
    const std::string row = PilotRow(one.name);
    const auto cell = [&](const std::string& metric, int digits) {
      CellKey key = KeyOf(setting, row, metric);
      key.length = StepsOf(setting, one);
      return Spread(measured.lines(), key, digits);
    };
    if (cell("Frechet distance", 1) == "-") continue;
    pilot.AddRow(
        {one.name + Diverged(measured, row), StepsOf(setting, one),
         cell("Frechet distance", 1), cell("Frechet distance, averaged", 1),
         cell("inception score", 2), cell("inception score, averaged", 2)});
  }
  if (!pilot.rows().empty()) {
    tables.push_back(
        {"Fashion-MNIST, rates", pilot,
         "What rates were chosen by: the logit loss, seed 1, held against test "
         "images that no other row is held against. Averaged: by a moving "
         "average of the generator's parameters (0.99). G and D: Adam's rates; "
         "where they fall, to 0 over the last 40 % of the steps."});
  }
  return tables;
}

}  // namespace ropewalk::lab::studies::monoflow
