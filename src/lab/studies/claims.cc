#include "lab/studies/claims.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>

#include "base/error.h"
#include "evaluate/statistics.h"
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

std::string ToString(const ClaimResult& result) {
  return ToString(result.verdict) + (result.one_seed ? ", one seed" : "");
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

namespace {

std::map<uint64_t, double> BySeed(const std::vector<Measurement>& lines,
                                  const CellKey& key) {
  std::map<uint64_t, double> values;
  for (const Measurement& line : lines) {
    if (IsOf(line, key)) values[line.seed] = line.value;
  }
  return values;
}

// Without the seeds that one side alone has; all lines where they share none.
std::vector<Measurement> OfSharedSeeds(std::vector<Measurement> lines,
                                       const CellKey& left,
                                       const CellKey& right) {
  const std::map<uint64_t, double> on_left = BySeed(lines, left);
  const std::map<uint64_t, double> on_right = BySeed(lines, right);
  const auto is_shared = [&](uint64_t seed) {
    return on_left.contains(seed) && on_right.contains(seed);
  };
  if (std::ranges::none_of(
          on_left, [&](const auto& one) { return is_shared(one.first); })) {
    return lines;
  }
  std::erase_if(lines, [&](const Measurement& line) {
    return (IsOf(line, left) || IsOf(line, right)) && !is_shared(line.seed);
  });
  return lines;
}

// The two-sided 95 % quantile of Student's t.
double StudentT(size_t degrees) {
  constexpr double kQuantiles[] = {12.706, 4.303, 3.182, 2.776, 2.571,
                                   2.447,  2.365, 2.306, 2.262, 2.228};
  return kQuantiles[std::min(degrees, std::size(kQuantiles)) - 1];
}

// The 95 % margin of the mean difference over the seeds that both have; nothing
// for fewer than two.
std::optional<double> PairedMargin(const std::vector<Measurement>& lines,
                                   const CellKey& left, const CellKey& right) {
  const std::map<uint64_t, double> others = BySeed(lines, right);
  std::vector<double> differences;
  for (const auto& [seed, value] : BySeed(lines, left)) {
    const auto other = others.find(seed);
    if (other != others.end()) differences.push_back(other->second - value);
  }
  if (differences.size() < 2) return std::nullopt;
  return StudentT(differences.size() - 1) *
         evaluate::StandardError(differences);
}

// What the verdict rests on: ", 3 seeds", or one_seed; neither where no side is
// of a seed.
void CountSeeds(const std::vector<Measurement>& lines, const Claim& claim,
                ClaimResult* result) {
  const auto count = [&](const CellKey& key) {
    std::map<uint64_t, double> values = BySeed(lines, key);
    values.erase(0);
    return values.size();
  };
  const size_t left = count(claim.left);
  const size_t right = claim.bound ? left : count(claim.right);
  const size_t most = std::max(left, right);
  if (most == 0) return;
  result->one_seed = most == 1;
  if (most == 1) return;
  result->numbers +=
      ", " +
      (left == right || left * right == 0
           ? std::to_string(most)
           : std::to_string(left) + " and " + std::to_string(right)) +
      " seeds";
}

}  // namespace

ClaimResult Judge(const std::vector<Measurement>& all, const Claim& claim,
                  const std::string& reference) {
  const bool exact = claim.relation == Claim::Relation::kEqual;
  const bool paired = claim.paired && !claim.bound && !exact;
  // An identity is one of a model's own readings.
  const std::vector<Measurement> lines =
      paired || (exact && !claim.bound)
          ? OfSharedSeeds(all, claim.left, claim.right)
          : all;
  const auto left = Summarise(lines, claim.left);
  const auto right = claim.bound ? Summary{.mean = *claim.bound, .seeds = 1}
                                 : Summarise(lines, claim.right);
  if (!left || !right) return {};
  double margin = 0;
  if (claim.standard_errors > 0) {
    margin = claim.standard_errors * std::hypot(left->error, right->error);
  } else if (!exact) {
    // Of all seeds: one that both have says nothing of others.
    margin = Margin(all, claim.left, claim.bound ? claim.left : claim.right,
                    reference);
    if (paired) {
      margin = PairedMargin(lines, claim.left, claim.right).value_or(margin);
    }
  }
  const double gap = right->mean - left->mean;
  // By how much the relation is kept; broken where it is negative.
  double room = 0;
  switch (claim.relation) {
    case Claim::Relation::kBelow:
      room = gap - claim.amount;
      break;
    case Claim::Relation::kAbove:
      room = -gap - claim.amount;
      break;
    case Claim::Relation::kAtMost:
      room = gap + claim.amount;
      break;
    case Claim::Relation::kKeeps:
      room = claim.amount - gap;
      break;
    case Claim::Relation::kWithin:
    case Claim::Relation::kEqual:
      room = claim.amount - std::abs(gap);
      break;
  }
  ClaimResult result{.numbers =
                         Short(left->mean) + " against " + Short(right->mean)};
  if (!exact) result.numbers += ", margin " + Short(margin);
  CountSeeds(lines, claim, &result);
  // What may be neglected does not excuse what is certainly above.
  const double broken = claim.relation == Claim::Relation::kAtMost ? gap : room;
  result.verdict = exact && room >= 0            ? Verdict::kHolds
                   : room > margin               ? Verdict::kHolds
                   : broken >= -margin && !exact ? Verdict::kTie
                                                 : Verdict::kFails;
  return result;
}

}  // namespace ropewalk::lab::studies
