#include "position/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/random.h"
#include "position/model_positions.h"
#include "position/scheme.h"

namespace ropewalk::position {
namespace {

ModelPositions Model(int64_t N, int64_t D = 8) {
  return {.head_width = D,
          .rotary_width = D,
          .train_length = N,
          .original_length = N};
}

Plan MakePlan(const std::string& spelling, int64_t N, int64_t length,
              int64_t D = 8) {
  const ModelPositions model = Model(N, D);
  return BuildStack(Resolve(ParseScheme(spelling), model, length), model,
                    length, 1)
      .front();
}

// Effective distance of the pair; -1 if it is masked.
double R(const Plan& plan, int64_t i, int64_t j) {
  return plan.EffectiveDistance(i, j).value_or(-1);
}

TEST(PlanTest, ReRopeClipsDistancesAtTheWindow) {
  const Plan plan = MakePlan("rerope:window=16", 64, 256);
  for (const int64_t i : {15, 16, 17, 18, 255}) {
    for (int64_t j = 0; j <= i; ++j) {
      ASSERT_EQ(R(plan, i, j), std::min<int64_t>(i - j, 16));
    }
    EXPECT_EQ(R(plan, i, i + 1), -1);
  }
}

TEST(PlanTest, InvLeakyMatchesTheTrainingMatrix) {
  // N = 512, w = 128, k = 1/16
  const Plan plan = MakePlan("inv-leaky:window=128,k=1/16", 512, 512);
  EXPECT_EQ(R(plan, 127, 0), 127);
  EXPECT_EQ(R(plan, 128, 0), 128);
  EXPECT_EQ(R(plan, 129, 0), 144);
  EXPECT_EQ(R(plan, 511, 0), 6256);
  EXPECT_EQ(R(plan, 511, 384), 127);
}

TEST(PlanTest, LeakyFollowsItsFormulaAtTheBorder) {
  for (const double k : {4.0, 16.0, 1.0 / 16, 2.5}) {
    const Plan plan =
        MakePlan("leaky-rerope:window=32,k=" + std::to_string(k), 128, 512);
    for (int64_t delta : {0, 31, 32, 33, 400}) {
      const auto d = static_cast<double>(delta);
      const double expected = delta < 32 ? d : 32 + (d - 32) / k;
      EXPECT_NEAR(R(plan, 450, 450 - delta), expected, 1e-4) << k << delta;
    }
  }
}

TEST(PlanTest, FarDistancesBeginWhereFarSays) {
  const Plan rerope = MakePlan("rerope:window=32,far=9", 128, 512);
  const Plan leaky = MakePlan("leaky-rerope:window=32,k=4,far=9", 128, 512);
  const Plan string = MakePlan("string:shift=32,window=9", 128, 512);
  for (const int64_t i : {31, 32, 33, 450, 511}) {
    for (int64_t j = 0; j <= i; ++j) {
      const int64_t d = i - j;
      EXPECT_EQ(R(rerope, i, j), d < 32 ? d : 9) << i << " " << j;
      EXPECT_NEAR(
          *leaky.EffectiveDistance(i, j),
          d < 32 ? static_cast<double>(d) : 9 + static_cast<double>(d - 32) / 4,
          1e-9);
      EXPECT_EQ(R(string, i, j), d < 32 ? d : d - 32 + 9) << i << " " << j;
    }
  }
  // Without far= they begin at the window, as in the post.
  EXPECT_EQ(MakePlan("rerope:window=32,far=32", 128, 512),
            MakePlan("rerope:window=32", 128, 512));
}

TEST(PlanTest, LeakyIsRopeAtKOneAndReRopeAtKInfinity) {
  const Plan one = MakePlan("leaky-rerope:window=32,k=1", 128, 512);
  const Plan huge = MakePlan("leaky-rerope:window=32,k=1e9", 128, 512);
  const Plan rerope = MakePlan("rerope:window=32", 128, 512);
  const Plan wide = MakePlan("rerope:window=512", 128, 512);
  for (int64_t i = 0; i < 512; i += 7) {
    for (int64_t j = 0; j <= i; ++j) {
      ASSERT_EQ(R(one, i, j), static_cast<double>(i - j));
      ASSERT_NEAR(R(huge, i, j), R(rerope, i, j), 1e-5);
      ASSERT_EQ(R(wide, i, j), static_cast<double>(i - j));
    }
  }
}

TEST(PlanTest, SelfExtendFloorsTheFarDistances) {
  const Plan plan = MakePlan("self-extend:window=32,group=5", 128, 512);
  for (const int64_t i : {31, 32, 33, 100, 511}) {
    for (int64_t j = 0; j <= i; ++j) {
      const int64_t expected = i - j < 32 ? i - j : i / 5 + 32 - 32 / 5 - j / 5;
      ASSERT_EQ(R(plan, i, j), static_cast<double>(expected)) << i << " " << j;
    }
  }
}

TEST(PlanTest, SelfExtendWithAGroupBeyondTheTextIsReRope) {
  const Plan plan = MakePlan("self-extend:window=32,group=1000", 128, 512);
  const Plan rerope = MakePlan("rerope:window=32", 128, 512);
  for (int64_t j = 0; j < 512; ++j) {
    ASSERT_EQ(R(plan, 511, j), R(rerope, 511, j));
  }
}

TEST(PlanTest, DcaFollowsThePaper) {
  // c = 64, s = 48
  const Plan plan = MakePlan("dca:chunk=48", 64, 512);
  for (int64_t i = 0; i < 512; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const int64_t t = i % 48;
      const int64_t step = i / 48 - j / 48;
      const int64_t query = step == 0   ? t
                            : step == 1 ? std::min<int64_t>(48 + t, 63)
                                        : 63;
      ASSERT_EQ(R(plan, i, j), static_cast<double>(query - j % 48));
      // exact for distances up to min(c - s, s)
      if (i - j <= 16) {
        ASSERT_EQ(R(plan, i, j), i - j) << i << " " << j;
      }
    }
  }
}

TEST(PlanTest, WindowWithoutRotationMasksTheSamePairs) {
  const Plan rotated = MakePlan("window:size=5", 64, 64);
  const Plan plain = MakePlan("window:size=5,rotate=0", 64, 64);
  EXPECT_FALSE(rotated.tables[0].frequencies.empty());
  EXPECT_TRUE(plain.tables[0].frequencies.empty());
  for (int64_t i = 0; i < 64; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      EXPECT_EQ(plain.BandOf(i, j), rotated.BandOf(i, j));
    }
  }
  EXPECT_EQ(ToString(Resolve(ParseScheme("window:size=5"), Model(64), 64)),
            "window:size=5");
}

