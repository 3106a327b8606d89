// Norms, activations and the soft-cap against their float64 definitions, on
// every instruction set.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "kernels/kernels_for_test.h"
#include "kernels/reference/reference.h"

namespace ropewalk::kernels {
namespace {

class ActivationTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, ActivationTest,
                         testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr Activation kAll[] = {Activation::kSilu, Activation::kGelu,
                               Activation::kGeluTanh, Activation::kRelu,
                               Activation::kQuickGelu};

// Around the 1, 4, 8 and 16 lanes of the instruction sets, 2 to 8 in float64.
constexpr int64_t kSizes[] = {1,  2,  3,  4,  5,  7,  8,   9,
                              15, 16, 17, 31, 32, 33, 1000};

std::vector<double> Doubles(const std::vector<float>& x) {
  return {x.begin(), x.end()};
}

// Both signs: a fine grid, and every power of two that a float can be.
std::vector<float> Grid() {
  std::vector<float> out = {0.0f, kLargest};
  for (float x = 0.00173f; x < 30; x += 0.00173f) out.push_back(x);
  for (int e = -149; e < 128; ++e) out.push_back(std::ldexp(1.0f, e));
  const size_t count = out.size();
  for (size_t i = 0; i < count; ++i) out.push_back(-out[i]);
  return out;
}

int64_t Size(const std::vector<float>& x) {
  return static_cast<int64_t>(x.size());
}

TEST_P(ActivationTest, TanhIsAccurateAtEverySize) {
  const std::vector<float> x = Grid();
  std::vector<float> y = x;
  SoftCap(1, Size(y), y.data());  // a cap of 1 divides and multiplies exactly
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::tanh(static_cast<double>(x[i]));
    // Plus half of the smallest subnormal.
    ASSERT_NEAR(y[i], exact, 3e-7 * std::abs(exact) + 0x1p-149) << x[i];
    ASSERT_EQ(std::signbit(y[i]), std::signbit(x[i])) << x[i];
  }
}

TEST_P(ActivationTest, SoftCapMatchesFloat64) {
  const std::vector<float> x = Grid();
  for (const float cap : {0.7f, 1.0f, 30.0f, 50.0f, 1e-6f, 1e9f}) {
    std::vector<float> y = x;
    SoftCap(cap, Size(y), y.data());
    std::vector<double> exact = Doubles(x);
    reference::SoftCap(cap, Size(y), exact.data());
    for (size_t i = 0; i < x.size(); ++i) {
      // If x / cap is subnormal, one of its steps is cap steps of the result.
      ASSERT_NEAR(y[i], exact[i],
                  5e-7 * std::abs(exact[i]) + 0x1p-149 * (1 + cap))
          << x[i] << " cap " << cap;
    }
  }
  std::vector<float> special = {kInfinity, -kInfinity, std::nanf("")};
  SoftCap(30, 3, special.data());
  EXPECT_EQ(special[0], 30.0f);
  EXPECT_EQ(special[1], -30.0f);
  EXPECT_TRUE(std::isnan(special[2]));
}

TEST_P(ActivationTest, ActivationsMatchFloat64FromTinyToHuge) {
  const std::vector<float> x = Grid();
  std::vector<float> y(x.size());
  std::vector<double> exact(x.size());
  for (const Activation kind : kAll) {
    Activate(kind, x.data(), Size(x), y.data());
    reference::Activate(kind, Doubles(x).data(), Size(x), exact.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const double size = std::abs(static_cast<double>(x[i]));
      ASSERT_NEAR(y[i], exact[i], 5e-7 * size + 0x1p-149)
          << x[i] << " activation " << static_cast<int>(kind);
    }
    EXPECT_EQ(y[1], kLargest);
    EXPECT_EQ(y[x.size() / 2 + 1], 0) << "for the smallest float";
  }
}

// The two forms of GELU differ by less than 5e-4 everywhere.
TEST_P(ActivationTest, GeluAndGeluTanhDiffer) {
  const float x = -2.5f;
  float exact = 0;
  float by_tanh = 0;
  Activate(Activation::kGelu, &x, 1, &exact);
  Activate(Activation::kGeluTanh, &x, 1, &by_tanh);
  EXPECT_NEAR(exact, -0.0155241634, 1e-7);
  EXPECT_NEAR(by_tanh, -0.0150842661, 1e-7);
}

TEST_P(ActivationTest, InfinityAndNanPassThrough) {
  const std::vector<float> x = {kInfinity, std::nanf(""), -std::nanf("")};
  std::vector<float> y(x.size());
  for (const Activation kind : kAll) {
    Activate(kind, x.data(), Size(x), y.data());
    EXPECT_EQ(y[0], kInfinity);
    EXPECT_TRUE(std::isnan(y[1]) && std::isnan(y[2]));
  }
}

TEST_P(ActivationTest, GatedActivationIsActivationTimesUp) {
  Rng rng(30);
  for (const Activation kind : kAll) {
    for (const int64_t size : kSizes) {
      const auto gate = Normals(rng, size);
      const auto up = Normals(rng, size);
      const auto count = static_cast<size_t>(size);
      std::vector<float> act(count + 1, kCanary);
      std::vector<float> y(count + 1, kCanary);
      Activate(kind, gate.data(), size, act.data());
      GatedActivation(kind, gate.data(), up.data(), size, y.data());
      EXPECT_EQ(act[count], kCanary);
      EXPECT_EQ(y[count], kCanary);
      auto in_place = gate;
      GatedActivation(kind, in_place.data(), up.data(), size, in_place.data());
      auto plain = gate;
      Activate(kind, plain.data(), size, plain.data());
      for (size_t i = 0; i < count; ++i) {
        ASSERT_EQ(y[i], act[i] * up[i]) << i << " of " << size;
        ASSERT_EQ(in_place[i], y[i]);
        ASSERT_EQ(plain[i], act[i]);
      }
      if (kind == Activation::kSilu) {
        std::vector<float> glu(count);
        SwiGlu(gate.data(), up.data(), size, glu.data());
        for (size_t i = 0; i < count; ++i) ASSERT_EQ(glu[i], y[i]);
      }
    }
  }
}

// Rows of several scales and offsets, each with and without weight and bias.
TEST_P(ActivationTest, NormsMatchFloat64AtEveryScale) {
  Rng rng(31);
  for (const int64_t size : kSizes) {
    const auto weight = Normals(rng, size);
    const auto bias = Normals(rng, size);
    for (const double scale : {1.0, 1e-18, 1e18, 1e30}) {
      for (const double offset : {0.0, 3.0, 1e4}) {
        auto x = Normals(rng, size);
        for (float& v : x) v = static_cast<float>((v + offset) * scale);
        const double epsilon = scale < 1 ? 1e-38 : 1e-5;
        for (const bool plain : {false, true}) {
          const std::vector<double> in = Doubles(x);
          const std::vector<double> w = Doubles(weight);
          const std::vector<double> b = Doubles(bias);
          std::vector<double> rms(x.size());
          std::vector<double> centred(x.size());
          std::vector<double> layer(x.size());
          const auto eps = static_cast<float>(epsilon);
          reference::RmsNorm(in.data(), plain ? nullptr : w.data(), eps, size,
                             rms.data());
          reference::LayerNorm(in.data(), nullptr, nullptr, eps, size,
                               centred.data());
          reference::LayerNorm(in.data(), plain ? nullptr : w.data(),
                               plain ? nullptr : b.data(), eps, size,
                               layer.data());
          std::vector<float> got(x.size() + 1, kCanary);
          RmsNorm(x.data(), plain ? nullptr : weight.data(), eps, size,
                  got.data());
          EXPECT_EQ(got.back(), kCanary);
          for (size_t i = 0; i < x.size(); ++i) {
            // The factor and two products are rounded.
            ASSERT_NEAR(got[i], rms[i], 4 * 0x1p-24 * std::abs(rms[i]))
                << size << " x " << scale << " + " << offset;
          }
          LayerNorm(x.data(), plain ? nullptr : weight.data(),
                    plain ? nullptr : bias.data(), eps, size, got.data());
          EXPECT_EQ(got.back(), kCanary);
          double mean = 0;
          double square = 0;
          for (const double v : in) mean += v / static_cast<double>(size);
          for (const double v : in) square += (v - mean) * (v - mean);
          const double factor =
              1 / std::sqrt(square / static_cast<double>(size) +
                            static_cast<double>(eps));
          // The mean as two floats, and its own sum in float64.
          const double middle =
              (0x1p-47 + static_cast<double>(size) * 0x1p-52) * std::abs(mean) *
              factor;
          for (size_t i = 0; i < x.size(); ++i) {
            const double gain = plain ? 1 : std::abs(w[i]);
            // Two differences, the factor and two products are rounded; then
            // the sum with the bias.
            const double error =
                gain * (6 * 0x1p-24 * std::abs(centred[i]) + middle) +
                0x1p-24 * std::abs(layer[i]);
            ASSERT_NEAR(got[i], layer[i], error)
                << size << " x " << scale << " + " << offset;
          }
          auto in_place = x;
          LayerNorm(in_place.data(), plain ? nullptr : weight.data(),
                    plain ? nullptr : bias.data(), eps, size, in_place.data());
          in_place.push_back(kCanary);
          ASSERT_EQ(in_place, got);
        }
      }
    }
  }
}

TEST_P(ActivationTest, NormOfARowWithNanIsNan) {
  for (const size_t bad : {0, 7, 18}) {
    std::vector<float> x(19, 1.0f);
    x[bad] = std::nanf("");
    std::vector<float> y(19);
    RmsNorm(x.data(), nullptr, 1e-5f, 19, y.data());
    for (const float v : y) ASSERT_TRUE(std::isnan(v));
    LayerNorm(x.data(), nullptr, nullptr, 1e-5f, 19, y.data());
    for (const float v : y) ASSERT_TRUE(std::isnan(v));
  }
  // A row without variance gives the bias.
  const std::vector<float> same(19, 1e4f);
  const std::vector<float> bias(19, 0.5f);
  std::vector<float> y(19);
  LayerNorm(same.data(), nullptr, bias.data(), 1e-5f, 19, y.data());
  EXPECT_EQ(y, bias);
}

TEST_P(ActivationTest, AddScaledAndScaleRoundOnceForEachOperation) {
  Rng rng(32);
  for (const int64_t size : kSizes) {
    const auto x = Normals(rng, size);
    auto y = Normals(rng, size);
    y.push_back(kCanary);
    const auto before = y;
    const float factor = 0.22f;
    AddScaled(x.data(), factor, size, y.data());
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(y[i], before[i] + factor * x[i]);
    }
    ASSERT_EQ(y.back(), kCanary);
    const auto sums = y;
    Scale(factor, size, y.data());
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], factor * sums[i]);
    ASSERT_EQ(y.back(), kCanary);
  }
}

}  // namespace
}  // namespace ropewalk::kernels
