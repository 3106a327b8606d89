// Products in bfloat16: against float64 products of rounded operands.

#include "lab/ops/product.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lab/ops/cross_entropy.h"
#include "lab/ops/gradcheck_for_test.h"

namespace ropewalk::lab::ops {
namespace {

at::Tensor Rounded(const at::Tensor& x) {
  return x.to(at::kBFloat16).to(at::kDouble);
}

// Sums of K products in float32, each off by half a unit of the sum so far.
void ExpectClose(const at::Tensor& got, const at::Tensor& a,
                 const at::Tensor& b) {
  const auto K = static_cast<double>(a.size(1));
  const at::Tensor bound = (K + 1) * 0x1p-24 * at::mm(a.abs(), b.abs());
  const at::Tensor off = (got.to(at::kDouble) - at::mm(a, b)).abs();
  EXPECT_TRUE((off <= bound).all().item<bool>())
      << (off - bound).max().item<double>();
}

class ProductTest : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(3); }
};

TEST_F(ProductTest, FullPrecisionIsLibTorchs) {
  const at::Tensor x = at::randn({5, 7}), w = at::randn({4, 7}),
                   base = at::randn({5, 4});
  EXPECT_TRUE(at::equal(Product(x, w, Precision::kFull), at::mm(x, w.t())));
  EXPECT_TRUE(at::equal(ProductPlus(base, x, w, Precision::kFull),
                        at::addmm(base, x, w.t())));
  ExpectGradients(
      [](const std::vector<at::Tensor>& in) {
        return ProductPlus(in[2], in[0], in[1], Precision::kFull);
      },
      {x.to(at::kDouble), w.to(at::kDouble), base.to(at::kDouble)});
}

TEST_F(ProductTest, OperandsAreRoundedForwardAndBackward) {
  for (const auto& [R, N, K] :
       {std::tuple{1, 1, 1}, {33, 17, 64}, {40, 70, 31}, {64, 32, 200}}) {
    const at::Tensor x = at::randn({R, K}).requires_grad_(true);
    const at::Tensor w = at::randn({N, K}).requires_grad_(true);
    const at::Tensor y = Product(x, w, Precision::kBf16);
    const at::Tensor dy = at::randn({R, N});
    const auto gradients = torch::autograd::grad({y}, {x, w}, {dy});
    const at::Tensor rx = Rounded(x.detach()), rw = Rounded(w.detach());
    ExpectClose(y.detach(), rx, rw.t());
    ExpectClose(gradients[0], Rounded(dy), rw);
    ExpectClose(gradients[1], Rounded(dy).t(), rx);
    // A weight that is part of another, and a state that lies turned.
    const at::Tensor wide = at::randn({N + 3, K});
    const at::Tensor turned = at::randn({K, R});
    ExpectClose(Product(turned.t(), wide.narrow(0, 2, N), Precision::kBf16),
                Rounded(turned.t()), Rounded(wide.narrow(0, 2, N)).t());
  }
  EXPECT_THROW(Product(at::randn({2, 3}), at::randn({2, 4}), Precision::kBf16),
               c10::Error);
}

// Without tiles: float64 takes the rounded copies, whose products are exact.
TEST_F(ProductTest, RoundedCopiesGiveTheSame) {
  const at::Tensor x = at::randn({6, 9}, at::kDouble),
                   w = at::randn({5, 9}, at::kDouble);
  const at::Tensor want = at::mm(Rounded(x), Rounded(w).t());
  EXPECT_LT((Product(x, w, Precision::kBf16) - want).abs().max().item<double>(),
            1e-14);
}

