// The parts of strips, on every instruction set: whole and mixed blocks, lanes
// that see no key, NaN scores, sums and values. (strip_softmax_test.cc has tops
// that rise between tiles.)

#include "kernels/cpu/strip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernels_for_test.h"

namespace ropewalk::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kKeys = 128;  // of a tile

class StripTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, StripTest,
                         testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

// One tile and one strip with a piece that shows every lane [first, last).
struct Strip {
  int64_t D;
  int64_t lanes = StripLanes();
  AlignedBuffer<float> queries{D * lanes};
  AlignedBuffer<float> keys{kKeys * D};  // panels
  AlignedBuffer<float> weights{kKeys * lanes};
  AlignedBuffer<float> top{lanes}, limit{lanes}, part{lanes};
  AlignedBuffer<double> sum{lanes};
  AlignedBuffer<float> output{2 * lanes};
  AlignedBuffer<int32_t> first{lanes}, last{lanes};

  explicit Strip(int64_t D) : D(D) {
    std::fill_n(last.data(), lanes, static_cast<int32_t>(kKeys));
    ClearStrip(State());
  }
  void Fill(Rng& rng, float size = 1) {
    for (int64_t at = 0; at < queries.size(); ++at) {
      queries[at] = static_cast<float>(rng.Normal()) * size;
    }
    for (int64_t at = 0; at < keys.size(); ++at) {
      keys[at] = static_cast<float>(rng.Normal());
    }
  }
  float& Key(int64_t j, int64_t d) {
    return keys[(j / kKeyPanel * D + d) * kKeyPanel + j % kKeyPanel];
  }
  StripState State() {
    return {top.data(), limit.data(),  part.data(),
            sum.data(), output.data(), 2};
  }
  void Score(bool whole, int64_t begin = 0, int64_t end = kKeys,
             int32_t offset = 0) {
    const StripPiece piece{queries.data(), keys.data(), first.data(),
                           last.data()};
    StripScores({.pieces = &piece,
                 .piece_count = 1,
                 .whole = whole,
                 .begin = begin,
                 .end = end,
                 .offset = offset,
                 .D = D,
                 .weights = weights.data(),
                 .state = State()});
  }
};

TEST_P(StripTest, AStripHasTheLanesOfThreeVectors) {
  EXPECT_EQ(StripLanes() % 3, 0);
  EXPECT_LE(StripLanes(), kMostStripLanes);
}

TEST_P(StripTest, AFullyVisibleBlockHasTheSameBitsWholeAndMixed) {
  Rng rng(1);
  for (const int64_t D : {1, 2, 33, 64}) {
    for (const auto& [begin, end] : std::vector<std::pair<int64_t, int64_t>>{
             {0, 8}, {0, 128}, {8, 40}, {120, 128}, {16, 16}}) {
      Strip whole(D);
      whole.Fill(rng, 4);
      Strip mixed(D);
      std::copy_n(whole.queries.data(), whole.queries.size(),
                  mixed.queries.data());
      std::copy_n(whole.keys.data(), whole.keys.size(), mixed.keys.data());
      std::fill_n(whole.weights.data(), whole.weights.size(), kCanary);
      std::fill_n(mixed.weights.data(), mixed.weights.size(), kCanary);
      whole.Score(true, begin, end);
      mixed.Score(false, begin, end);
      for (int64_t l = 0; l < whole.lanes; ++l) {
        ASSERT_EQ(whole.top[l], mixed.top[l]);
        ASSERT_EQ(whole.part[l], mixed.part[l]);
        for (int64_t j = 0; j < kKeys; ++j) {
          const int64_t at = j * whole.lanes + l;
          ASSERT_EQ(whole.weights[at], mixed.weights[at]);
          // Weights of earlier keys are only scaled; those of later keys do not
          // change.
          if (j >= end) {
            ASSERT_EQ(whole.weights[at], kCanary);
          }
        }
      }
    }
  }
}

