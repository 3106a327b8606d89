#include "position/plan_text.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "position/scheme.h"

namespace ropewalk::position {
namespace {

Plan PlanOf(const std::string& spelling) {
  const ModelPositions model{.head_width = 24,
                             .rotary_width = 16,
                             .base = 12345.678,
                             .train_length = 64,
                             .has_learned_logn = true};
  return BuildStack(Resolve(ParseScheme(spelling), model, 200), model, 200, 1)
      .front();
}

TEST(PlanTextTest, EverySchemeReadsBackAsItWas) {
  for (const char* spelling :
       {"rope", "yarn", "rerope+logn-clip", "leaky-rerope:k=3+logn",
        "inv-leaky+logn-learned", "string", "self-extend", "dca",
        "window:size=9", "sink-window", "nope", "hwfa", "hwfa2"}) {
    const Plan plan = PlanOf(spelling);
    EXPECT_EQ(ParsePlanText(PlanText(plan)), plan) << spelling;
  }
}

TEST(PlanTextTest, RefusesWhatItDoesNotWrite) {
  const std::string text = PlanText(PlanOf("rerope"));
  const auto with = [&](const std::string& was, const std::string& is) {
    std::string changed = text;
    const size_t at = changed.find(was);
    EXPECT_NE(at, std::string::npos) << was;
    return changed.replace(at, was.size(), is);
  };
  for (const std::string& bad :
       {std::string(), std::string("ropewalk-plan 1\n"),
        with("plan 1", "plan 2"), with("scale none", "scale some"),
        with("none 512", "none 1"), with("none 512", "none 512 7"),
        with("table 1 ", "table  1 "), with("table 1 ", "table nan "),
        with("distance", "nearness"), with("distance 0", "distance -1"),
        with("distance 0 32", "distance 32 32"), with(" 1 scaled", " 0 scaled"),
        with("band ", "bond "), with("inf 0\n", "inf 1\n"),
        with("inf 0\n", "inf\n"), text.substr(0, text.size() - 3)}) {
    EXPECT_THROW(ParsePlanText(bad), std::invalid_argument) << bad;
  }
  try {
    ParsePlanText(with("distance", "nearness"));
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "plan, line 4: 'nearness' is not known");
  }
}

}  // namespace
}  // namespace ropewalk::position
