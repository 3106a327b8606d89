#include "lab/flow/classifier.h"

#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "lab/flow/draws.h"
#include "lab/flow/finite.h"
#include "lab/flow/gan.h"
#include "lab/flow/gradient.h"
#include "lab/flow/tensor_file.h"

namespace ropewalk::lab::flow {
namespace {

constexpr int64_t kChannels = 16;
constexpr int64_t kFeatures = 64;

}  // namespace

Classifier::Classifier(const ClassifierOptions& options)
    : options_(options),
      reader_(kChannels, kFeatures, options.classes,
              {.seed = options.seed, .device = options.device}) {
  Require(options.steps >= 1 && options.batch >= 1 && options.rate > 0,
          "classifier: steps, batch and rate are above 0");
}

std::string Classifier::Identity() const {
  return std::to_string(kChannels) + " channels, " + std::to_string(kFeatures) +
         " features, " + std::to_string(options_.classes) + " classes, " +
         std::to_string(options_.steps) + " steps of " +
         std::to_string(options_.batch) + " at " + FormatNumber(options_.rate) +
         ", seed " + std::to_string(options_.seed);
}

void Classifier::Train(const LabelledImages& images,
                       const std::function<void(int64_t)>& each) {
  RequireImages(images.images, "classifier");
  Require(IsFinite(images.images), "classifier: a pixel is not finite");
  Require(images.labels.dim() == 1 &&
              images.labels.size(0) == images.images.size(0),
          "classifier: a label for each image, [N]");
  const auto lowest = images.labels.min().item<int64_t>();
  const auto highest = images.labels.max().item<int64_t>();
  Require(lowest >= 0 && highest < options_.classes,
          "classifier: labels are 0 to " +
              std::to_string(options_.classes - 1) + ", got " +
              std::to_string(lowest < 0 ? lowest : highest));
  const auto adam = MakeAdam(reader_, {.rate = options_.rate});
  for (int64_t step = 0; step < options_.steps; ++step) {
    at::Generator draws = Draws(options_.seed, Purpose::kTarget, step);
    const at::Tensor chosen = at::randint(
        images.images.size(0), {options_.batch}, draws, at::dtype(at::kLong));
    const at::Tensor logits = reader_.Forward(
        images.images.index_select(0, chosen.to(images.images.device()))
            .to(options_.device));
    const at::Tensor labels =
        images.labels.index_select(0, chosen.to(images.labels.device()))
            .to(options_.device);
    FillGradients(at::nll_loss(at::log_softmax(logits, 1), labels),
                  reader_.parameters());
    adam->Step({});
    if (each) each(step + 1);
  }
}

at::Tensor Classifier::InRuns(const at::Tensor& images, bool features) const {
  const torch::autograd::AutoGradMode off(false);
  RequireImages(images, "classifier");
  constexpr int64_t kRun = 1000;
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < images.size(0); begin += kRun) {
    const at::Tensor part =
        images.slice(0, begin, std::min(begin + kRun, images.size(0)))
            .to(options_.device);
    parts.push_back((features ? reader_.Features(part) : reader_.Forward(part))
                        .to(at::kCPU));
  }
  return at::cat(parts);
}

at::Tensor Classifier::Logits(const at::Tensor& images) const {
  return InRuns(images, false);
}

at::Tensor Classifier::Features(const at::Tensor& images) const {
  return InRuns(images, true);
}

double Classifier::Accuracy(const LabelledImages& images) const {
  return 100 * Logits(images.images)
                   .argmax(1)
                   .eq(images.labels.to(at::kCPU))
                   .to(at::kDouble)
                   .mean()
                   .item<double>();
}

void Classifier::Save(const std::string& path) const {
  TensorFile file;
  for (const optim::Parameter& one : reader_.parameters()) {
    if (!IsFinite(one.value)) {
      throw std::runtime_error("classifier: '" + one.name +
                               "' holds NaN or infinity and is not saved");
    }
    file.tensors.emplace_back(one.name, one.value);
  }
  WriteTensorFile(path, file);
}

void Classifier::Load(const std::string& path) {
  const TensorFile file = ReadTensorFile(path);
  for (const optim::Parameter& one : reader_.parameters()) {
    if (file.Get(one.name, path).sizes() != one.value.sizes()) {
      throw FormatError(path, 0, "'" + one.name + "' has another shape");
    }
    if (!IsFinite(file.Get(one.name, path))) {
      throw FormatError(path, 0,
                        "'" + one.name +
                            "' holds NaN or infinity; remove the file to "
                            "train anew");
    }
  }
  const torch::autograd::AutoGradMode off(false);
  for (const optim::Parameter& one : reader_.parameters()) {
    at::Tensor value = one.value;
    value.copy_(file.Get(one.name, path));
  }
}

double FrechetDistance(const Classifier& classifier, const at::Tensor& samples,
                       const at::Tensor& heldout) {
  const double distance = GaussianW2(MomentsOf(classifier.Features(samples)),
                                     MomentsOf(classifier.Features(heldout)));
  return distance * distance;
}

ImageScores ScoreImages(const Classifier& classifier, const at::Tensor& samples,
                        const at::Tensor& heldout, const at::Tensor& train) {
  for (const auto& [name, images] : {std::pair{"samples", &samples},
                                     {"held-out images", &heldout},
                                     {"training images", &train}}) {
    RequireImages(*images, std::string("scores of ") + name);
    Require(images->size(0) >= 2, std::string("scores: two or more ") + name);
    Require(IsFinite(*images),
            std::string("scores: ") + name + " hold NaN or infinity");
  }
  const at::Tensor ours = NearestDistances(samples, train).to(at::kCPU);
  const at::Tensor theirs = NearestDistances(heldout, train).to(at::kCPU);
  const at::Tensor near =
      std::get<0>(at::kthvalue(theirs, 1 + theirs.size(0) / 100));
  return {.inception = InceptionScore(classifier.Logits(samples)),
          .frechet = FrechetDistance(classifier, samples, heldout),
          .memorised = ours.lt(near).to(at::kDouble).mean().item<double>(),
          .nearest = ours.median().item<double>(),
          .heldout_nearest = theirs.median().item<double>()};
}

}  // namespace ropewalk::lab::flow
