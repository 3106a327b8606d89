#include "lab/studies/claims.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "report/number.h"

namespace ropewalk::lab::studies {
namespace {

std::string Short(double value) {
  return report::FormatValue(value, report::NumberStyle::kPlain,
                             std::abs(value) < 10 ? 3 : 2);
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

double Margin(const std::vector<Measurement>& lines, const CellKey& left,
              const CellKey& right, const std::string& reference) {
  std::optional<double> spread;
  const auto widen = [&](const CellKey& key) {
    const auto summary = Summarise(lines, key);
    if (summary && summary->spread) {
      spread = std::max(spread.value_or(0), *summary->spread);
    }
  };
  widen(left);
  widen(right);
  if (!spread) {
    for (CellKey key : {left, right}) {
      key.row = reference;
      widen(key);
    }
  }
  if (spread) return *spread;
  const auto a = Summarise(lines, left);
  const auto b = Summarise(lines, right);
  return std::hypot(a ? a->error : 0, b ? b->error : 0);
}

ClaimResult Judge(const std::vector<Measurement>& lines, const Claim& claim,
                  const std::string& reference) {
  const auto left = Summarise(lines, claim.left);
  const auto right = claim.bound ? Summary{.mean = *claim.bound, .seeds = 1}
                                 : Summarise(lines, claim.right);
  if (!left || !right) return {};
  double margin = 0;
  if (claim.standard_errors > 0) {
    margin = claim.standard_errors * std::hypot(left->error, right->error);
  } else if (claim.relation != Claim::Relation::kEqual) {
    margin = Margin(lines, claim.left, claim.bound ? claim.left : claim.right,
                    reference);
  }
  const double gap = right->mean - left->mean;
  // By how much the relation is kept; broken where it is negative.
  double room = 0;
  switch (claim.relation) {
    case Claim::Relation::kBelow:
      room = gap - claim.amount;
      break;
    case Claim::Relation::kAtMost:
      room = gap;
      break;
    case Claim::Relation::kWithin:
    case Claim::Relation::kEqual:
      room = claim.amount - std::abs(gap);
      break;
  }
  const bool exact = claim.relation == Claim::Relation::kEqual;
  ClaimResult result{.numbers =
                         Short(left->mean) + " against " + Short(right->mean)};
  if (!exact) result.numbers += ", margin " + Short(margin);
  result.verdict = exact && room >= 0          ? Verdict::kHolds
                   : room > margin             ? Verdict::kHolds
                   : room >= -margin && !exact ? Verdict::kTie
                                               : Verdict::kFails;
  return result;
}

}  // namespace ropewalk::lab::studies
