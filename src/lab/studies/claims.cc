#include "lab/studies/claims.h"

#include <cmath>
#include <optional>

#include "base/error.h"
#include "lab/studies/difference.h"
#include "report/number.h"

namespace ropewalk::lab::studies {
namespace {

std::string Short(double value) {
  return report::FormatValue(value, report::NumberStyle::kPlain,
                             std::abs(value) < 10 ? 3 : 2);
}

// By how much the relation is kept; broken where it is negative.
double RoomOf(const Claim& claim, const Difference& difference) {
  switch (claim.relation) {
    case Claim::Relation::kBelow:
      return difference.gap() - claim.amount;
    case Claim::Relation::kAbove:
      return -difference.gap() - claim.amount;
    case Claim::Relation::kAtMost:
      return difference.gap() + claim.amount;
    case Claim::Relation::kKeeps:
      return claim.amount - difference.gap();
    case Claim::Relation::kWithin:
      return claim.amount - std::abs(difference.gap());
    case Claim::Relation::kEqual:
      return claim.amount - difference.largest;
  }
  ROPEWALK_CHECK(false);
  return 0;
}

}  // namespace

std::string ToString(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHolds:
      return "holds";
    case Verdict::kTie:
      return "tie";
    case Verdict::kFails:
      return "does not hold";
    case Verdict::kMissing:
      return "not measured";
  }
  ROPEWALK_CHECK(false);
  return {};
}

std::string ToString(const ClaimResult& result) {
  return ToString(result.verdict) +
         (result.rule.empty() ? "" : " (" + result.rule + ")");
}

ClaimResult Judge(const std::vector<Measurement>& lines, const Claim& claim) {
  const std::optional<Difference> difference =
      claim.bound ? CompareToBound(lines, claim.left, *claim.bound)
                  : Compare(lines, claim.left, claim.right);
  if (!difference) return {};
  ClaimResult result{.numbers = Short(difference->left) + " against " +
                                Short(difference->right)};
  const double room = RoomOf(claim, *difference);
  if (claim.relation == Claim::Relation::kEqual) {
    result.verdict = room >= 0 ? Verdict::kHolds : Verdict::kFails;
    result.rule = "exact";
    return result;
  }
  const double margin = difference->margin;
  result.rule = ToString(*difference);
  if (difference->test != Difference::Test::kSeenOnce) {
    result.numbers += ", margin " + Short(margin);
  }
  // What may be neglected does not excuse what is certainly above.
  const double broken =
      claim.relation == Claim::Relation::kAtMost ? difference->gap() : room;
  result.verdict = room > margin       ? Verdict::kHolds
                   : broken >= -margin ? Verdict::kTie
                                       : Verdict::kFails;
  return result;
}

}  // namespace ropewalk::lab::studies
