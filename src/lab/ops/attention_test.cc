// Banded attention as an operator: its gradients against central differences
// around the borders of every band, and its three implementations against each
// other.

#include "lab/ops/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "attention/training/training_problem_for_test.h"
#include "lab/ops/gradcheck_for_test.h"
#include "position/scheme.h"

namespace ropewalk::lab::ops {
namespace {

using attention::Direction;

constexpr int64_t kWindow = 3;

struct Law {
  std::string spelling;
  int64_t layer = 0;
  int64_t layers = 1;
};

void PrintTo(const Law& law, std::ostream* to) {
  *to << law.spelling << " layer " << law.layer;
}

// What a model may be trained under, with borders at 2, 3 or 4 tokens.
const std::vector<Law>& Laws() {
  static const std::vector<Law> kAll = {
      {"rope"},
      {"nope"},
      {"rope+logn:base=4"},
      {"rope+logn-clip"},
      {"rope+logn-learned"},
      {"rerope:window=3"},
      {"rerope:window=3+logn:base=8"},
      {"rerope:window=3+logn-learned"},
      {"leaky-rerope:window=3,k=4"},
      {"inv-leaky:window=3,k=1/16"},
      {"inv-leaky:window=3,k=1/16+logn:base=16"},
      {"window:size=3"},
      {"hwfa:window=3", 0, 2},
      {"hwfa:window=3", 1, 2},
      {"hwfa2:window=2,full=1,rerope=3", 0, 4},
      {"hwfa2:window=2,full=1,rerope=3", 1, 4},
      {"sink-window:size=3,sinks=1"},
      {"self-extend:window=3,group=2"},
      {"dca:chunk=3"},
  };
  return kAll;
}

position::Plan PlanOf(const Law& law, int64_t D, int64_t length,
                      int64_t N = 4) {
  const position::ModelPositions model{.head_width = D,
                                       .rotary_width = D,
                                       .base = 100,
                                       .train_length = N,
                                       .has_learned_logn = true};
  return position::BuildStack(
      position::Resolve(position::ParseScheme(law.spelling), model, length),
      model, length, law.layers)[static_cast<size_t>(law.layer)];
}

bool IsLearned(const position::Plan& plan) {
  return plan.scale.kind == position::ScoreScale::Kind::kLearned;
}

struct Masked {
  std::string name;
  std::vector<Direction> heads = {Direction::kForward};
  std::vector<int64_t> prefix = {};
  std::vector<int64_t> keys = {};
  bool ahead = true;  // needs a mirror
};

// For two sequences and two heads.
const std::vector<Masked>& Masks() {
  static const std::vector<Masked> kAll = {
      {.name = "causal", .ahead = false},
      {.name = "causal padded", .keys = {1, 3}, .ahead = false},
      {.name = "prefix", .prefix = {2, 0}},
      {.name = "prefix padded", .prefix = {9, 2}, .keys = {2, 3}},
      {.name = "both", .heads = {Direction::kBoth}},
      {.name = "both padded", .heads = {Direction::kBoth}, .keys = {2, 0}},
      {.name = "mixed", .heads = {Direction::kForward, Direction::kBackward}},
      {.name = "back", .heads = {Direction::kBackward}, .keys = {3, 2}},
  };
  return kAll;
}

bool HasMirror(const Law& law) {
  return law.spelling.find("dca") == std::string::npos &&
         law.spelling.find("sink") == std::string::npos;
}

AttentionOptions OptionsOf(const Law& law, const Masked& mask, int64_t H,
                           int64_t G, int64_t D, int64_t length) {
  const auto tensor = [](const std::vector<int64_t>& counts) {
    return counts.empty() ? at::Tensor() : at::tensor(counts, at::kLong);
  };
  AttentionOptions options;
  options.plan = std::make_shared<const position::Plan>(PlanOf(law, D, length));
  options.H = H;
  options.G = G;
  options.directions = mask.heads;
  options.prefix = tensor(mask.prefix);
  options.keys = tensor(mask.keys);
  return options;
}

struct Sizes {
  int64_t T, S, H, G, D, Dv;
  int64_t B = 2;
};

// q, k, v, and head_scale where the law learns one.
std::vector<at::Tensor> Operands(const Sizes& s, const AttentionOptions& o,
                                 at::ScalarType type = at::kDouble) {
  std::vector<at::Tensor> x = {at::randn({s.B, s.T, s.H, s.D}, type),
                               at::randn({s.B, s.S, s.G, s.D}, type),
                               at::randn({s.B, s.S, s.G, s.Dv}, type)};
  if (IsLearned(*o.plan)) x.push_back(at::rand({s.H}, type) + 0.1);
  return x;
}

at::Tensor Scale(const std::vector<at::Tensor>& x) {
  return x.size() > 3 ? x[3] : at::Tensor();
}

Operator AttentionOf(const AttentionOptions& options) {
  return [options](const std::vector<at::Tensor>& x) {
    return Attention(x[0], x[1], x[2], Scale(x), options);
  };
}

// The result and the gradients of all inputs.
std::vector<at::Tensor> RunBoth(const Operator& op,
                                const std::vector<at::Tensor>& values,
                                const at::Tensor& dy) {
  std::vector<at::Tensor> inputs;
  for (const at::Tensor& value : values) {
    inputs.push_back(value.detach().requires_grad_(true));
  }
  const at::Tensor y = op(inputs);
  std::vector<at::Tensor> all = {y.detach()};
  for (at::Tensor& d : torch::autograd::grad({y}, inputs, {dy})) {
    all.push_back(std::move(d));
  }
  return all;
}

double Difference(const at::Tensor& a, const at::Tensor& b) {
  return a.numel() == 0 ? 0 : (a - b).abs().max().item<double>();
}

class AttentionTest : public testing::TestWithParam<Law> {
 protected:
  void SetUp() override { at::manual_seed(1); }
};

TEST_P(AttentionTest, PassesGradCheckAroundTheBordersOfBands) {
  for (const int64_t T : {kWindow - 1, kWindow, kWindow + 1, 2 * kWindow + 1}) {
    for (const Masked& mask : Masks()) {
      if (mask.ahead && !HasMirror(GetParam())) continue;
      SCOPED_TRACE(mask.name + " T=" + std::to_string(T));
      const AttentionOptions o = OptionsOf(GetParam(), mask, 2, 1, 4, T);
      ExpectGradients(AttentionOf(o), Operands({T, T, 2, 1, 4, 3}, o));
    }
  }
}

TEST_P(AttentionTest, PassesGradCheckWhereQueriesAndKeysDiffer) {
  for (const auto& [T, S] : {std::pair<int64_t, int64_t>{2, 5}, {5, 2}}) {
    for (const Masked& mask : Masks()) {
      if (mask.ahead && !HasMirror(GetParam())) continue;
      SCOPED_TRACE(mask.name + " T=" + std::to_string(T));
      const AttentionOptions o = OptionsOf(GetParam(), mask, 2, 2, 2, 5);
      ExpectGradients(AttentionOf(o), Operands({T, S, 2, 2, 2, 4}, o));
    }
  }
}

// Another way to the same numbers: whole matrices of LibTorch and its own
// autograd, instead of the loop over pairs.
TEST_P(AttentionTest, CompositeEqualsTheKernels) {
  for (const Sizes& s : {Sizes{19, 19, 4, 2, 8, 5}, Sizes{4, 11, 2, 1, 6, 6},
                         Sizes{9, 1, 2, 2, 4, 3}}) {
    for (Masked mask : Masks()) {
      if (mask.ahead && !HasMirror(GetParam())) continue;
      if (mask.heads.size() > 1) {
        mask.heads.resize(static_cast<size_t>(s.H), Direction::kBoth);
      }
      const AttentionOptions o =
          OptionsOf(GetParam(), mask, s.H, s.G, s.D, std::max(s.T, s.S));
      const std::vector<at::Tensor> x = Operands(s, o);
      const at::Tensor dy = at::randn({s.B, s.T, s.H, s.Dv}, at::kDouble);
      const auto want = RunBoth(AttentionOf(o), x, dy);
      for (const int64_t chunk : {0, 1, 7, 256}) {
        const auto got = RunBoth(
            [&](const auto& in) {
              return CompositeAttention(in[0], in[1], in[2], Scale(in), o,
                                        chunk);
            },
            x, dy);
        for (size_t i = 0; i < want.size(); ++i) {
          EXPECT_LT(Difference(got[i], want[i]), 1e-10)
              << mask.name << " chunk " << chunk << " tensor " << i;
        }
      }
    }
  }
}

TEST_P(AttentionTest, OnCudaEqualsTheKernels) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  const Sizes s{19, 19, 4, 2, 8, 5};
  for (Masked mask : Masks()) {
    if (mask.ahead && !HasMirror(GetParam())) continue;
    if (mask.heads.size() > 1) mask.heads.resize(4, Direction::kBoth);
    const AttentionOptions o = OptionsOf(GetParam(), mask, s.H, s.G, s.D, s.T);
    const std::vector<at::Tensor> x = Operands(s, o);
    const at::Tensor dy = at::randn({s.B, s.T, s.H, s.Dv}, at::kDouble);
    const auto want = RunBoth(AttentionOf(o), x, dy);
    std::vector<at::Tensor> there;
    for (const at::Tensor& t : x) there.push_back(t.to(at::kCUDA));
    // Kept whole for the backward pass, and computed again.
    for (const int64_t chunk : {0, 7, 19}) {
      const auto got = RunBoth(
          [&](const auto& in) {
            return CompositeAttention(in[0], in[1], in[2], Scale(in), o, chunk);
          },
          there, dy.to(at::kCUDA));
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_TRUE(got[i].is_cuda());
        EXPECT_LT(Difference(got[i].cpu(), want[i]), 1e-10)
            << mask.name << " chunk " << chunk << " tensor " << i;
      }
    }
  }
}

