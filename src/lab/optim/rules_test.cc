// Lion, LAMB and Muon against plain float64 loops.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>

#include "lab/optim/lamb.h"
#include "lab/optim/lion.h"
#include "lab/optim/muon.h"
#include "lab/optim/tensors_for_test.h"

namespace ropewalk::lab::optim {
namespace {

constexpr int64_t kSteps = 20;
const CommonOptions kCommon{.learning_rate = 3e-3, .weight_decay = 0.1};

double Sign(double x) { return x > 0 ? 1 : (x < 0 ? -1 : 0); }

// What a rule keeps of one parameter.
struct State {
  std::vector<double> x, m, v;
};

using Rule = std::function<void(State&, const std::vector<double>& g,
                                double decay, bool vector, int64_t t)>;

// The largest error of an optimizer against a rule, over kSteps.
double Error(Optimizer& optimizer, const Rule& rule) {
  std::vector<State> states;
  for (const Parameter& p : optimizer.parameters()) {
    const std::vector<double> x = Values(p.value);
    states.push_back(
        {x, std::vector<double>(x.size()), std::vector<double>(x.size())});
  }
  for (int64_t t = 1; t <= kSteps; ++t) {
    SetGradients(optimizer.parameters(), static_cast<uint64_t>(t), 0.1);
    for (size_t p = 0; p < states.size(); ++p) {
      const bool vector = IsVector(optimizer.parameters()[p]);
      rule(states[p], Values(optimizer.parameters()[p].value.grad()),
           vector ? 0 : kCommon.weight_decay, vector, t);
    }
    optimizer.Step({});
  }
  double worst = 0;
  for (size_t p = 0; p < states.size(); ++p) {
    const std::vector<double> x = Values(optimizer.parameters()[p].value);
    for (size_t i = 0; i < x.size(); ++i) {
      worst = std::max(worst, std::abs(x[i] - states[p].x[i]));
    }
  }
  return worst;
}

// Two roundings of a number below 2 a step, an update below 1e-2 good to 2^-19
// (sums in another order).
double Float32Bound() { return kSteps * (2 * 0x1p-23 + 1e-2 * 0x1p-19); }
double Float64Bound() { return kSteps * (2 * 0x1p-52 + 1e-2 * 0x1p-48); }

CommonOptions WithFused(bool fused) {
  CommonOptions common = kCommon;
  common.fused = fused;
  return common;
}

TEST(LionTest, FollowsTheDefinition) {
  const Rule rule = [](State& s, const std::vector<double>& g, double decay,
                       bool, int64_t) {
    for (size_t i = 0; i < g.size(); ++i) {
      const double u = Sign(0.95 * s.m[i] + (1 - 0.95) * g[i]);
      s.x[i] -= kCommon.learning_rate * (u + decay * s.x[i]);
      s.m[i] = 0.98 * s.m[i] + (1 - 0.98) * g[i];
    }
  };
  for (const bool fused : {true, false}) {
    Lion lion(SomeParameters(1), {.common = WithFused(fused)});
    EXPECT_LT(Error(lion, rule), Float32Bound());
  }
  Lion lion(SomeParameters(1, at::kDouble), {.common = kCommon});
  EXPECT_LT(Error(lion, rule), Float64Bound());
}

TEST(LambTest, FollowsTheDefinition) {
  const Rule rule = [](State& s, const std::vector<double>& g, double decay,
                       bool vector, int64_t t) {
    std::vector<double> u(g.size());
    double u_squares = 0;
    double x_squares = 0;
    for (size_t i = 0; i < g.size(); ++i) {
      s.m[i] = 0.9 * s.m[i] + (1 - 0.9) * g[i];
      s.v[i] = 0.999 * s.v[i] + (1 - 0.999) * g[i] * g[i];
      u[i] = s.m[i] / (1 - std::pow(0.9, t)) /
                 (std::sqrt(s.v[i] / (1 - std::pow(0.999, t))) + 1e-6) +
             decay * s.x[i];
      u_squares += u[i] * u[i];
      x_squares += s.x[i] * s.x[i];
    }
    const double trust = vector ? 1 : std::sqrt(x_squares / u_squares);
    for (size_t i = 0; i < g.size(); ++i) {
      s.x[i] -= kCommon.learning_rate * trust * u[i];
    }
  };
  for (const bool fused : {true, false}) {
    Lamb lamb(SomeParameters(1), {.common = WithFused(fused)});
    EXPECT_LT(Error(lamb, rule), Float32Bound());
  }
  Lamb lamb(SomeParameters(1, at::kDouble), {.common = kCommon});
  EXPECT_LT(Error(lamb, rule), Float64Bound());
}

TEST(LambTest, ZeroWeightsStillMove) {
  const Parameter p = MakeParameter("w", at::zeros({8, 8}));
  Lamb lamb({p}, {.common = kCommon});
  SetGradients({p}, 1);
  lamb.Step({});
  // Ratio 1, and the first direction is all +-1 but for epsilon.
  EXPECT_NEAR(p.value.abs().max().item<double>(), 3e-3, 1e-7);
}

// [rows, columns] of plain numbers.
struct Matrix {
  int64_t rows, columns;
  std::vector<double> x;
  double& At(int64_t r, int64_t c) {
    return x[static_cast<size_t>(r * columns + c)];
  }
};

Matrix Product(Matrix& a, Matrix& b, bool b_transposed) {
  const int64_t n = b_transposed ? b.rows : b.columns;
  Matrix c{a.rows, n, std::vector<double>(static_cast<size_t>(a.rows * n))};
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t k = 0; k < a.columns; ++k) {
        c.At(i, j) += a.At(i, k) * (b_transposed ? b.At(j, k) : b.At(k, j));
      }
    }
  }
  return c;
}

