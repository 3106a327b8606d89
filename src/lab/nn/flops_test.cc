// Counts of operations, against sums written out by hand.

#include <gtest/gtest.h>

#include "lab/nn/model.h"
#include "lab/nn/plain_model_for_test.h"

namespace ropewalk::lab::nn {
namespace {

// Weights of a layer's self-attention, of its feed-forward part, of its gains.
struct Weights {
  double attention, feed, gains;
};

Weights Of(const ModelConfig& c) {
  const auto E = static_cast<double>(c.E), HD = static_cast<double>(c.H * c.D),
             GD = static_cast<double>(c.G * c.D);
  return {E * (2 * HD + 2 * GD), 3 * E * static_cast<double>(c.F), 2 * E};
}

TEST(FlopsTest, DecoderReadsOneStream) {
  ModelConfig c = TinyLlama();
  const Weights w = Of(c);
  const double S = 5, T = 7, n = S + T, L = static_cast<double>(c.L);
  const double head = static_cast<double>(c.V * c.E) * T;
  const double width = static_cast<double>(2 * c.H * c.D);
  const double blocks = L * (w.attention + w.feed + w.gains) * n;
  EXPECT_EQ(Model(c, 1).ForwardFlops(5, 7),
            2 * (blocks + head + L * width * n * (n + 1) / 2));
  c.mask = Mask::kPrefix;  // the input's own upper triangle on top
  EXPECT_EQ(
      Model(c, 1).ForwardFlops(5, 7),
      2 * (blocks + head + L * width * (n * (n + 1) / 2 + S * (S - 1) / 2)));
  c.mask = Mask::kBidirectional;
  EXPECT_EQ(
      Model(c, 1).ForwardFlops(0, 12),
      2 * (blocks + static_cast<double>(c.V * c.E) * n + L * width * n * n));
}

TEST(FlopsTest, WindowsSeeTheirReach) {
  ModelConfig c = TinyLlama();
  c.position = "window:size=4";
  const double windowed = Model(c, 1).ForwardFlops(0, 12);
  c.position = "rope";
  const double full = Model(c, 1).ForwardFlops(0, 12);
  // 78 pairs, of which 12 * 4 - 6 are left.
  const auto width = static_cast<double>(2 * c.H * c.D * c.L);
  EXPECT_EQ(full - windowed, 2 * width * (78 - 42));
}

TEST(FlopsTest, EncoderDecoderCountsEachWeightWhereItRuns) {
  ModelConfig c = TinyLlama();
  c.architecture = Architecture::kEncoderDecoder;
  const Weights w = Of(c);
  const double S = 5, T = 7, L = static_cast<double>(c.L);
  const auto E = static_cast<double>(c.E), HD = static_cast<double>(c.H * c.D),
             GD = static_cast<double>(c.G * c.D);
  const double head = static_cast<double>(c.V * c.E) * T;
  const double width = static_cast<double>(2 * c.H * c.D);
  const double pairs = S * S + T * (T + 1) / 2 + S * T;
  const double cross = 2 * E * HD * T + 2 * E * GD * S;
  const double blocks = (w.attention + w.feed + w.gains) * S +
                        (w.attention + w.feed + w.gains + E) * T + cross;
  EXPECT_EQ(Model(c, 1).ForwardFlops(5, 7),
            2 * (head + L * (blocks + width * pairs)));
  c.causal_encoder = true;
  EXPECT_EQ(Model(c, 1).ForwardFlops(5, 7),
            2 * (head + L * (blocks + width * (pairs - S * (S - 1) / 2))));
  c.causal_encoder = false;
  // One set of blocks runs on both sides, and cross attention has no more.
  c.architecture = Architecture::kEncoderDecoderShared;
  EXPECT_EQ(Model(c, 1).ForwardFlops(5, 7),
            2 * (head + L * ((w.attention + w.feed + w.gains + E) * (S + T) +
                             cross + width * pairs)));
}

TEST(FlopsTest, TrainingIsThreeTimesForward) {
  ModelConfig c = TinyGau();
  EXPECT_EQ(Model(c, 1).TrainingFlops(9), 3 * Model(c, 1).ForwardFlops(0, 9));
  c = TinyLlama();
  c.architecture = Architecture::kEncoderDecoder;
  EXPECT_EQ(Model(c, 1).TrainingFlops(9), 3 * Model(c, 1).ForwardFlops(9, 9));
}

}  // namespace
}  // namespace ropewalk::lab::nn