TEST_P(AttentionTest, OnCudaValuesMayBeBfloat16) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  const Sizes s{19, 19, 2, 1, 8, 16};
  const AttentionOptions o = OptionsOf(GetParam(), {}, s.H, s.G, s.D, s.T);
  std::vector<at::Tensor> x = Operands(s, o, at::kFloat);
  x[2] = x[2].to(at::kBFloat16).to(at::kFloat);
  const auto want = AttentionOf(o)(x);
  std::vector<at::Tensor> there;
  for (const at::Tensor& t : x) there.push_back(t.to(at::kCUDA));
  there[2] = there[2].to(at::kBFloat16);
  for (const int64_t chunk : {0, 7}) {
    const auto got = RunBoth(
        [&](const auto& in) {
          return CompositeAttention(in[0], in[1], in[2], Scale(in), o, chunk);
        },
        there,
        at::ones({s.B, s.T, s.H, s.Dv},
                 at::dtype(at::kBFloat16).device(at::kCUDA)));
    EXPECT_EQ(got[0].scalar_type(), at::kBFloat16);
    EXPECT_EQ(got[3].scalar_type(), at::kBFloat16);
    // Weights and result are rounded to 8 bits, weights sum to 1.
    EXPECT_LT(Difference(got[0].cpu().to(at::kFloat), want),
              2 * 0x1p-8 * x[2].abs().max().item<double>());
  }
}

