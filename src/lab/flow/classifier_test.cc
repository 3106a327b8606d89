#include "lab/flow/classifier.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>

#include "base/error.h"
#include "lab/flow/draws.h"
#include "lab/flow/gan.h"
#include "lab/flow/targets.h"
#include "lab/flow/tensor_file.h"

namespace ropewalk::lab::flow {
namespace {

namespace fs = std::filesystem;

// Noise with a bright upper or lower half.
LabelledImages Halves(int64_t n, uint64_t seed) {
  at::Generator draws = Draws(seed, Purpose::kTarget);
  LabelledImages set{
      .images =
          0.3 * Normal({n, 1, 28, 28}, draws, at::dtype(at::kFloat)) - 0.5,
      .labels = at::arange(n, at::kLong) % 2};
  for (int64_t i = 0; i < n; ++i) {
    set.images[i].slice(1, 14 * (i % 2), 14 * (i % 2) + 14) += 1;
  }
  return set;
}

TEST(ClassifierTest, LearnsAndKeepsWhatItLearned) {
  const ClassifierOptions options{.classes = 2, .steps = 40, .batch = 32};
  Classifier classifier(options);
  const LabelledImages test = Halves(200, 2);
  classifier.Train(Halves(400, 1));
  EXPECT_GT(classifier.Accuracy(test), 95);
  const std::string path = fs::path(testing::TempDir()) / "eyes.safetensors";
  classifier.Save(path);
  Classifier other({.classes = 2, .seed = 9});
  other.Load(path);
  EXPECT_TRUE(other.Logits(test.images).equal(classifier.Logits(test.images)));
  Classifier ten({.classes = 10});
  EXPECT_THROW(ten.Load(path), FormatError);
  fs::remove(path);
}

// Real images of one law score as real; copies of the training set as
// memorised; noise as neither of the classes.
TEST(ClassifierTest, ScoresTellRealFromCopiedFromNoise) {
  Classifier classifier({.classes = 2, .steps = 40, .batch = 32});
  const LabelledImages train = Halves(400, 1);
  classifier.Train(train);
  const at::Tensor heldout = Halves(300, 2).images;
  const ImageScores real =
      ScoreImages(classifier, Halves(300, 3).images, heldout, train.images);
  const ImageScores copied = ScoreImages(
      classifier, train.images.slice(0, 0, 300) + 0.001, heldout, train.images);
  at::Generator draws = Draws(4, Purpose::kNoise);
  const ImageScores noise = ScoreImages(
      classifier, Normal({300, 1, 28, 28}, draws, at::dtype(at::kFloat)),
      heldout, train.images);
  EXPECT_GT(real.inception, 1.8);
  EXPECT_LT(real.memorised, 0.05);
  EXPECT_EQ(copied.memorised, 1);
  EXPECT_LT(copied.nearest, 0.1 * real.nearest);
  EXPECT_LT(5 * real.frechet, noise.frechet);
}

TEST(ClassifierTest, WhatIsNotFiniteIsNeitherScoredNorKept) {
  Classifier classifier({.classes = 2, .steps = 1, .batch = 8});
  const at::Tensor good = Halves(20, 1).images;
  at::Tensor bad = good.clone();
  bad[7][0][3][4] = NAN;
  EXPECT_NO_THROW(ScoreImages(classifier, good, good, good));
  for (const auto& [samples, heldout, train] :
       {std::tuple{bad, good, good}, {good, bad, good}, {good, good, bad}}) {
    try {
      ScoreImages(classifier, samples, heldout, train);
      ADD_FAILURE();
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find("NaN"), std::string::npos);
    }
  }
  EXPECT_THROW(FrechetDistance(classifier, bad, good), std::invalid_argument);
  LabelledImages spoilt = Halves(20, 1);
  spoilt.images = bad;
  EXPECT_THROW(classifier.Train(spoilt), std::invalid_argument);

