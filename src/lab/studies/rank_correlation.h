// How far our numbers stand in the order of the published ones.

#ifndef ROPEWALK_LAB_STUDIES_RANK_CORRELATION_H_
#define ROPEWALK_LAB_STUDIES_RANK_CORRELATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lab/studies/comparison.h"
#include "lab/studies/measurements.h"
#include "report/table.h"

namespace ropewalk::lab::studies {

struct RankCorrelation {
  std::string column;           // "8N repeated"
  int64_t rows = 0;             // that both tables have
  std::vector<uint64_t> seeds;  // that all of these rows have; 0: of no seed
  std::optional<double> rho;
};

// One a column with four rows or more that both tables have, in the order of
// the published table. Rows are means over the seeds that all of them have, so
// that no mean stands beside a single run; a column whose rows share no seed is
// left out.
std::vector<RankCorrelation> RankCorrelations(
    const std::vector<Published>& published,
    const std::vector<Measurement>& lines, int64_t N);

// column | rows | seeds | rank correlation.
report::Table RankTable(const std::vector<RankCorrelation>& correlations);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_RANK_CORRELATION_H_