// Newton and Schulz without the transposition that saves work: on the rows.
Matrix ReferenceOrthogonalize(Matrix x) {
  double squares = 0;
  for (const double value : x.x) squares += value * value;
  for (double& value : x.x) value /= std::sqrt(squares);
  for (int i = 0; i < 5; ++i) {
    Matrix a = Product(x, x, true);
    Matrix ax = Product(a, x, false);
    Matrix aax = Product(a, ax, false);
    for (size_t k = 0; k < x.x.size(); ++k) {
      x.x[k] = 3.4445 * x.x[k] - 4.7750 * ax.x[k] + 2.0315 * aax.x[k];
    }
  }
  return x;
}

TEST(MuonTest, FollowsTheDefinition) {
  for (const bool nesterov : {true, false}) {
    for (const auto& [rows, columns] :
         {std::pair<int64_t, int64_t>{6, 15}, {15, 6}, {8, 8}}) {
      const double size =
          0.2 * std::sqrt(static_cast<double>(std::max(rows, columns)));
      const Rule rule = [&, rows = rows, columns = columns](
                            State& s, const std::vector<double>& g,
                            double decay, bool, int64_t) {
        Matrix u{rows, columns, std::vector<double>(g.size())};
        for (size_t i = 0; i < g.size(); ++i) {
          s.m[i] = 0.95 * s.m[i] + g[i];
          u.x[i] = nesterov ? g[i] + 0.95 * s.m[i] : s.m[i];
        }
        u = ReferenceOrthogonalize(u);
        for (size_t i = 0; i < g.size(); ++i) {
          s.x[i] -= kCommon.learning_rate * (size * u.x[i] + decay * s.x[i]);
        }
      };
      Rng rng(3);
      const at::Tensor start =
          RandomTensor(rng, {rows, columns}, 0.05).to(at::kFloat);
      const MuonOptions options{.common = kCommon, .nesterov = nesterov};
      // Small singular values grow 3.4445 fold each of five times, and so do
      // errors: 2^9.
      Muon wide({MakeParameter("w", start.to(at::kDouble))}, options);
      EXPECT_LT(Error(wide, rule), 0x1p9 * Float64Bound());
      Muon muon({MakeParameter("w", start)}, options);
      EXPECT_LT(Error(muon, rule), 0x1p9 * Float32Bound());
    }
  }
}

