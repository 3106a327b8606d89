#include "position/agreement.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "position/scheme.h"

namespace ropewalk::position {
namespace {

constexpr int64_t kLength = 200;

ModelPositions TinyPositions() {
  ModelPositions model;
  model.train_length = 64;
  model.head_width = 16;
  model.rotary_width = 16;
  return model;
}

Plan PlanOf(const std::string& spelling, int64_t length = kLength) {
  const ModelPositions model = TinyPositions();
  return BuildStack(Resolve(ParseScheme(spelling), model, length), model,
                    length, 1)
      .front();
}

// The definition: compares every pair of every query.
int64_t AgreeByPairs(const Plan& a, const Plan& b, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if (a.scale(i) != b.scale(i)) return i;
    for (int64_t j = 0; j <= i; ++j) {
      const auto of_a = a.BandOf(i, j);
      const auto of_b = b.BandOf(i, j);
      if (of_a.has_value() != of_b.has_value()) return i;
      if (!of_a) continue;
      const auto table = [](const Plan& plan, int64_t band) {
        return plan.tables[static_cast<size_t>(
            plan.bands[static_cast<size_t>(band)].table)];
      };
      const FrequencyTable frequencies = table(a, *of_a);
      if (frequencies != table(b, *of_b)) return i;
      if (frequencies.frequencies.empty()) continue;
      if (a.EffectiveDistance(i, j) != b.EffectiveDistance(i, j)) return i;
    }
  }
  return n;
}

TEST(AgreementTest, EqualsTheCountOverAllPairs) {
  const std::vector<std::string> spellings = {"rope",
                                              "rerope:window=20",
                                              "rerope:window=20+logn-clip",
                                              "rerope:window=30",
                                              "leaky-rerope:window=20,k=4",
                                              "self-extend:window=20,group=4",
                                              "dca:chunk=24",
                                              "window:size=30",
                                              "sink-window:size=30,sinks=4",
                                              "pi:factor=2",
                                              "ntk-mixed:factor=2",
                                              "rope+logn",
                                              "rope+logn-clip",
                                              "nope"};
  for (const std::string& first : spellings) {
    for (const std::string& second : spellings) {
      const Plan a = PlanOf(first);
      const Plan b = PlanOf(second);
      EXPECT_EQ(AgreeUpTo(a, b, kLength), AgreeByPairs(a, b, kLength))
          << first << " and " << second;
    }
  }
}

TEST(AgreementTest, ReropeAgreesWithRopeWithinItsWindow) {
  EXPECT_EQ(AgreeUpTo(PlanOf("rope"), PlanOf("rerope:window=20"), kLength), 21);
  EXPECT_EQ(AgreeUpTo(PlanOf("rope"), PlanOf("rerope:window=20"), 7), 7);
  EXPECT_EQ(AgreeUpTo(PlanOf("rope"), PlanOf("ntk-mixed:factor=2"), kLength),
            0);
  EXPECT_EQ(AgreeUpTo(PlanOf("rope"), PlanOf("window:size=30"), kLength), 30);
}

TEST(AgreementTest, TheSamePlanAgreesForAnyLength) {
  EXPECT_EQ(AgreeUpTo(PlanOf("dca:chunk=24"), PlanOf("dca:chunk=24"), 1 << 30),
            1 << 30);
  EXPECT_EQ(AgreeUpTo(PlanOf("rope"), PlanOf("rope"), 0), 0);
}

}  // namespace
}  // namespace ropewalk::position
