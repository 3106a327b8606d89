// By how much two cells differ, and how much of that may be chance: the one
// rule behind every verdict and every tie.
//
// Over two or more seeds that both cells have, a paired t-test: models of one
// seed share data, order and tests. Where they share none, Welch's t-test. With
// one seed the standard errors over documents, taken as if the two cells had
// read different ones, which errs towards ties; a cell that is itself a
// difference document by document ("loss above rope") is held against a bound
// instead. A cell without an error was seen once, and has no margin. No margin
// comes from another row.

#ifndef ROPEWALK_LAB_STUDIES_DIFFERENCE_H_
#define ROPEWALK_LAB_STUDIES_DIFFERENCE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "lab/studies/measurements.h"

namespace ropewalk::lab::studies {

struct Difference {
  enum class Test {
    kPairedT,         // the seeds that both have
    kT,               // the seeds of one cell against a bound
    kWelch,           // seeds of which none is shared
    kStandardErrors,  // one seed, or no shared seed and one of one side
    kSeenOnce,        // the same without an error
  };
  double left = 0;  // means over the seeds that were compared
  double right = 0;
  double margin = 0;   // a gap within it may be chance, in 5 of 100 cases
  double largest = 0;  // |right - left|, the largest of the pairs compared
  Test test = Test::kSeenOnce;
  size_t left_seeds = 0;  // compared; 0: of no seed
  size_t right_seeds = 0;

  double gap() const { return right - left; }
};

// "3 seeds, paired t", "one seed, standard errors", "seen once".
std::string ToString(const Difference& difference);

// Nothing where either cell was not measured.
std::optional<Difference> Compare(const std::vector<Measurement>& lines,
                                  const CellKey& left, const CellKey& right);

// The same with a number on the right.
std::optional<Difference> CompareToBound(const std::vector<Measurement>& lines,
                                         const CellKey& left, double bound);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_DIFFERENCE_H_
