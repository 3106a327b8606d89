// What the rows of a study say: means over documents, and differences between
// two ways of reading, document by document. Pieces of one file have an author
// and a story in common, so that their mean counts as one document.

#ifndef ROPEWALK_STUDY_EVIDENCE_H_
#define ROPEWALK_STUDY_EVIDENCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/number.h"
#include "study/rows.h"

namespace ropewalk::study {

// One number of a row.
struct Metric {
  std::string_view name;  // "passage_right"
  int digits = 3;
  report::Best best = report::Best::kLow;
  // nullopt if the row has no such number.
  std::optional<double> (*of)(const Row& row, int64_t N) = nullptr;
};

// Throws std::invalid_argument that lists the names.
const Metric& MetricOf(std::string_view name);

// A way of reading.
struct Way {
  std::string scheme;
  int64_t times = 1;  // of N
};

struct Mean {
  double value = 0;
  double error = 0;  // standard error over documents; 0 for a single one
  int64_t documents = 0;
};

enum class Verdict {
  kBelow,      // certainly
  kAbove,      // certainly
  kUndecided,  // the difference may be none
  kSeenOnce,   // one document
};
std::string_view ToString(Verdict verdict);

// a - b over the documents that both have read.
struct Difference {
  double value = 0;
  // A difference that is really none stays within this in 95 of 100 cases:
  // Student's t, paired by document.
  double margin = 0;
  int64_t documents = 0;

  Verdict verdict() const;
};

// The mean of differences, one for each document, with its margin.
Difference PairedDifference(const std::vector<double>& differences);

// "+0.031 ± 0.012"; without the margin for a single document.
std::string ToString(const Difference& difference, int digits);

// Borrows the rows, which must outlive it.
class Evidence {
 public:
  Evidence(const std::vector<Row>& rows, std::string set, int64_t N)
      : rows_(rows), set_(std::move(set)), N_(N) {}

  int64_t N() const { return N_; }
  const std::string& set() const { return set_; }

  // The documents that were read in all of these ways.
  std::vector<std::string> Shared(const std::vector<Way>& ways) const;

  // Over all documents read so, or over `documents` alone; nullopt without
  // any.
  std::optional<Mean> MeanOf(
      const Way& way, const Metric& metric,
      const std::vector<std::string>* documents = nullptr) const;

  std::optional<Difference> Compare(const Way& a, const Way& b,
                                    const Metric& metric) const;

  // Each scheme of the set's rows once, in their order.
  std::vector<std::string> Schemes() const;

  // The rows read in a way, in the order of the file.
  std::vector<const Row*> RowsOf(const Way& way) const;

 private:
  const std::vector<Row>& rows_;
  std::string set_;
  int64_t N_;
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_EVIDENCE_H_