TEST_P(AttentionTest, PackedIsTheSameBits) {
  const int64_t B = 2, T = 2 * kWindow + 2, H = 4, G = 2, D = 16;
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const AttentionOptions o = OptionsOf(GetParam(), {}, H, G, D, T);
    std::vector<at::Tensor> x = {at::randn({B, T, (H + 2 * G) * D}, type)};
    if (IsLearned(*o.plan)) x.push_back(at::rand({H}, type));
    const at::Tensor dy = at::randn({B, T, H, D}, type);
    const auto scale = [](const auto& in) {
      return in.size() > 1 ? in[1] : at::Tensor();
    };
    const auto packed = RunBoth(
        [&](const auto& in) { return PackedAttention(in[0], scale(in), o); }, x,
        dy);
    const auto apart = RunBoth(
        [&](const auto& in) {
          const at::Tensor heads = in[0].view({B, T, H + 2 * G, D});
          return Attention(heads.narrow(2, 0, H), heads.narrow(2, H, G),
                           heads.narrow(2, H + G, G), scale(in), o);
        },
        x, dy);
    for (size_t i = 0; i < packed.size(); ++i) {
      EXPECT_TRUE(at::equal(packed[i], apart[i])) << type << " tensor " << i;
    }
  }
}

// The bounds are those that the kernels' own tests derive, from the norms at
// hand.
attention::Tolerances Allowed(const std::vector<at::Tensor>& x,
                              const at::Tensor& dy,
                              const position::Plan& plan) {
  const auto norm = [](const at::Tensor& t) {
    return t.norm(2, {3}).max().item<double>();
  };
  attention::Tolerances t;
  const double D = static_cast<double>(x[0].size(3));
  const int64_t Dv = x[2].size(3);
  t.q = norm(x[0]);
  t.k = norm(x[1]);
  t.v = norm(x[2]);
  t.o = norm(dy);
  for (int64_t i = 0; i < x[0].size(1); ++i) {
    t.c = std::max(t.c, plan.scale(i));
  }
  if (x.size() > 3) t.c *= std::max(1.0, x[3].max().item<double>());
  t.c /= std::sqrt(D);
  const double lse = t.q * t.k * t.c + std::log(x[1].size(1));
  t.weight = 2 * (D + 8) * 0x1p-24 * t.q * t.k * t.c + (8 + lse) * 0x1p-24;
  t.score =
      t.o * t.v * (3 * t.weight + static_cast<double>(2 * Dv + 20) * 0x1p-24);
  t.terms = std::max(x[1].size(1), x[0].size(1) * x[0].size(2) / x[1].size(2)) +
            x[0].size(3) + 16;
  return t;
}

