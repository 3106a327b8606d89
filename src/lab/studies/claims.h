// What a post claims, held against what was measured.

#ifndef ROPEWALK_LAB_STUDIES_CLAIMS_H_
#define ROPEWALK_LAB_STUDIES_CLAIMS_H_

#include <optional>
#include <string>
#include <vector>

#include "lab/studies/measurements.h"

namespace ropewalk::lab::studies {

struct Claim {
  enum class Relation {
    kBelow,   // left + amount < right
    kAtMost,  // left <= right + amount; broken where left > right for certain
    kWithin,  // |left - right| <= amount
    kKeeps,   // left >= right - amount: no more than that is lost
    kAbove,   // left > right + amount
    kEqual,   // an identity: every seed that both have to within `amount`
  };
  std::string text;  // "NTK-fixed below NTK-mixed"
  CellKey left;
  Relation relation = Relation::kBelow;
  CellKey right;
  double amount = 0;
  std::optional<double> bound;  // a number in place of the right cell
  // A run that does not show it has failed: what must come out whatever the
  // size and the seed.
  bool required = false;
};

enum class Verdict { kHolds, kTie, kFails, kMissing };
std::string ToString(Verdict verdict);

struct ClaimResult {
  Verdict verdict = Verdict::kMissing;
  std::string numbers;  // "24.1 against 39.3, margin 0.2"
  std::string rule;     // how it was judged: "3 seeds, paired t", "exact"
};
std::string ToString(const ClaimResult& result);  // "holds (one seed, ...)"

// By the margin of Compare (difference.h): holds where more than the margin is
// to spare, fails where more is wanting, a tie between. Identities have none.
ClaimResult Judge(const std::vector<Measurement>& lines, const Claim& claim);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_CLAIMS_H_
