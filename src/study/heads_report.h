// The part "Why" of the study `real` for people: tables, pictures and results
// for the page, from the rows of head_rows.h.

#ifndef ROPEWALK_STUDY_HEADS_REPORT_H_
#define ROPEWALK_STUDY_HEADS_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/table.h"
#include "study/evidence.h"
#include "study/head_rows.h"

namespace ropewalk::study {

// A scheme at a length in tokens.
struct HeadWay {
  std::string scheme;
  int64_t length = 0;
};

// One number of every head: "entropy" (nats), "sinks", "far", "source" (%).
struct HeadMetric {
  std::string_view name;
  std::vector<double> HeadRow::*list = nullptr;
  double scale = 1;
  int digits = 1;
};

// Throws std::invalid_argument that lists the names.
const HeadMetric& HeadMetricOf(std::string_view name);

// Borrows the rows, which must outlive it. Pieces of one file do not occur:
// only first ones are read.
class HeadEvidence {
 public:
  explicit HeadEvidence(const HeadRows& rows);

  int64_t N() const { return N_; }
  // The layers that have rows, in rising order.
  const std::vector<int64_t>& layers() const { return layers_; }
  std::vector<std::string> Documents(const HeadWay& way) const;

  // Of all heads of all layers, the mean over documents, in the metric's scale:
  // [layers][H]. Empty without rows.
  std::vector<std::vector<double>> Map(
      const HeadWay& way, std::vector<double> HeadRow::*list) const;

  // Over heads, layers and documents; nullopt without rows.
  std::optional<Mean> MeanOf(const HeadWay& way,
                             const HeadMetric& metric) const;
  // Paired by document.
  std::optional<Difference> Compare(const HeadWay& a, const HeadWay& b,
                                    const HeadMetric& metric) const;

  // Rows of a layer in a way, one a document.
  std::vector<const HeadRow*> RowsOf(const HeadWay& way, int64_t layer) const;

  const HeadRows& rows() const { return rows_; }

 private:
  std::optional<double> OfDocument(const HeadWay& way,
                                   const std::string& document,
                                   const HeadMetric& metric) const;

  const HeadRows& rows_;
  int64_t N_ = 0;
  std::vector<int64_t> layers_;
};

// A head, as [layer, head], by its attention to the source of a passage.
struct RankedHead {
  int64_t layer = 0;
  int64_t head = 0;
  double source = 0;  // part of the attention
};

// All heads, the strongest first.
std::vector<RankedHead> HeadsBySource(const HeadEvidence& evidence,
                                      const HeadWay& way);

// The part of all attention to sources that the strongest `count` heads have,
// %.
double PartOfStrongest(const std::vector<RankedHead>& heads, size_t count);

// Mean entropy by length.
report::Table EntropyTable(const HeadEvidence& evidence);
// Where attention goes at N and 2N.
report::Table PartTable(const HeadEvidence& evidence);
// The ten strongest heads under RoPE at N/2, and what becomes of them past N.
report::Table SourceTable(const HeadEvidence& evidence);
report::Table RankTable(const HeadEvidence& evidence);
report::Table EmbeddingTable(const HeadEvidence& evidence);
// Rank correlations over the heads.
report::Table AgreementTable(const HeadEvidence& evidence);

// Writes the pictures to the folder of a model; none without rows.
void WriteHeadPictures(const HeadRows& rows, const std::string& folder);

// The text of {{MODEL | parts ...}}, parts without the model:
//
//   heads | METRIC | SCHEME 2N                a mean over documents
//   heads difference | METRIC | A 2N | B N    paired by document
//   heads table | NAME                        entropy, parts, sources, ranks,
//                                             embedding, agreement
//   heads cell | TABLE | ROW | COLUMN         one number of such a table
//   heads fact | NAME | ...                   see Fact in heads_page.cc
//   heads layers | SCHEME 2N | METRIC         of evidence.h, over by-heads/ and
//                                             the study together
//   heads layers | documents                  over how many
//
// `folder` is that of the model. Throws std::invalid_argument for what no row
// says.
std::string FillHeads(const std::vector<std::string>& parts,
                      const std::string& folder);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_HEADS_REPORT_H_