TEST_P(AttentionTest, FusedMatchesFloat64) {
  const Sizes s{70, 70, 4, 2, 32, 32};
  for (const Masked& mask : Masks()) {
    if (mask.heads.size() > 1) continue;
    if (mask.ahead && !HasMirror(GetParam())) continue;
    const AttentionOptions o = OptionsOf(GetParam(), mask, s.H, s.G, s.D, s.T);
    const std::vector<at::Tensor> x = Operands(s, o, at::kFloat);
    std::vector<at::Tensor> wide;
    for (const at::Tensor& t : x) wide.push_back(t.to(at::kDouble));
    const at::Tensor dy = at::randn({s.B, s.T, s.H, s.Dv}, at::kFloat);
    const auto got = RunBoth(AttentionOf(o), x, dy);
    const auto want = RunBoth(AttentionOf(o), wide, dy.to(at::kDouble));
    // A key's weights sum to at most this: the gradient of v where that of
    // the result is 1.
    const double columns =
        RunBoth(AttentionOf(o), wide, at::ones_like(want[0]))[3]
            .max()
            .item<double>();
    const attention::Tolerances t = Allowed(wide, dy, *o.plan);
    const double bounds[] = {t.Out(), t.Query(), t.Key(columns),
                             t.Value(columns),
                             static_cast<double>(s.B * s.T) * t.q * t.Query()};
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].scalar_type(), at::kFloat);
      EXPECT_LT(Difference(got[i].to(at::kDouble), want[i]), bounds[i])
          << mask.name << " tensor " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Laws, AttentionTest, testing::ValuesIn(Laws()));

class AttentionCallTest : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(1); }
};

// A view is read where it lies, or copied; its gradient is its own.
TEST_F(AttentionCallTest, ViewsAreAsGoodAsCopies) {
  const int64_t B = 2, T = 6, H = 4, G = 2, D = 8;
  const AttentionOptions o = OptionsOf({"rerope:window=3"}, {}, H, G, D, T);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor by_head = at::randn({B, H, T, D}, type).transpose(1, 2);
    const at::Tensor every_second =
        at::randn({B, 2 * T, G, D}, type).slice(1, 0, 2 * T, 2);
    const at::Tensor cut = at::randn({B, T + 1, G, D}, type).narrow(1, 1, T);
    const at::Tensor expanded =
        at::randn({1, T, G, D}, type).expand({B, T, G, D});
    const at::Tensor one_row =
        at::randn({B, 1, G, D}, type).expand({B, T, G, D});
    const at::Tensor narrow = at::randn({B, T, G, 2 * D}, type).narrow(3, 0, D);
    const at::Tensor dy = at::randn({B, H, T, D}, type).transpose(1, 2);
    for (const at::Tensor& k : {every_second, cut, expanded, one_row}) {
      for (const at::Tensor& v : {narrow, expanded, cut}) {
        const auto got = RunBoth(AttentionOf(o), {by_head, k, v}, dy);
        const auto want =
            RunBoth(AttentionOf(o),
                    {by_head.contiguous(), k.contiguous(), v.contiguous()},
                    dy.contiguous());
        for (size_t i = 0; i < got.size(); ++i) {
          EXPECT_TRUE(at::equal(got[i], want[i])) << type << " tensor " << i;
        }
      }
    }
  }
}