TEST_P(StripTest, WeightsAndSumsCoverVisibleKeysOnly) {
  Rng rng(2);
  for (const float size : {1.0f, 30.0f, 1000.0f}) {
    for (const int32_t offset : {0, -300, 70000}) {
      Strip strip(5);
      strip.Fill(rng, size);
      for (int64_t l = 0; l < strip.lanes; ++l) {
        strip.first[l] = offset + static_cast<int32_t>(l * 7 % 120) - 3;
        strip.last[l] = strip.first[l] + static_cast<int32_t>(l * 5 % 60);
      }
      strip.Score(false, 0, kKeys, offset);
      FoldStrip(strip.State());
      for (int64_t l = 0; l < strip.lanes; ++l) {
        double sum = 0;
        double most_terms = 1;
        for (int64_t j = 0; j < kKeys; ++j) {
          double score = -strip.top[l];
          double terms = std::abs(score);
          for (int64_t d = 0; d < 5; ++d) {
            const double term =
                static_cast<double>(strip.queries[d * strip.lanes + l]) *
                strip.Key(j, d);
            score += term;
            terms += std::abs(term);
          }
          most_terms = std::max(most_terms, terms);
          const float got = strip.weights[j * strip.lanes + l];
          if (j + offset < strip.first[l] || j + offset >= strip.last[l]) {
            ASSERT_EQ(got, 0);
            continue;
          }
          ASSERT_LE(score, kSlack + 1e-3 * terms);
          const double want = std::exp2(score);
          sum += want;
          // The rounding of the score and of tops that rose (at most once for
          // each block), and 3 half-ulps of 2^x. Weights below 2^-64 are 0.
          const double error =
              0x1p-24 * (terms * 2 * (5 + kKeys / kKeyBlock) + 4 + 6 * 16);
          ASSERT_NEAR(got, want, error * want + 0x1p-64) << l << " " << j;
        }
        ASSERT_EQ(strip.part[l], 0);
        ASSERT_NEAR(strip.sum[l], sum,
                    0x1p-24 * sum * (most_terms * 50 + 2 * kKeys))
            << l;
      }
    }
  }
}

TEST_P(StripTest, LanesThatSeeNoKeyKeepTheirState) {
  Rng rng(3);
  Strip strip(4);
  strip.Fill(rng, 100);
  for (int64_t l = 0; l < strip.lanes; l += 2) strip.last[l] = 0;
  strip.Score(false);
  FoldStrip(strip.State());
  for (int64_t l = 0; l < strip.lanes; ++l) {
    const bool blind = l % 2 == 0;
    ASSERT_EQ(strip.sum[l] == 0, blind) << l;
    if (!blind) continue;
    ASSERT_EQ(strip.top[l], 0);
    ASSERT_EQ(strip.limit[l], -kInfinity);
    for (int64_t j = 0; j < kKeys; ++j) {
      ASSERT_EQ(strip.weights[j * strip.lanes + l], 0);
    }
  }
  // The first key that such a lane sees sets its top, however low it is.
  for (int64_t at = 0; at < strip.keys.size(); ++at) strip.keys[at] = -10;
  for (int64_t at = 0; at < strip.queries.size(); ++at) strip.queries[at] = 100;
  std::fill_n(strip.last.data(), strip.lanes, 1);
  strip.Score(false);
  for (int64_t l = 0; l < strip.lanes; l += 2) {
    ASSERT_EQ(strip.top[l], -4000);
    ASSERT_NEAR(strip.part[l], 1, 2.5e-7);
  }
}

TEST_P(StripTest, AScoreOfMinusInfinityHasWeightZero) {
  Strip strip(1);
  std::fill_n(strip.queries.data(), strip.lanes, 1.0f);
  for (int64_t j = 0; j < kKeys; ++j) {
    strip.Key(j, 0) = j == 77 ? 3.0f : -kInfinity;
  }
  strip.Score(true);
  for (int64_t l = 0; l < strip.lanes; ++l) {
    ASSERT_EQ(strip.top[l], 3);
    ASSERT_NEAR(strip.part[l], 1, 2.5e-7);
    for (int64_t j = 0; j < kKeys; ++j) {
      if (j != 77) {
        ASSERT_EQ(strip.weights[j * strip.lanes + l], 0);
      }
    }
  }
}

TEST_P(StripTest, NanSpoilsOnlyItsLane) {
  for (const float bad : {std::nanf(""), kInfinity}) {
    for (const int64_t lane :
         {int64_t{0}, StripLanes() / 2, StripLanes() - 1}) {
      for (const bool whole : {true, false}) {
        Rng rng(4);
        Rng same(4);
        Strip strip(4);
        Strip good(4);
        strip.Fill(rng, 10);
        good.Fill(same, 10);
        strip.queries[2 * strip.lanes + lane] = bad;
        for (Strip* s : {&strip, &good}) {
          s->Score(whole);
          FoldStrip(s->State());
        }
        for (int64_t l = 0; l < strip.lanes; ++l) {
          if (l == lane) {
            ASSERT_TRUE(std::isnan(strip.sum[l])) << bad;
          } else {
            ASSERT_EQ(strip.sum[l], good.sum[l]) << l << " beside " << lane;
          }
        }
      }
    }
  }
}

