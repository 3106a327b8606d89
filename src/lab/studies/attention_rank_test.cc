// The ranks of attention matrices (post 9529), algebra first.

#include "lab/studies/attention_rank.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "lab/studies/rank_sample.h"

namespace ropewalk::lab::studies {
namespace {

class AttentionRankTest : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(11); }
  static at::Tensor Gaussian(int64_t n, int64_t d) {
    return at::randn({n, d}, at::kDouble);
  }
};

TEST_F(AttentionRankTest, FiguresOfKnownMatrices) {
  const RankFigures eye = RankOf(at::eye(7, at::kDouble));
  EXPECT_EQ(eye.rank, 7);
  EXPECT_EQ(eye.full, 7);
  EXPECT_EQ(eye.condition, 1);
  EXPECT_NEAR(eye.effective, 7, 1e-12);
  const at::Tensor column = Gaussian(9, 1);
  const RankFigures outer = RankOf(at::mm(column, column.t()));
  EXPECT_EQ(outer.full, 1);
  EXPECT_NEAR(outer.effective, 1, 1e-9);
  const RankFigures two =
      RankOf(at::diag(at::tensor({4.0, 1e-6}, at::kDouble)));
  EXPECT_EQ(two.rank, 1);
  EXPECT_EQ(two.full, 2);
  EXPECT_NEAR(two.condition, 2.5e-7, 1e-15);
  EXPECT_EQ(two.spectrum, (std::vector<double>{1, 2.5e-7}));
  const RankFigures none = RankOf(at::zeros({3, 3}, at::kDouble));
  EXPECT_EQ(none.rank, 0);
  EXPECT_TRUE(none.spectrum.empty());
}

// Numbers 1, 2, 4 and the last, as geometric means; a value that is 0 counts
// as the last digit of float64.
TEST_F(AttentionRankTest, SpectraAreMeansOfLogarithms) {
  RankSample sample;
  sample.NextGroup();
  sample.Add(
      RankOf(at::diag(at::tensor({8.0, 4.0, 1.0, 1.0, 0.0})).to(at::kDouble)));
  sample.NextGroup();
  sample.Add(RankOf(at::eye(5, at::kDouble)));
  const std::vector<Measurement> lines = sample.Spectrum("softmax");
  ASSERT_EQ(lines.size(), 4u);
  const std::vector<std::pair<int64_t, double>> wanted = {
      {1, 1},
      {2, std::sqrt(0.5)},
      {4, std::sqrt(0.125)},
      {5, std::sqrt(1e-17)}};
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(lines[i].set, "softmax, spectrum curve");
    EXPECT_EQ(lines[i].length, wanted[i].first);
    EXPECT_NEAR(lines[i].value / wanted[i].second, 1, 1e-9);
    EXPECT_EQ(lines[i].count, 2);
  }
  // Means over groups: rank 4 and 5.
  for (const Measurement& line : sample.Lines("softmax", 5)) {
    if (line.metric == "rank at 1e-12") EXPECT_EQ(line.value, 4.5);
  }
}

// Triangular with a positive diagonal: full rank for any scores, where the
// weights themselves have long rounded to 0.
TEST_F(AttentionRankTest, CausalSoftmaxHasFiniteLogDeterminant) {
  const at::Tensor scores = 300 * Gaussian(64, 64);
  const double log_det = LogDeterminant(scores);
  EXPECT_TRUE(std::isfinite(log_det));
  EXPECT_LT(log_det, -745);  // below the logarithm of every double
  const at::Tensor weights = SoftmaxAttention(scores, true);
  EXPECT_EQ(weights.triu(1).abs().max().item<double>(), 0);
  EXPECT_NEAR((weights.sum(1) - 1).abs().max().item<double>(), 0, 1e-12);
}

TEST_F(AttentionRankTest, LogDeterminantIsThatOfElimination) {
  const at::Tensor scores = Gaussian(12, 12);
  const double by_elimination =
      std::get<1>(at::linalg_slogdet(SoftmaxAttention(scores, true)))
          .item<double>();
  EXPECT_NEAR(LogDeterminant(scores), by_elimination, 1e-9);
}

TEST_F(AttentionRankTest, LinearAttentionHasRankDUnlessItIsCausal) {
  const int64_t n = 64, d = 8;
  const at::Tensor q = Gaussian(n, d), k = Gaussian(n, d);
  EXPECT_EQ(RankOf(LinearAttention(q, k, false)).full, d);
  const at::Tensor causal = LinearAttention(q, k, true);
  EXPECT_EQ(causal.triu(1).abs().max().item<double>(), 0);
  EXPECT_GT(causal.diagonal().min().item<double>(), 0);
  EXPECT_EQ(RankOf(causal).full, n);
}

TEST_F(AttentionRankTest, OneTokenAndNonsense) {
  const at::Tensor one = at::zeros({1, 1}, at::kDouble);
  EXPECT_EQ(SoftmaxAttention(one, true).item<double>(), 1);
  EXPECT_EQ(LogDeterminant(one), 0);
  EXPECT_EQ(RankOf(at::ones({1, 1}, at::kDouble)).full, 1);
  EXPECT_THROW(RankOf(Gaussian(3, 4)), std::invalid_argument);
  EXPECT_THROW(RankOf(at::ones({2, 2}, at::kFloat)), std::invalid_argument);
  EXPECT_THROW(LinearAttention(Gaussian(3, 2), Gaussian(4, 2), false),
               std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::studies