// With D = 2 and all queries and keys (1, 0), the score of a pair is the
// cosine of its effective distance.
TEST_F(AttentionCallTest, InvLeakyRotatesByItsTrainingDistances) {
  const int64_t N = 512;
  AttentionOptions o;
  o.plan = std::make_shared<const position::Plan>(
      PlanOf({"inv-leaky:window=128,k=1/16"}, 2, N, N));
  const auto r = [&](int64_t distance) {
    return *o.plan->EffectiveDistance(N - 1, N - 1 - distance);
  };
  for (int64_t near = 0; near <= 128; ++near) EXPECT_EQ(r(near), near);
  EXPECT_EQ(r(129), 144);
  EXPECT_EQ(r(511), 6256);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor ones = at::tensor({1.0, 0.0}, type).expand({1, N, 1, 2});
    const at::Tensor v = at::eye(N, type).view({1, N, 1, N});
    const at::Tensor weights =
        Attention(ones, ones, v, {}, o)[0][N - 1][0].log().to(at::kDouble);
    const double own = weights[N - 1].item<double>();
    for (const auto& [distance, position] : {std::pair<int64_t, double>{1, 1},
                                             {127, 127},
                                             {128, 128},
                                             {129, 144},
                                             {130, 160},
                                             {511, 6256}}) {
      // Rotations in float32 are off by some 2^-24 a side, logarithms of
      // weights about 1/512 by 8 of them.
      EXPECT_NEAR(weights[N - 1 - distance].item<double>() - own,
                  (std::cos(position) - 1) / std::sqrt(2.0),
                  type == at::kFloat ? 64 * 0x1p-24 : 1e-12)
          << distance;
    }
  }
}

TEST_F(AttentionCallTest, RowsThatSeeNothingGiveZerosAndNoGradient) {
  const AttentionOptions o = OptionsOf({"rope"}, {.keys = {0, 2}}, 1, 1, 4, 3);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const auto all =
        RunBoth(AttentionOf(o), Operands({3, 3, 1, 1, 4, 4}, o, type),
                at::ones({2, 3, 1, 4}, type));
    for (const at::Tensor& t : all) {
      EXPECT_TRUE(at::equal(t[0], at::zeros_like(t[0])));
      EXPECT_TRUE(at::isfinite(t).all().item<bool>());
    }
    EXPECT_GT(all[0][1].abs().max().item<double>(), 0);
  }
}

TEST_F(AttentionCallTest, AnyNumberOfThreadsGivesTheSameBits) {
  const AttentionOptions o =
      OptionsOf({"rerope:window=3+logn-learned"}, {}, 4, 2, 16, 300);
  const std::vector<at::Tensor> x =
      Operands({300, 300, 4, 2, 16, 16}, o, at::kFloat);
  const at::Tensor dy = at::randn({2, 300, 4, 16});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto want = RunBoth(AttentionOf(o), x, dy);
  for (const int count : {2, 5}) {
    at::set_num_threads(count);
    const auto got = RunBoth(AttentionOf(o), x, dy);
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_TRUE(at::equal(got[i], want[i])) << count << " tensor " << i;
    }
  }
  at::set_num_threads(threads);
}

TEST_F(AttentionCallTest, RefusesWhatDoesNotFit) {
  AttentionOptions o = OptionsOf({"rope"}, {}, 2, 1, 4, 3);
  const at::Tensor q = at::randn({2, 3, 2, 4});
  const at::Tensor k = at::randn({2, 3, 1, 4});
  const auto run = [&](const at::Tensor& q, const at::Tensor& k,
                       const at::Tensor& scale) {
    Attention(q, k, k, scale, o);
  };
  EXPECT_NO_THROW(run(q, k, {}));
  EXPECT_THROW(run(q[0], k, {}), c10::Error);
  EXPECT_THROW(run(q, at::randn({2, 3, 1, 6}), {}), c10::Error);
  EXPECT_THROW(run(q, at::randn({2, 3, 4, 4}), {}), c10::Error);
  EXPECT_THROW(run(q, k.to(at::kDouble), {}), c10::Error);
  EXPECT_THROW(run(q, k, at::ones({3})), c10::Error);
  EXPECT_THROW(PackedAttention(at::randn({2, 3, 15}), {}, o), c10::Error);
  o.keys = at::ones({2}, at::kInt);
  EXPECT_THROW(run(q, k, {}), c10::Error);
  o.keys = at::ones({3}, at::kLong);
  EXPECT_THROW(run(q, k, {}), c10::Error);
  o.keys = at::Tensor();
  o.directions.assign(3, Direction::kBoth);
  EXPECT_THROW(run(q, k, {}), c10::Error);
  EXPECT_THROW(CompositeAttention(q, k, k, {}, o), c10::Error);
  o = OptionsOf({"dca:chunk=2"}, {.heads = {Direction::kBoth}}, 2, 1, 4, 3);
  EXPECT_THROW(run(q, k, {}), std::invalid_argument);
  o.plan = nullptr;
  EXPECT_THROW(run(q, k, {}), c10::Error);
}

}  // namespace
}  // namespace ropewalk::lab::ops