  const std::string path = fs::path(testing::TempDir()) / "nan.safetensors";
  classifier.Save(path);
  TensorFile file = ReadTensorFile(path);
  file.tensors[2].second.view({-1})[0] = NAN;
  WriteTensorFile(path, file);
  const at::Tensor before = classifier.Logits(good);
  EXPECT_THROW(classifier.Load(path), FormatError);
  EXPECT_TRUE(before.equal(classifier.Logits(good)));
  fs::remove(path);
}

// At a rate that overflows.
TEST(ClassifierTest, WeightsThatRanAwayAreNotSaved) {
  Classifier classifier({.classes = 2, .steps = 1, .batch = 8, .rate = 1e300});
  classifier.Train(Halves(20, 1));
  const std::string path = fs::path(testing::TempDir()) / "huge.safetensors";
  fs::remove(path);  // of a run that failed here
  EXPECT_THROW(classifier.Save(path), std::runtime_error);
  EXPECT_FALSE(fs::exists(path));
}

TEST(ClassifierTest, OtherShapesAndLabelsAreRefused) {
  Classifier classifier({.classes = 2, .steps = 1, .batch = 8});
  const LabelledImages good = Halves(20, 1);
  for (const at::Tensor& wrong :
       {at::zeros({20, 28, 28}), at::zeros({20, 1, 32, 32}),
        at::zeros({20, 3, 28, 28}), at::zeros({0, 1, 28, 28})}) {
    EXPECT_THROW(classifier.Logits(wrong), std::invalid_argument);
    EXPECT_THROW(classifier.Train({wrong, good.labels}), std::invalid_argument);
    EXPECT_THROW(ScoreImages(classifier, wrong, good.images, good.images),
                 std::invalid_argument);
  }
  EXPECT_THROW(classifier.Train({good.images, good.labels + 1}),
               std::invalid_argument);
  EXPECT_THROW(classifier.Train({good.images, good.labels - 1}),
               std::invalid_argument);
  EXPECT_THROW(classifier.Train({good.images, good.labels.slice(0, 1)}),
               std::invalid_argument);
  EXPECT_NE(
      classifier.Identity(),
      Classifier({.classes = 2, .steps = 1, .batch = 8, .seed = 2}).Identity());
  EXPECT_NE(classifier.Identity(),
            Classifier({.classes = 2, .steps = 2, .batch = 8}).Identity());
}

// The last bias alone gives the mean of the data, and a fresh generator is
// about there.
TEST(NetworksTest, AGeneratorBeginsAtTheMeanPixel) {
  at::Generator draws = Draws(1, Purpose::kNoise);
  const at::Tensor z = Normal({50, 16}, draws, at::dtype(at::kFloat));
  const double mean =
      ImageGenerator(16, 8, {}, -0.4).Forward(z).mean().item<double>();
  EXPECT_NEAR(mean, -0.4, 0.05);
  EXPECT_THROW(ImageGenerator(16, 8, {}, 1), std::invalid_argument);
  EXPECT_THROW(ImageGenerator(16, 12, {}), std::invalid_argument);
  EXPECT_THROW(ImageGenerator(16, 8, {}).Forward(z.slice(1, 0, 9)),
               std::invalid_argument);
}

TEST(NetworksTest, ImagesHaveTheirShapeAndNoSampleSeesAnother) {
  const ImageGenerator g(16, 8, {.seed = 1});
  at::Generator draws = Draws(1, Purpose::kNoise);
  const at::Tensor z = Normal({5, 16}, draws, at::dtype(at::kFloat));
  const at::Tensor all = g.Forward(z);
  EXPECT_EQ(all.sizes(), at::IntArrayRef({5, 1, 28, 28}));
  EXPECT_LE(all.abs().max().item<float>(), 1);
  // Products of another shape are summed in another order: 1e-5 of values
  // below 1.
  const at::Tensor alone = g.Forward(z.slice(0, 2, 3));
  EXPECT_LT((alone - all.slice(0, 2, 3)).abs().max().item<float>(), 1e-5);
  EXPECT_EQ(ImageReader(8, 0, 1, {}).Forward(all).sizes(),
            at::IntArrayRef({5, 1}));
}

// Other images than those of 28x28: bytes of a file, a target, a GAN of them.
TEST(NetworksTest, ImagesOfAnySizeDivisibleByFourAreATarget) {
  const ImageSize size{.height = 12, .width = 20};
  const at::Tensor bytes =
      at::arange(6 * 12 * 20, at::kLong).to(at::kByte).view({6, 12, 20});
  const at::Tensor images = ToPixels(bytes);
  const Sampler sample = Resampler(images);
  at::Generator draws = Draws(1, Purpose::kTarget);
  const at::Tensor drawn = sample(9, draws);
  EXPECT_EQ(drawn.sizes(), at::IntArrayRef({9, 1, 12, 20}));
  for (int64_t i = 0; i < drawn.size(0); ++i) {
    EXPECT_TRUE(images.eq(drawn[i]).flatten(1).all(1).any().item<bool>());
  }
  Gan gan(std::make_unique<ImageGenerator>(4, 8, NetworkOptions{}, 0, size),
          std::make_unique<ImageReader>(4, 0, 1, NetworkOptions{}, size),
          sample, {4}, {.batch = 4});
  EXPECT_FALSE(gan.Train(2).diverged.has_value());
  EXPECT_EQ(gan.Generate(3, 1).sizes(), at::IntArrayRef({3, 1, 12, 20}));
  // A reader refuses the images of another size, by both.
  try {
    ImageReader(4, 0, 1, {}, size).Forward(at::zeros({1, 1, 28, 28}));
    ADD_FAILURE();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("[N, 1, 12, 20], got [1, 1, 28,"),
              std::string::npos)
        << error.what();
  }
  EXPECT_THROW(ImageGenerator(4, 8, {}, 0, {.height = 30, .width = 28}),
               std::invalid_argument);
  EXPECT_THROW(ImageReader(4, 0, 1, {}, {.height = 28, .width = 0}),
               std::invalid_argument);
  EXPECT_THROW(Resampler(images.slice(0, 0, 1)), std::invalid_argument);
  EXPECT_THROW(Resampler(images.slice(3, 0, 0)), std::invalid_argument);
  EXPECT_THROW(Resampler(at::zeros({5})), std::invalid_argument);
}

TEST(ClassifierTest, OnCudaImagesMayLieAnywhere) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  const LabelledImages here = Halves(60, 1);
  const LabelledImages there{here.images.cuda(), here.labels.cuda()};
  for (const at::Device device :
       {at::Device(at::kCPU), at::Device(at::kCUDA)}) {
    Classifier classifier(
        {.classes = 2, .steps = 3, .batch = 8, .device = device});
    classifier.Train(here);
    classifier.Train(there);
    EXPECT_EQ(classifier.Accuracy(here), classifier.Accuracy(there));
    EXPECT_NO_THROW(
        ScoreImages(classifier, there.images, here.images, there.images));
  }
}

}  // namespace
}  // namespace ropewalk::lab::flow
