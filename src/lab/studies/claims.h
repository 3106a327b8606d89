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
    kEqual,   // the same, to the last digit that `amount` leaves: an identity
  };
  std::string text;  // "NTK-fixed below NTK-mixed"
  CellKey left;
  Relation relation = Relation::kBelow;
  CellKey right;
  double amount = 0;
  std::optional<double> bound;  // a number in place of the right cell
  // Judged by as many standard errors of the difference, not by the spread
  // over seeds; 0: by the spread.
  double standard_errors = 0;
  // A run that does not show it has failed: what must come out whatever the
  // size and the seed.
  bool required = false;
  // Judged by the differences of models of the same seed, which share data,
  // order and tests: over the seeds that both sides have, and where those are
  // two or more by their mean against what a mean of differences that are
  // really none stays below in 95 of 100 cases (Student's t).
  bool paired = false;
};

enum class Verdict { kHolds, kTie, kFails, kMissing };
std::string ToString(Verdict verdict);

struct ClaimResult {
  Verdict verdict = Verdict::kMissing;
  std::string numbers;  // "24.1 against 39.3, margin 0.2, 3 seeds"
  // Of models of one seed alone: the margin knows nothing of other seeds.
  bool one_seed = false;
};
std::string ToString(const ClaimResult& result);  // "holds, one seed"

// By how much two cells must differ to count as different: the larger spread
// over seeds of either, and where neither has two seeds that of `reference`,
// the base model, in the same set and length; without any of them the standard
// error of a difference.
double Margin(const std::vector<Measurement>& lines, const CellKey& left,
              const CellKey& right, const std::string& reference);

ClaimResult Judge(const std::vector<Measurement>& lines, const Claim& claim,
                  const std::string& reference);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_CLAIMS_H_