// One key is NaN and masked for some lanes, which must not see it.
TEST_P(StripTest, AMaskedKeyMayBeNan) {
  Rng rng(5);
  Strip strip(4);
  strip.Fill(rng);
  for (const int64_t j : {5, 90}) strip.Key(j, 1) = std::nanf("");
  for (int64_t l = 0; l < strip.lanes; ++l) {
    strip.first[l] = 6;
    strip.last[l] = l % 2 == 0 ? 90 : 91;
  }
  strip.Score(false);
  for (int64_t l = 0; l < strip.lanes; ++l) {
    ASSERT_EQ(std::isnan(strip.part[l]), l % 2 != 0) << l;
  }
}

// Measures FastExp2 with scores that are one product, below a top of 0.
TEST_P(StripTest, ExponentialsAreAccurate) {
  for (float x = -140; x < 8; x += 0.00137f * kKeys) {
    Strip strip(1);
    std::fill_n(strip.queries.data(), strip.lanes, 1.0f);
    for (int64_t j = 0; j < kKeys; ++j) {
      strip.Key(j, 0) =
          j < kKeyBlock ? 0
                        : std::min(8.0f, x + 0.00137f * static_cast<float>(j));
    }
    strip.Score(true);
    for (int64_t l = 0; l < strip.lanes; ++l) {
      ASSERT_EQ(strip.top[l], 0);
      for (int64_t j = 0; j < kKeys; ++j) {
        const float got = strip.weights[j * strip.lanes + l];
        const double want = std::exp2(static_cast<double>(strip.Key(j, 0)));
        // Weights that are lost to rounding beside a weight of 1 are 0, so that
        // their products are not subnormal.
        if (strip.Key(j, 0) < -64) {
          ASSERT_EQ(got, 0) << strip.Key(j, 0);
        } else {
          ASSERT_NEAR(got, want, 2.5e-7 * want) << strip.Key(j, 0);
        }
      }
    }
  }
}

TEST_P(StripTest, ValuesMatchFloat64AndWriteOnlyTheirOutput) {
  Rng rng(6);
  const int64_t lanes = StripLanes();
  for (const int64_t columns : {1, 2, 3, 4, 5, 7, 8, 9, 16, 33, 128}) {
    for (const int64_t keys : {0, 1, 7, 8, 128}) {
      const int64_t stride = columns + 5;
      const auto values = Normals(rng, std::max<int64_t>(1, keys * stride));
      AlignedBuffer<float> weights(std::max<int64_t>(1, keys) * lanes);
      for (int64_t at = 0; at < weights.size(); ++at) {
        weights[at] = static_cast<float>(rng.Uniform());
      }
      AlignedBuffer<float> output((columns + 1) * lanes);
      std::fill_n(output.data(), output.size(), 2.5f);
      StripValues({.values = values.data(),
                   .stride = stride,
                   .weights = weights.data(),
                   .keys = keys,
                   .columns = columns,
                   .output = output.data()});
      for (int64_t at = 0; at < output.size(); ++at) {
        double want = 2.5;
        double size = 2.5;
        for (int64_t k = 0; k < keys && at < columns * lanes; ++k) {
          const double term =
              static_cast<double>(weights[k * lanes + at % lanes]) *
              values[static_cast<size_t>(k * stride + at / lanes)];
          want += term;
          size += std::abs(term);
        }
        ASSERT_NEAR(output[at], want,
                    static_cast<double>(keys + 1) * 0x1p-24 * size)
            << columns << " " << keys;
      }
    }
  }
}

TEST_P(StripTest, FoldAddsInFloat64AndClearResets) {
  Strip strip(1);
  for (int64_t l = 0; l < strip.lanes; ++l) {
    strip.sum[l] = 0x1p30;
    strip.part[l] = static_cast<float>(l) * 0x1p-10f;
  }
  FoldStrip(strip.State());
  for (int64_t l = 0; l < strip.lanes; ++l) {
    ASSERT_EQ(strip.sum[l], 0x1p30 + static_cast<double>(l) * 0x1p-10);
    ASSERT_EQ(strip.part[l], 0);
    strip.top[l] = strip.limit[l] = strip.part[l] = 1;
  }
  std::fill_n(strip.output.data(), strip.output.size(), 1.0f);
  ClearStrip(strip.State());
  for (int64_t l = 0; l < strip.lanes; ++l) {
    ASSERT_EQ(strip.top[l], 0);
    ASSERT_EQ(strip.limit[l], -kInfinity);
    ASSERT_EQ(strip.part[l], 0);
    ASSERT_EQ(strip.sum[l], 0);
    ASSERT_EQ(strip.output[l], 0);
    ASSERT_EQ(strip.output[strip.lanes + l], 0);
  }
}

}  // namespace
}  // namespace ropewalk::kernels