TEST(PlanTest, WindowQueriesSeeThemselvesAndTheTokensBefore) {
  const Plan plan = MakePlan("window:size=16", 64, 256);
  EXPECT_EQ(R(plan, 100, 100), 0);
  EXPECT_EQ(R(plan, 100, 85), 15);
  EXPECT_EQ(R(plan, 100, 84), -1);
  EXPECT_EQ(plan.Reach(), 16);
}

TEST(PlanTest, SinksKeepCachePositions) {
  const Plan plan = MakePlan("sink-window:size=12,sinks=4", 64, 256);
  for (const int64_t i : {3, 11, 12, 14, 15, 16, 17, 255}) {
    int64_t seen = 0;
    for (int64_t j = 0; j <= i; ++j) {
      const bool sink = j < 4;
      if (!sink && i - j >= 12) {
        ASSERT_EQ(R(plan, i, j), -1);
        continue;
      }
      ++seen;
      // The query's position in a cache of sinks and window, where it is last.
      const int64_t query = std::min<int64_t>(i, 15);
      ASSERT_EQ(R(plan, i, j), sink ? query - j : i - j) << i << " " << j;
    }
    EXPECT_EQ(seen, std::min<int64_t>(i + 1, 16));
  }
  const Plan far =
      MakePlan("sink-window:size=12,sinks=4,cache-positions=0", 64, 256);
  EXPECT_EQ(R(far, 200, 2), 198);
  EXPECT_EQ(far.KeyStores(nullptr)[0].first_kept, 4);
}

TEST(PlanTest, DistanceMatricesAreToeplitz) {
  for (const char* spelling :
       {"rope", "pi", "rerope:window=20", "leaky-rerope:window=20,k=3",
        "inv-leaky:window=20", "window:size=20", "yarn",
        "sink-window:size=20,sinks=0"}) {
    const Plan plan = MakePlan(spelling, 64, 300);
    for (int64_t i = 1; i < 300; ++i) {
      for (int64_t j = 1; j <= i; ++j) {
        ASSERT_NEAR(R(plan, i, j), R(plan, i - 1, j - 1), 1e-9)
            << spelling << i << " " << j;
      }
    }
  }
  for (const int64_t length : {10, 20, 21, 300}) {
    const Plan plan = MakePlan("rerope:window=20", 64, length);
    EXPECT_EQ(R(plan, length - 1, 0), std::min<int64_t>(20, length - 1));
  }
}

