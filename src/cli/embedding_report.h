// What an embedding looks like: its extremes, and rows that a sign optimizer
// has driven to 1 / lambda (post 9736).

#ifndef ROPEWALK_CLI_EMBEDDING_REPORT_H_
#define ROPEWALK_CLI_EMBEDDING_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/gguf.h"

namespace ropewalk::cli {

struct RowExtreme {
  int64_t row = 0;
  double largest = 0;  // |component|
  double rms = 0;
};

struct EmbeddingReport {
  int64_t rows = 0;
  double rms = 0;
  double largest = 0;
  double median_row_largest = 0;
  int64_t not_finite = 0;
  std::vector<RowExtreme> top;  // the rows of the largest components

  // Where rows stand still: 1 / lambda where that is known, else the largest
  // component, if many share it and it is far beyond what rows usually have.
  double limit = 0;                 // 0: none
  int64_t rows_at_limit = 0;        // base/row_limit.h
  int64_t rows_heading = 0;         // not there, but of an RMS above half of it
  int64_t components_at_limit = 0;  // of other rows, far from the median one
  int64_t rows_outlying = 0;        // above ten times the median row
  // Rows of 16 components or more that nearly share one size, an RMS above 0.8
  // of the largest: what steps by the sign leave. Other training has none.
  int64_t rows_of_one_size = 0;
  double largest_of_one_size = 0;
};

// Of token_embd.weight; nothing where the file has none that we can read.
//
//   weight_decay   lambda of the training, where it is known; else 0
std::optional<EmbeddingReport> ExamineEmbedding(const formats::GgufFile& file,
                                                double weight_decay);

// One or two sentences: what is wrong and what helps, or nothing.
std::string Diagnosis(const EmbeddingReport& report, double weight_decay);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_EMBEDDING_REPORT_H_