TEST_F(ProductTest, OnCudaOperandsAreRoundedAndSumsAreNot) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  const at::Tensor x = at::randn({40, 96}), w = at::randn({72, 96}),
                   dy = at::randn({40, 72});
  const at::Tensor there = x.to(at::kCUDA).requires_grad_(true);
  const at::Tensor weight = w.to(at::kCUDA).requires_grad_(true);
  const at::Tensor y = Product(there, weight, Precision::kBf16);
  const auto gradients =
      torch::autograd::grad({y}, {there, weight}, {dy.to(at::kCUDA)});
  ExpectClose(y.detach().cpu(), Rounded(x), Rounded(w).t());
  ExpectClose(gradients[0].cpu(), Rounded(dy), Rounded(w));
  ExpectClose(gradients[1].cpu(), Rounded(dy).t(), Rounded(x));
  at::Tensor sum = at::ones({40, 72}, at::kCUDA);
  MultiplyInto(sum, {there.detach()}, {weight.detach(), true}, true,
               Precision::kBf16);
  EXPECT_LT((sum - 1 - y.detach()).abs().max().item<double>(), 1e-5);
}

TEST_F(ProductTest, OnCudaCrossEntropyIsTheSame) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  const int64_t R = 40, E = 33, V = 70;
  const at::Tensor targets = at::randint(0, V, {R}, at::kLong);
  const at::Tensor weights = at::rand({R}, at::kDouble);
  const auto run = [&](at::Device device) {
    at::manual_seed(4);
    const at::Tensor h =
        at::randn({R, E}, at::kDouble).to(device).requires_grad_(true);
    const at::Tensor o =
        at::randn({V, E}, at::kDouble).to(device).requires_grad_(true);
    const at::Tensor loss = LinearCrossEntropy(
        h, o, targets.to(device), weights.to(device), R, /*chunk=*/16);
    std::vector<at::Tensor> all = torch::autograd::grad({loss}, {h, o});
    all.push_back(loss.detach());
    return all;
  };
  const auto want = run(at::kCPU);
  const auto got = run(at::kCUDA);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_TRUE(got[i].is_cuda());
    EXPECT_LT((got[i].cpu() - want[i]).abs().max().item<double>(), 1e-12);
  }
}

TEST_F(ProductTest, CrossEntropyMultipliesInIt) {
  const int64_t R = 40, E = 33, V = 70;
  const at::Tensor targets = at::randint(0, V, {R}, at::kLong);
  const at::Tensor h = at::randn({R, E}).requires_grad_(true);
  const at::Tensor o = (0.3 * at::randn({V, E})).requires_grad_(true);
  const at::Tensor loss =
      LinearCrossEntropy(h, o, targets, {}, R, 16, Precision::kBf16);
  const auto got = torch::autograd::grad({loss}, {h, o});
  // In float64, rounded where products take their operands.
  const at::Tensor rh = Rounded(h.detach()), ro = Rounded(o.detach());
  const at::Tensor logs = at::log_softmax(at::mm(rh, ro.t()), 1);
  const at::Tensor want = -logs.gather(1, targets.unsqueeze(1)).mean();
  EXPECT_NEAR(loss.item<double>(), want.item<double>(), 1e-6);
  const at::Tensor one_hot =
      at::zeros({R, V}, at::kDouble).scatter_(1, targets.unsqueeze(1), 1.0);
  const at::Tensor dlogits = (logs.exp() - one_hot) / R;
  // The gradient of a logit is rounded from float32, not from float64, so a few
  // of them end a unit of bfloat16 away.
  const double unit = 0x1p-8;
  const at::Tensor dh = at::mm(Rounded(dlogits), ro);
  const at::Tensor bound = unit * at::mm(dlogits.abs(), ro.abs());
  EXPECT_TRUE(
      ((got[0].to(at::kDouble) - dh).abs() <= bound).all().item<bool>());
  const at::Tensor dout = at::mm(Rounded(dlogits).t(), rh);
  const at::Tensor wide = unit * at::mm(dlogits.abs().t(), rh.abs());
  EXPECT_TRUE(
      ((got[1].to(at::kDouble) - dout).abs() <= wide).all().item<bool>());
  // And it does round: full precision is further off than the sums are.
  const double full =
      LinearCrossEntropy(h.detach(), o.detach(), targets, {}, R).item<double>();
  EXPECT_GT(std::abs(full - want.item<double>()), 1e-6);
}

}  // namespace
}  // namespace ropewalk::lab::ops
