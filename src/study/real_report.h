// The study `real` for people: tables, verdicts, pictures and pages.

#ifndef ROPEWALK_STUDY_REAL_REPORT_H_
#define ROPEWALK_STUDY_REAL_REPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "report/picture.h"
#include "report/table.h"
#include "study/evidence.h"
#include "study/rows.h"

namespace ropewalk::study {

// Something that the rows may show or not.
struct Claim {
  std::string text;
  Way left;
  Way right;
  std::string metric;
  Verdict expected = Verdict::kBelow;  // left against right
};

std::vector<Claim> Claims();

// "holds", "does not hold", "undecided", "seen once"; empty without rows.
std::string Judge(const Claim& claim, const std::optional<Difference>& found);

// The rows that every text is read under, over the documents that all of them
// share at a length.
report::Table ChiefTable(const Evidence& evidence);
// The few columns of the front page, at 2N.
report::Table FrontTable(const Evidence& evidence);
// All rows with their differences to a window that keeps its first tokens at
// 2N, each over the documents that both have read.
report::Table AgainstWindow(const Evidence& evidence);
report::Table ClaimTable(const Evidence& evidence);
// Where the texts are more than one set: chief rows at 2N by set.
report::Table SetTable(const Rows& rows, int64_t N);
// Beside the losses of LLaMA2-13B that post 9708 prints.
report::Table PublishedTable(const Evidence& evidence);

// SVG; empty without rows.
// Loss on the text against what is found of a passage, a point each way.
report::Picture LossAndFinding(const Evidence& evidence);
// Loss of hidden numbers by their distance.
report::Picture ByDistance(const Evidence& evidence);
// The same by scheme and distance at 2N, over the documents that all schemes
// share: a grid of exp(-loss), the probability of a token of the number.
report::Picture FindingByDepth(const Evidence& evidence);

// Writes table.md, index.html and the pictures to the folder of a model.
// Throws IoError.
void WriteReport(const Rows& rows, const std::string& folder);

// `page` with each {{...}} replaced by what the rows of a model say:
//
//   {{MODEL | mean | SCHEME | 2N | METRIC}}            a mean over documents
//   {{MODEL | difference | SCHEME 2N | SCHEME N | METRIC}}  +0.03 +- 0.01
//   {{MODEL | verdict | SCHEME 2N | SCHEME N | METRIC}}     below, above, ...
//   {{MODEL | documents | SCHEME | 2N}}                how many
//   {{MODEL | table | chief}}                          a table, also front,
//                                                      window, claims, sets,
//                                                      published, tune
//   {{MODEL | heads ...}}                              heads_report.h
//
// `folder` has a folder for each MODEL; "MODEL, SET" is of another set than
// "novels". Throws std::invalid_argument, with the line, for what no row says.
std::string FillPage(const std::string& page, const std::string& folder);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_REAL_REPORT_H_