TEST(PlanTest, ScoresDependOnDistanceOnlyUpToAMillion) {
  Rng rng(3);
  for (const char* spelling :
       {"rope", "pi:factor=8", "ntk-old:factor=8", "ntk-fixed:factor=8",
        "ntk-mixed:factor=8", "dynamic-ntk", "yarn:factor=8", "llama3:factor=8",
        "cope", "rerope:window=512", "leaky-rerope:window=512,k=16",
        "inv-leaky:window=512", "window:size=900",
        "sink-window:size=900,sinks=0", "nope"}) {
    for (const int64_t D : {2, 8, 64, 128}) {
      if (D == 2 && std::string(spelling) == "dynamic-ntk") continue;
      const Plan plan = MakePlan(spelling, 1024, 1 << 20, D);
      std::vector<double> q(static_cast<size_t>(D));
      std::vector<double> k(q.size());
      double norm_q = 0;
      double norm_k = 0;
      for (size_t c = 0; c < q.size(); ++c) {
        norm_q += (q[c] = rng.Normal()) * q[c];
        norm_k += (k[c] = rng.Normal()) * k[c];
      }
      // As in the kernels: float64 angles, cos and sin rounded to float32.
      const auto score = [&](int64_t i, int64_t j) {
        const Band& band = plan.bands[static_cast<size_t>(*plan.BandOf(i, j))];
        const auto& theta =
            plan.tables[static_cast<size_t>(band.table)].frequencies;
        double sum = 0;
        for (size_t m = 0; m < q.size() / 2; ++m) {
          const double f = m < theta.size() ? theta[m] : 0;
          const double a = band.query(i) * f;
          const double b = band.key(j) * f;
          const double ca = static_cast<float>(std::cos(a));
          const double sa = static_cast<float>(std::sin(a));
          const double cb = static_cast<float>(std::cos(b));
          const double sb = static_cast<float>(std::sin(b));
          const size_t o = m + q.size() / 2;
          sum += (q[m] * ca - q[o] * sa) * (k[m] * cb - k[o] * sb) +
                 (q[m] * sa + q[o] * ca) * (k[m] * sb + k[o] * cb);
        }
        return sum;
      };
      const double tolerance = 8 * 0x1p-24 * std::sqrt(norm_q * norm_k);
      for (const int64_t delta : {0, 1, 511, 512, 513, 800}) {
        for (const int64_t shift : {1, 1000, 131072, (1 << 20) - 2000}) {
          ASSERT_NEAR(score(900 + shift, 900 + shift - delta),
                      score(900, 900 - delta), tolerance)
              << spelling << " D=" << D << " " << delta << " " << shift;
        }
      }
    }
  }
}

TEST(PlanTest, LogNIsOneAtItsBaseAndClipIsOneUpToTheTrainedLength) {
  const Plan logn = MakePlan("rope+logn", 256, 1024);
  EXPECT_EQ(logn.scale(511), 1.0);
  EXPECT_NEAR(logn.scale(0), std::log(16) / std::log(512), 1e-15);
  EXPECT_NEAR(logn.scale(15), std::log(16) / std::log(512), 1e-15);
  EXPECT_NEAR(logn.scale(63), 2.0 / 3, 1e-12);
  EXPECT_NEAR(logn.scale(4095), 4.0 / 3, 1e-12);
  const Plan based = MakePlan("rope+logn:base=64", 256, 1024);
  EXPECT_EQ(based.scale(63), 1.0);
  const Plan clip = MakePlan("rope+logn-clip", 256, 1024);
  for (int64_t i = 0; i < 256; ++i) ASSERT_EQ(clip.scale(i), 1.0);
  EXPECT_NEAR(clip.scale(65535), 2.0, 1e-12);
  EXPECT_EQ(MakePlan("rope", 256, 1024).scale(9999), 1.0);
}

// r(i, j) of any pair under the plan and its mirror; nullopt if masked.
std::optional<double> TwoSided(const Plan& plan, int64_t i, int64_t j) {
  if (j <= i) return plan.EffectiveDistance(i, j);
  for (const Band& band : plan.Mirror()) {
    const KeyRange keys = band.selector.KeysOf(i);
    if (keys.first <= j && j < keys.last) return band.query(i) - band.key(j);
  }
  return std::nullopt;
}

TEST(PlanTest, MirrorNegatesEveryDistance) {
  for (const char* spelling :
       {"rope", "pi:factor=8", "yarn:factor=8", "nope", "rerope:window=16",
        "rerope:window=1", "leaky-rerope:window=16,k=4",
        "rerope:window=16,far=5", "string:shift=16,window=5",
        "inv-leaky:window=16,k=1/16", "self-extend:window=16,group=3",
        "window:size=16", "window:size=1"}) {
    const Plan plan = MakePlan(spelling, 64, 100);
    for (int64_t i = 0; i < 100; ++i) {
      for (int64_t j = 0; j < i; ++j) {
        const auto back = plan.EffectiveDistance(i, j);
        const auto ahead = TwoSided(plan, j, i);
        ASSERT_EQ(ahead.has_value(), back.has_value()) << spelling;
        if (back) {
          ASSERT_EQ(*ahead, -*back) << spelling << " " << i << " " << j;
        }
      }
    }
  }
}