TEST(MuonTest, OnCudaOrthogonalizeIsTheSame) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  at::manual_seed(6);
  for (const double size : {1e-25, 1.0, 1e25}) {
    const at::Tensor matrix = size * at::randn({12, 5});
    const at::Tensor here = Orthogonalize(matrix);
    const at::Tensor there =
        OrthogonalizeEach(matrix.to(at::kCUDA).unsqueeze(0))[0];
    EXPECT_LT((there.cpu() - here).abs().max().item<double>(), 1e-4) << size;
  }
}

TEST(MuonTest, ManyAtOnceAreAsOneByOne) {
  Rng rng(4);
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{5, 12}, {12, 5}, {7, 7}}) {
    for (const auto precision :
         {ops::Precision::kFull, ops::Precision::kBf16}) {
      at::Tensor all = RandomTensor(rng, {4, rows, columns}).to(at::kFloat);
      all[1].mul_(1e-20);
      all[2].mul_(1e20);
      all[3].zero_();
      const at::Tensor each = OrthogonalizeEach(all, 5, precision);
      for (int64_t i = 0; i < all.size(0); ++i) {
        const at::Tensor alone = Orthogonalize(all[i], 5, precision);
        // Sums in another order; under bf16 that moves an operand to its
        // neighbour, 2^-8 away, here and there, and what it moved in a small
        // singular value grows 3.4445 fold in each iteration that follows: two
        // of them, 2^-8 * 3.4445^2, are below 2^-4 (0.025 is the most of 66
        // seeds).
        EXPECT_LT((each[i] - alone).abs().max().item<double>(),
                  precision == ops::Precision::kFull ? 1e-4 : 0x1p-4)
            << i << " of " << rows << " x " << columns;
      }
    }
  }
}

TEST(MuonTest, OrthogonalizeBringsSingularValuesNearOne) {
  Rng rng(1);
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{32, 96}, {96, 32}, {48, 48}}) {
    for (const double scale : {1e-6, 1e6}) {
      const at::Tensor matrix =
          RandomTensor(rng, {rows, columns}, scale).to(at::kFloat);
      const at::Tensor full = Orthogonalize(matrix);
      const at::Tensor rounded =
          Orthogonalize(matrix, 5, ops::Precision::kBf16);
      // Roundings of 2^-9 of the singular values, which end near 1, in each of
      // the last steps; before, small ones grow faster than their errors.
      const double apart =
          (full - rounded).norm().item<double>() / full.norm().item<double>();
      EXPECT_LT(apart, 0x1p-4);
      EXPECT_GT(apart, 0x1p-12) << "not rounded";
      for (const at::Tensor& u : {full, rounded}) {
        ASSERT_EQ(u.sizes(), matrix.sizes());
        const auto values = Values(at::linalg_svdvals(u.to(at::kDouble)));
        // A square Gaussian matrix has values down to about 1 / n of the norm.
        EXPECT_LT(values.front(), 1.3);
        EXPECT_GT(values[values.size() * 9 / 10], 0.6) << rows;
        // Same singular vectors: U^T M is symmetric and positive.
        const auto [left, s, right] =
            at::linalg_svd(matrix.to(at::kDouble), false);
        const at::Tensor aligned =
            at::mm(at::mm(left.t(), u.to(at::kDouble)), right.t());
        const at::Tensor off = aligned - at::diag(at::diag(aligned));
        EXPECT_LT(off.abs().max().item<double>(),
                  at::equal(u, full) ? 1e-2 : 0x1p-4);
        EXPECT_GT(at::diag(aligned).min().item<double>(), 0);
      }
    }
  }
  EXPECT_TRUE(at::equal(Orthogonalize(at::zeros({3, 4})), at::zeros({3, 4})));
}

TEST(MuonTest, RefusesWhatIsNoHiddenMatrix) {
  for (const size_t p : {0, 2, 3}) {
    EXPECT_THROW(Muon({SomeParameters(1)[p]}, {}), std::invalid_argument);
  }
  EXPECT_THROW(Muon({MakeParameter("w", at::zeros({2, 2, 2}))}, {}),
               std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::optim
