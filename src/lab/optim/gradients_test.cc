#include "lab/optim/gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lab/optim/embedding_monitor.h"
#include "lab/optim/tensors_for_test.h"

namespace ropewalk::lab::optim {
namespace {

TEST(GradientsTest, NormIsExactToFloat64) {
  for (const int64_t n : {1, 7, 8, 9, 16383, 16384, 16385, 100000}) {
    Rng rng(static_cast<uint64_t>(n));
    const at::Tensor x = RandomTensor(rng, {n}).to(at::kFloat);
    long double sum = 0;
    for (const double value : Values(x)) sum += value * value;
    EXPECT_NEAR(SumOfSquares(x), static_cast<double>(sum),
                0x1p-53 * static_cast<double>(n * sum));
    EXPECT_NEAR(SumOfSquares(x.to(at::kDouble)), static_cast<double>(sum),
                0x1p-53 * static_cast<double>(n * sum));
  }
  // Squares that float32 does not hold.
  EXPECT_DOUBLE_EQ(SumOfSquares(at::full({4}, 0x1p100f)), 0x1p202);
  EXPECT_DOUBLE_EQ(SumOfSquares(at::full({4}, 0x1p-100f)), 0x1p-198);
  // Another layout.
  const at::Tensor wide = at::arange(6, at::kFloat).view({2, 3}).t();
  EXPECT_DOUBLE_EQ(SumOfSquares(wide), 55);
}

TEST(GradientsTest, ReportFindsWhatIsNotFinite) {
  const std::vector<Parameter> parameters = SomeParameters(1);
  SetGradients(parameters, 1);
  parameters[3].value.mutable_grad().reset();
  GradientReport report = ReportGradients(parameters, 0.5);
  EXPECT_TRUE(report.finite);
  EXPECT_EQ(report.missing, 1);
  double sum = 0;
  for (size_t p = 0; p < 3; ++p) {
    for (const double g : Values(parameters[p].value.grad())) sum += g * g;
  }
  EXPECT_NEAR(report.norm, 0.5 * std::sqrt(sum), 1e-13 * std::sqrt(sum));

  for (const double bad : {0.0 / 0.0, 1 / 0.0, -1 / 0.0}) {
    SetGradients(parameters, 1);
    parameters[1].value.mutable_grad()[8][32] = bad;
    parameters[2].value.mutable_grad()[16] = bad;
    report = ReportGradients(parameters);
    EXPECT_FALSE(report.finite);
    EXPECT_EQ(report.bad, 2);
    EXPECT_EQ(report.first_bad, "matrix");
    EXPECT_TRUE(std::isfinite(report.norm));
  }
}

TEST(GradientsTest, AClipBringsTheNormDownAndNeverUp) {
  EXPECT_EQ(ClipScale(8, 2), 0.25);
  EXPECT_EQ(ClipScale(2, 8), 1);
  EXPECT_EQ(ClipScale(8, 0), 1);
  EXPECT_THROW(ClipScale(8, -1), std::invalid_argument);
}

TEST(GradientsTest, RowsInUseAreThoseWithANonZero) {
  const at::Tensor g = at::zeros({4, 37});
  g[1][36] = std::numeric_limits<float>::denorm_min();
  g[2][0] = -0.0f;
  g[3][5] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor expected = at::tensor({0, 1, 0, 1}).to(at::kBool);
  EXPECT_TRUE(at::equal(RowsInUse(g), expected));
  EXPECT_TRUE(at::equal(RowsInUse(g.to(at::kDouble)), expected));
}

TEST(EmbeddingMonitorTest, FindsExtremesAndRowsAtTheLimit) {
  const at::Tensor table = at::zeros({6, 2}, at::kDouble);
  table[0][0] = 3;  // norm 5
  table[0][1] = 4;
  table[1][1] = -51;   // above half of the limit of 100
  table[2][0] = 99.5;  // at the limit
  table[3][1] = -100.9;
  table[5][0] = 95.5;  // at the limit, within 5 % and not within 1 %
  table[4][0] = 0.0 / 0.0;
  const EmbeddingExtremes seen = InspectEmbedding(table, 0.01);
  EXPECT_FLOAT_EQ(seen.max_abs, 100.9);
  EXPECT_EQ(seen.extreme_row, 3);
  EXPECT_FLOAT_EQ(seen.min, -100.9);
  EXPECT_FLOAT_EQ(seen.max, 99.5);
  EXPECT_EQ(seen.rows_above, 4);
  EXPECT_EQ(seen.rows_at_limit, 3);
  EXPECT_EQ(seen.rows_touching, 2);
  EXPECT_EQ(seen.bad_rows, 1);
  EXPECT_NEAR(seen.mean_row_norm, (5 + 51 + 99.5 + 100.9 + 95.5) / 5, 1e-5);
  EXPECT_EQ(InspectEmbedding(table, 0.01, 0.99).rows_above, 2);
  const EmbeddingExtremes nearby = InspectEmbedding(table, 0.02);
  EXPECT_EQ(nearby.rows_at_limit, 1);  // 51 is 2 % off 50
  EXPECT_EQ(nearby.rows_touching, 0);
  // One component of five is below a quarter of the row.
  const at::Tensor wide = at::zeros({1, 5});
  wide[0][2] = 100;
  EXPECT_EQ(InspectEmbedding(wide, 0.01).rows_at_limit, 0);
  EXPECT_EQ(InspectEmbedding(wide, 0.01).rows_touching, 1);
  const EmbeddingExtremes free = InspectEmbedding(table, 0);
  EXPECT_EQ(free.rows_above + free.rows_at_limit + free.rows_touching, 0);
  EXPECT_FLOAT_EQ(free.max_abs, 100.9);
  EXPECT_EQ(InspectEmbedding(at::zeros({0, 4}), 0.01).extreme_row, -1);
  EXPECT_THROW(InspectEmbedding(at::zeros({4}), 0.01), std::invalid_argument);
}

TEST(GradientsTest, SumsOfSeveralAreThoseOfEach) {
  at::manual_seed(2);
  std::vector<at::Tensor> here = {at::randn({3, 4}), at::randn({5}),
                                  at::full({2}, 0x1p100f), at::empty({0})};
  const auto check = [&](const std::vector<at::Tensor>& tensors) {
    const std::vector<double> sums = SumsOfSquares(tensors);
    ASSERT_EQ(sums.size(), tensors.size());
    for (size_t i = 0; i < sums.size(); ++i) {
      EXPECT_NEAR(sums[i], SumOfSquares(here[i]), 1e-12 * sums[i]) << i;
    }
  };
  check(here);
  EXPECT_TRUE(SumsOfSquares({}).empty());
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  std::vector<at::Tensor> there;
  for (const at::Tensor& t : here) there.push_back(t.to(at::kCUDA));
  check(there);
}

}  // namespace
}  // namespace ropewalk::lab::optim