TEST(PlanTest, MirrorKeepsTheRotationOfKeysWhereMapsAllowIt) {
  const Plan rerope = MakePlan("rerope:window=16", 64, 100);
  EXPECT_EQ(rerope.Mirror()[1].query, Constant(-16));
  EXPECT_EQ(rerope.Mirror()[1].key, Constant(0));
  const Plan leaky = MakePlan("leaky-rerope:window=16,k=4", 64, 100);
  EXPECT_EQ(leaky.Mirror()[1].query(3), (3 + 16) / 4.0 - 16);
  EXPECT_EQ(leaky.Mirror()[1].key, leaky.bands[1].key);
  // If queries and keys grow at different rates, their maps are exchanged.
  Plan capped = rerope;
  capped.bands[0].query.cap = 10;
  EXPECT_EQ(capped.Mirror()[0].key, capped.bands[0].query);
  EXPECT_EQ(TwoSided(capped, 2, 14), -*capped.EffectiveDistance(14, 2));
  // A window of 1 holds distance 0 only, at which there is no later key.
  EXPECT_TRUE(MakePlan("window:size=1", 64, 100).Mirror().empty());
}

TEST(PlanTest, MirrorRefusesPlansThatDoNotSelectByDistance) {
  EXPECT_THROW(MakePlan("dca:chunk=48", 64, 100).Mirror(),
               std::invalid_argument);
  EXPECT_THROW(MakePlan("sink-window:size=12,sinks=4", 64, 100).Mirror(),
               std::invalid_argument);
}

TEST(PlanTest, TwoKeyRotationsGiveAMainStoreAndARing) {
  const auto stores = [](const char* spelling) {
    return MakePlan(spelling, 64, 1024).KeyStores(nullptr);
  };
  for (const char* one : {"rope", "yarn", "dca", "nope", "cope"}) {
    ASSERT_EQ(stores(one).size(), 1u) << one;
    EXPECT_EQ(stores(one)[0].reach, kUnbounded) << one;
  }
  for (const char* two : {"rerope:window=20", "leaky-rerope:window=20,k=8",
                          "self-extend:window=20,group=9"}) {
    ASSERT_EQ(stores(two).size(), 2u) << two;
    EXPECT_EQ(stores(two)[0].reach, kUnbounded) << two;
    EXPECT_EQ(stores(two)[1].reach, 20) << two;
  }
  EXPECT_TRUE(stores("rerope")[0].key.IsZero());
  ASSERT_EQ(stores("window:size=20").size(), 1u);
  EXPECT_EQ(stores("window:size=20")[0].reach, 20);
  ASSERT_EQ(stores("sink-window:size=20,sinks=3").size(), 1u);
  EXPECT_EQ(stores("sink-window:size=20,sinks=3")[0].reach, 20);
  EXPECT_EQ(stores("sink-window:size=20,sinks=3")[0].first_kept, 3);
}

TEST(HwfaTest, LastLayerIsFullWithoutRotation) {
  const ModelPositions model = Model(512);
  const auto stack = [&](const char* spelling, int64_t layers) {
    return BuildStack(Resolve(ParseScheme(spelling), model, 4096), model, 4096,
                      layers);
  };
  const Stack hwfa = stack("hwfa:window=16", 24);
  for (int64_t layer = 0; layer < 23; ++layer) {
    EXPECT_EQ(hwfa[static_cast<size_t>(layer)].Reach(), 16);
    EXPECT_EQ(hwfa[static_cast<size_t>(layer)].scale.kind,
              ScoreScale::Kind::kNone);
  }
  EXPECT_EQ(hwfa[23].Reach(), kUnbounded);
  EXPECT_TRUE(hwfa[23].tables[0].frequencies.empty());
  EXPECT_EQ(hwfa[23].scale.kind, ScoreScale::Kind::kLogN);
  const Stack two = stack("hwfa2:window=64,full=2,rerope=256", 24);
  for (size_t layer = 0; layer < 24; ++layer) {
    const bool full = layer + 1 == 8 || layer + 1 == 16;
    EXPECT_EQ(two[layer].Reach(), full ? kUnbounded : 64) << layer;
    EXPECT_EQ(two[layer].bands.size(), full ? 2u : 1u);
  }
}

TEST(SelectorTest, EndsOfKeyIntervalsNeverFall) {
  for (const char* spelling :
       {"rope", "rerope:window=20", "dca:chunk=48", "self-extend",
        "sink-window:size=12,sinks=4", "window:size=9"}) {
    const Plan plan = MakePlan(spelling, 64, 1024);
    for (const Band& band : plan.bands) {
      KeyRange before = band.selector.KeysOf(0);
      for (int64_t i = 1; i < 400; ++i) {
        const KeyRange now = band.selector.KeysOf(i);
        ASSERT_GE(now.first, before.first) << spelling;
        ASSERT_GE(now.last, before.last) << spelling;
        before = now;
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::position
