#include "lab/studies/claims.h"

#include <gtest/gtest.h>

#include "lab/studies/comparison.h"

namespace ropewalk::lab::studies {
namespace {

Measurement Line(const std::string& row, uint64_t seed, double value,
                 double error = 0) {
  return {.row = row,
          .seed = seed,
          .set = "natural",
          .length = 8,
          .metric = "accuracy",
          .value = value,
          .error = error};
}

CellKey Cell(const std::string& row) { return {.row = row, .length = 8}; }

// Base spreads by 1 over its seeds; a, b and c have one seed.
std::vector<Measurement> Lines() {
  return {Line("base", 1, 9),  Line("base", 2, 10),   Line("base", 3, 11),
          Line("a", 1, 20, 3), Line("b", 1, 20.9, 4), Line("c", 1, 25, 3)};
}

Verdict VerdictOf(const std::string& left, Claim::Relation relation,
                  const std::string& right, double amount = 0) {
  return Judge(Lines(),
               {.left = Cell(left),
                .relation = relation,
                .right = Cell(right),
                .amount = amount},
               "base")
      .verdict;
}

TEST(ClaimsTest, TheSpreadOfTheBaseIsWhatATieIs) {
  EXPECT_EQ(Margin(Lines(), Cell("a"), Cell("b"), "base"), 1);
  // Without it, the standard error of a difference.
  EXPECT_EQ(Margin(Lines(), Cell("a"), Cell("b"), "nobody"), 5);
  using enum Claim::Relation;
  EXPECT_EQ(VerdictOf("a", kBelow, "c"), Verdict::kHolds);
  EXPECT_EQ(VerdictOf("a", kBelow, "b"), Verdict::kTie);
  EXPECT_EQ(VerdictOf("b", kBelow, "a"), Verdict::kTie);
  EXPECT_EQ(VerdictOf("c", kBelow, "a"), Verdict::kFails);
  EXPECT_EQ(VerdictOf("a", kBelow, "nowhere"), Verdict::kMissing);
}

// Seeds differ by 5, the rows of each seed by 1 +- 0.1: apart where they are
// paired, a tie where they are not.
TEST(ClaimsTest, RunsOfOneSeedAreComparedWithEachOther) {
  const std::vector<Measurement> lines = {
      Line("p", 1, 10), Line("q", 1, 11.1), Line("p", 2, 15), Line("q", 2, 16),
      Line("p", 3, 20), Line("q", 3, 20.9), Line("r", 1, 12), Line("s", 4, 17)};
  Claim claim{.left = Cell("p"), .right = Cell("q")};
  EXPECT_EQ(Judge(lines, claim, "base").verdict, Verdict::kTie);
  claim.paired = true;
  const ClaimResult result = Judge(lines, claim, "base");
  EXPECT_EQ(result.verdict, Verdict::kHolds);
  // 4.303 times 0.1 / sqrt(3).
  EXPECT_NE(result.numbers.find("margin 0.248, 3 seeds"), std::string::npos)
      << result.numbers;
  // One seed in common: of that seed, by the spread.
  claim.right = Cell("r");
  const ClaimResult one = Judge(lines, claim, "base");
  EXPECT_EQ(one.verdict, Verdict::kTie);
  EXPECT_EQ(one.numbers.find("10.00 against 12.00"), 0u) << one.numbers;
  EXPECT_EQ(ToString(one), "tie, one seed");
  EXPECT_EQ(one.numbers.find("seed"), std::string::npos) << one.numbers;
  // An identity too is asked of what both have.
  std::vector<Measurement> same = lines;
  same.push_back(Line("t", 2, 15));
  const Claim identity{.left = Cell("p"),
                       .relation = Claim::Relation::kEqual,
                       .right = Cell("t"),
                       .amount = 1e-6};
  EXPECT_EQ(Judge(same, identity, "base").verdict, Verdict::kHolds);
  // None: of all.
  claim.right = Cell("s");
  const ClaimResult none = Judge(lines, claim, "base");
  EXPECT_EQ(none.numbers.find("15.00 against 17.00"), 0u) << none.numbers;
  EXPECT_TRUE(none.numbers.ends_with(", 3 and 1 seeds")) << none.numbers;
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
  // "No gain" above the amount: b is 0.9 above a, margin 1.
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

TEST(ClaimsTest, BoundsAndStandardErrorsTakeTheirPlaces) {
  Claim claim{.left = Cell("a"), .bound = 30};
  EXPECT_EQ(Judge(Lines(), claim, "base").verdict, Verdict::kHolds);
  claim.bound = 20.5;
  EXPECT_EQ(Judge(Lines(), claim, "base").verdict, Verdict::kTie);
  // Errors of 3 and 3: one of the difference is 4.2, below 5; two are not.
  Claim errors{.left = Cell("a"), .right = Cell("c"), .standard_errors = 1};
  EXPECT_EQ(Judge(Lines(), errors, "base").verdict, Verdict::kHolds);
  errors.standard_errors = 2;
  EXPECT_EQ(Judge(Lines(), errors, "base").verdict, Verdict::kTie);
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
  const Agreement a = AgreementOf(published, Lines(), 1, published[1], "base");
  EXPECT_EQ(a.same, 1);   // above base
  EXPECT_EQ(a.other, 1);  // below c
  EXPECT_EQ(a.ties, 0);
  const Agreement base =
      AgreementOf(published, Lines(), 1, published[0], "base");
  EXPECT_EQ(base.same, 2);
  EXPECT_EQ(base.other, 0);
  const Agreement missing =
      AgreementOf(published, Lines(), 1, published[3], "base");
  EXPECT_EQ(missing.same + missing.other + missing.ties, 0);
}

TEST(ComparisonTest, TableSaysYesPartlyNoAndNothing) {
  const std::vector<Published> published = {Row("base", 1), Row("a", 3),
                                            Row("c", 2), Row("missing", 4)};
  const std::string text =
      ToText(ComparisonTable(published, Lines(), 1, "base"));
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
