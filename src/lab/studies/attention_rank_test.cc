// D2 of post 9529, algebra first.

#include "lab/studies/attention_rank.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

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
  EXPECT_EQ(RankOf(at::zeros({3, 3}, at::kDouble)).rank, 0);
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
