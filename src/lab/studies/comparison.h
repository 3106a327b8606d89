// Published beside ours: the tables of a study.

#ifndef ROPEWALK_LAB_STUDIES_COMPARISON_H_
#define ROPEWALK_LAB_STUDIES_COMPARISON_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lab/studies/claims.h"
#include "lab/studies/measurements.h"
#include "report/table.h"

namespace ropewalk::lab::studies {

// "48.51 ± 0.20 (3 seeds)": the spread of seeds; of one seed "48.51 (s.e.
// 0.35)", the standard error over documents.
std::string Show(const Summary& summary, const std::string& metric);

// The same of a cell over its seeds; empty where nothing was measured.
report::Cell ShowCell(const std::vector<Measurement>& lines,
                      const CellKey& key);

// A number that a post prints.
struct Published {
  std::string row;
  std::string name;  // as the post calls it
  std::string set;
  double at = 1;        // length in trained lengths
  bool tokens = false;  // `at` counts tokens instead ("512t")
  std::string metric;
  double value = 0;
  std::string source;
};

// Where our number for a published one is to be found; N is our trained length.
CellKey KeyOf(const Published& cell, int64_t N);

// "N", "8N repeated", "2N loss": what a published number was read on.
std::string ColumnOf(const Published& cell, int64_t N);

// published.csv. Throws FormatError where a column or a number is missing.
std::vector<Published> ParsePublished(const std::string& text,
                                      const std::string& path);

// How a row stands among the others of its column that both tables have.
struct Agreement {
  int64_t same = 0;   // pairs ordered as published
  int64_t ties = 0;   // pairs that we cannot tell apart
  int64_t other = 0;  // pairs ordered the other way
};

// Pairs that are published as equal do not count.
Agreement AgreementOf(const std::vector<Published>& published,
                      const std::vector<Measurement>& lines, int64_t N,
                      const Published& cell);

// published | ours | same ordering? One line a published row and column.
//
//   measured_only   leaves out what was not measured
report::Table ComparisonTable(const std::vector<Published>& published,
                              const std::vector<Measurement>& lines, int64_t N,
                              bool measured_only = false);

// Every row that was measured: one line a row, a column a set and length.
report::Table MeasuredTable(const std::vector<Measurement>& lines, int64_t N,
                            const std::string& metric);

report::Table ClaimsTable(const std::vector<Claim>& claims,
                          const std::vector<Measurement>& lines,
                          bool measured_only = false);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_COMPARISON_H_
