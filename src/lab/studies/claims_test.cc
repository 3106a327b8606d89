#include "lab/studies/claims.h"

#include <gtest/gtest.h>

#include "lab/studies/comparison.h"
#include "lab/studies/lines_for_test.h"

namespace ropewalk::lab::studies {
namespace {

// Base has three seeds, with a spread of 1; a, b and c have one seed. 0.98 is
// the margin between a and b, 0.832 that between a and c.
std::vector<Measurement> Lines() {
  return {Line("base", 1, 9),      Line("base", 2, 10),
          Line("base", 3, 11),     Line("a", 1, 20, 0.3),
          Line("b", 1, 20.9, 0.4), Line("c", 1, 25, 0.3)};
}

ClaimResult Judged(const std::string& left, Claim::Relation relation,
                   const std::string& right, double amount = 0) {
  return Judge(Lines(), {.left = Cell(left),
                         .relation = relation,
                         .right = Cell(right),
                         .amount = amount});
}

Verdict VerdictOf(const std::string& left, Claim::Relation relation,
                  const std::string& right, double amount = 0) {
  return Judged(left, relation, right, amount).verdict;
}

TEST(ClaimsTest, OneSeedIsJudgedByItsStandardErrors) {
  using enum Claim::Relation;
  EXPECT_EQ(VerdictOf("a", kBelow, "c"), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("a", kBelow, "b"), Verdict::kTie);
  EXPECT_EQ(VerdictOf("b", kBelow, "a"), Verdict::kTie);
  EXPECT_EQ(VerdictOf("c", kBelow, "a"), Verdict::kFails);
  EXPECT_EQ(VerdictOf("a", kBelow, "nowhere"), Verdict::kMissing);
  const ClaimResult result = Judged("a", kBelow, "b");
  EXPECT_EQ(ToString(result), "tie (one seed, standard errors)");
  EXPECT_EQ(result.numbers, "20.00 against 20.90, margin 0.980");
  EXPECT_EQ(ToString(Judged("a", kBelow, "nowhere")), "not measured");
}

// The base's spread is no margin of other rows, least of all when it has
// collapsed: by 30 points, everything would be a tie.
TEST(ClaimsTest, ACollapsedBaseLendsNoMargin) {
  std::vector<Measurement> lines = Lines();
  for (const uint64_t seed : {1, 2, 3}) {
    lines.push_back(Line("Baseline", seed, 30.0 * static_cast<double>(seed)));
    lines[seed - 1].value *= 30;
  }
  const Claim claim{.left = Cell("a"), .right = Cell("c")};
  EXPECT_EQ(Judge(lines, claim).verdict, Verdict::kHolds);
}

// Seeds differ by 5, the rows of each seed by 1 +- 0.1: apart where they are
// paired; a test that did not pair them would call it a tie.
TEST(ClaimsTest, RunsOfOneSeedAreComparedWithEachOther) {
  const std::vector<Measurement> lines = {
      Line("p", 1, 10, 9), Line("q", 1, 11.1, 9), Line("p", 2, 15, 9),
      Line("q", 2, 16, 9), Line("p", 3, 20, 9),   Line("q", 3, 20.9, 9),
      Line("r", 1, 12, 9), Line("s", 4, 17),      Line("s", 5, 19)};
  Claim claim{.left = Cell("p"), .right = Cell("q")};
  const ClaimResult result = Judge(lines, claim);
  EXPECT_EQ(ToString(result), "holds (3 seeds, paired t)");
  // 4.303 times 0.1 / sqrt(3).
  EXPECT_EQ(result.numbers, "15.00 against 16.00, margin 0.248");
  // One seed in common: of that seed, by the errors.
  claim.right = Cell("r");
  const ClaimResult one = Judge(lines, claim);
  EXPECT_EQ(ToString(one), "tie (one seed, standard errors)");
  EXPECT_EQ(one.numbers.find("10.00 against 12.00"), 0u) << one.numbers;
  // None: of all.
  claim.right = Cell("s");
  const ClaimResult none = Judge(lines, claim);
  EXPECT_EQ(ToString(none), "tie (3 and 2 seeds, Welch's t)");
  EXPECT_EQ(none.numbers.find("15.00 against 18.00"), 0u) << none.numbers;
}

// Means would hide that one seed is 2 too high and another 2 too low.
TEST(ClaimsTest, AnIdentityHoldsForEverySeedThatBothHave) {
  std::vector<Measurement> lines = {Line("p", 1, 10), Line("p", 2, 15),
                                    Line("p", 3, 20), Line("t", 2, 15)};
  const Claim identity{.left = Cell("p"),
                       .relation = Claim::Relation::kEqual,
                       .right = Cell("t"),
                       .amount = 1e-6};
  EXPECT_EQ(ToString(Judge(lines, identity)), "holds (exact)");
  lines.push_back(Line("t", 1, 12));
  lines.push_back(Line("t", 3, 18));
  EXPECT_EQ(Judge(lines, identity).verdict, Verdict::kFails);
}

TEST(ClaimsTest, WithoutAnErrorItWasSeenOnce) {
  const std::vector<Measurement> lines = {Line("p", 1, 10), Line("q", 1, 10.1)};
  Claim claim{.left = Cell("p"), .right = Cell("q")};
  const ClaimResult result = Judge(lines, claim);
  EXPECT_EQ(ToString(result), "holds (seen once)");
  EXPECT_EQ(result.numbers, "10.00 against 10.10");
  claim.relation = Claim::Relation::kAbove;
  EXPECT_EQ(Judge(lines, claim).verdict, Verdict::kFails);
}

TEST(ClaimsTest, AmountsCount) {
  using enum Claim::Relation;
  EXPECT_EQ(VerdictOf("a", kBelow, "c", 3), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("a", kBelow, "c", 5), Verdict::kTie);
  EXPECT_EQ(VerdictOf("a", kBelow, "c", 7), Verdict::kFails);
  // A difference below the margin is no proof of either order.
  EXPECT_EQ(VerdictOf("a", kAtMost, "c"), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("b", kAtMost, "a"), Verdict::kTie);
  EXPECT_EQ(VerdictOf("c", kAtMost, "a"), Verdict::kFails);
  // "No gain" above the amount: b is 0.9 above a, margin 0.98.
  EXPECT_EQ(VerdictOf("b", kAtMost, "a", 1.8), Verdict::kTie);
  EXPECT_EQ(VerdictOf("b", kAtMost, "a", 2), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("c", kAtMost, "a", 4.9), Verdict::kFails);
  EXPECT_EQ(VerdictOf("c", kAtMost, "a", 6.1), Verdict::kHolds);
  // "Above" is the other way round.
  EXPECT_EQ(VerdictOf("c", kAbove, "a"), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("b", kAbove, "a"), Verdict::kTie);
  EXPECT_EQ(VerdictOf("a", kAbove, "c"), Verdict::kFails);
  EXPECT_EQ(VerdictOf("c", kAbove, "a", 7), Verdict::kFails);
  EXPECT_EQ(VerdictOf("a", kWithin, "b", 2), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("a", kWithin, "b", 0.95), Verdict::kTie);
  EXPECT_EQ(VerdictOf("a", kWithin, "c", 1), Verdict::kFails);
  // What is above has lost nothing, however far above.
  EXPECT_EQ(VerdictOf("c", kKeeps, "a", 1), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("a", kKeeps, "b", 2), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("a", kKeeps, "b", 0.95), Verdict::kTie);
  EXPECT_EQ(VerdictOf("a", kKeeps, "c", 1), Verdict::kFails);
  // Identities know no margin.
  EXPECT_EQ(VerdictOf("a", kEqual, "b", 0.95), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("a", kEqual, "b", 0.85), Verdict::kFails);
}

TEST(ClaimsTest, BoundsTakeThePlaceOfTheRightCell) {
  Claim claim{.left = Cell("a"), .bound = 30};
  EXPECT_EQ(Judge(Lines(), claim).verdict, Verdict::kHolds);
  claim.bound = 20.5;  // 1.96 * 0.3 = 0.588
  EXPECT_EQ(Judge(Lines(), claim).verdict, Verdict::kTie);
  claim.bound = 20.6;
  EXPECT_EQ(Judge(Lines(), claim).verdict, Verdict::kHolds);
  // 9, 10 and 11: 4.303 / sqrt(3) = 2.48.
  claim.left = Cell("base");
  claim.bound = 12.4;
  EXPECT_EQ(ToString(Judge(Lines(), claim)), "tie (3 seeds, t)");
  claim.bound = 12.5;
  EXPECT_EQ(ToString(Judge(Lines(), claim)), "holds (3 seeds, t)");
}

Published Row(const std::string& row, double value) {
  return {.row = row,
          .name = row,
          .set = "natural",
          .at = 8,
          .metric = "accuracy",
          .value = value};
}

TEST(ComparisonTest, AgreementCountsPairsOfTheColumn) {
  // Published: base < c < a; ours: base < a < c; b is nowhere published.
  const std::vector<Published> published = {Row("base", 1), Row("a", 3),
                                            Row("c", 2), Row("missing", 4)};
  const Agreement a = AgreementOf(published, Lines(), 1, published[1]);
  EXPECT_EQ(a.same, 1);   // above base
  EXPECT_EQ(a.other, 1);  // below c
  EXPECT_EQ(a.ties, 0);
  const Agreement base = AgreementOf(published, Lines(), 1, published[0]);
  EXPECT_EQ(base.same, 2);
  EXPECT_EQ(base.other, 0);
  const Agreement missing = AgreementOf(published, Lines(), 1, published[3]);
  EXPECT_EQ(missing.same + missing.other + missing.ties, 0);
}

TEST(ComparisonTest, TableSaysYesPartlyNoAndNothing) {
  const std::vector<Published> published = {Row("base", 1), Row("a", 3),
                                            Row("c", 2), Row("missing", 4)};
  const std::string text = ToText(ComparisonTable(published, Lines(), 1));
  EXPECT_NE(text.find("yes: 2 of 2 pairs"), std::string::npos) << text;
  EXPECT_NE(text.find("partly: 1 of 2 pairs"), std::string::npos) << text;
  EXPECT_NE(text.find("10.00 ± 1.00 (3 seeds)"), std::string::npos) << text;
}

TEST(ComparisonTest, LengthsInTokensAreNotMultiplesOfN) {
  const std::vector<Published> rows = ParsePublished(
      "row,name,set,at,metric,value,source\n"
      "a,A,natural,8,accuracy,1.5,post\nb,B,simulated,512t,entropy,2,post\n",
      "published.csv");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_FALSE(rows[0].tokens);
  EXPECT_TRUE(rows[1].tokens);
  EXPECT_EQ(rows[1].at, 512);
}

}  // namespace
}  // namespace ropewalk::lab::studies
