// {{...}} of a study's page.md, filled from its rows: no number of a page is
// typed, so that none can go stale.

#ifndef ROPEWALK_LAB_STUDIES_PAGE_H_
#define ROPEWALK_LAB_STUDIES_PAGE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lab/studies/comparison.h"
#include "lab/studies/measurements.h"

namespace ropewalk::lab::studies {

// What was measured at one scale, and the length that its base was trained to.
struct ScaleRows {
  std::vector<Measurement> lines;
  int64_t N = 0;
};

struct PageSource {
  std::vector<Published> published;
  std::map<std::string, ScaleRows> scales;  // "small", "paper", a given model
};

// `page` with each {{...}} replaced by what the rows of the scale small say:
//
//   {{row | ROW | COLUMN}}            "29.5 ± 0.8" over seeds, "27.0 (1)" of
//   one
//   {{mean | ROW | COLUMN}}           29.5
//   {{seed 1 | ROW | COLUMN}}         of one seed
//   {{published | ROW | COLUMN}}      as the post prints it
//   {{gap | ROW | ROW | COLUMN}}      by how much two rows differ, without sign
//   {{margin | ROW | ROW | COLUMN}}   what of it may be chance (difference.h)
//   {{rank | COLUMN}}                 rank correlation with the published rows
//   {{rank rows | COLUMN}}            of how many rows
//
// COLUMN is a length, a set and a metric, of which the last two may be left
// out: "8N", "1024", "8N / repeated", "2N / natural / loss". `gap` and `margin`
// may have a second COLUMN, of the second row. A scale or a given model before
// a kind takes its rows ("paper mean"), and a last part such as "2 digits"
// other digits than usual. Throws std::invalid_argument, with the line, for
// what no row says.
std::string FillPage(const std::string& page, const PageSource& source);

// Fills FOLDER/page.md by FOLDER/measured.csv and published.csv, and by the
// rows of given models in FOLDER/MODEL; `lengths` has N by scale. Throws as
// FillPage and what reads the files.
std::string FillPageOf(const std::string& folder,
                       const std::map<std::string, int64_t>& lengths);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_PAGE_H_
