#include "lab/flow/classifier.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "lab/flow/draws.h"

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

}  // namespace
}  // namespace ropewalk::lab::flow
