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
  const auto right = Summarise(lines, claim.right);
  if (!left || !right) return {};
  const double margin = Margin(lines, claim.left, claim.right, reference);
  const double gap = right->mean - left->mean;
  ClaimResult result{.numbers = Short(left->mean) + " against " +
                                Short(right->mean) + ", margin " +
                                Short(margin)};
  bool holds = false;
  bool tie = false;
  switch (claim.relation) {
    case Claim::Relation::kBelow:
      holds = gap > claim.amount + margin;
      tie = std::abs(gap - claim.amount) <= margin;
      break;
    case Claim::Relation::kAtMost:
      holds = gap >= -margin;
      break;
    case Claim::Relation::kWithin:
      holds = std::abs(gap) <= claim.amount;
      tie = std::abs(std::abs(gap) - claim.amount) <= margin;
      break;
  }
  result.verdict = holds ? Verdict::kHolds
                   : tie ? Verdict::kTie
                         : Verdict::kFails;
  return result;
}

}  // namespace ropewalk::lab::studies
