// A measurement for people and for programs: terminal, CSV, JSON, one page.

#ifndef ROPEWALK_CLI_MEASURE_REPORT_H_
#define ROPEWALK_CLI_MEASURE_REPORT_H_

#include <string>
#include <utility>
#include <vector>

#include "evaluate/measure.h"

namespace ropewalk::cli {

// What a page says of a run beside its rows.
struct RunFacts {
  std::string model;    // its name
  std::string source;   // the texts or id files
  std::string command;  // as typed
  std::string model_path;
  std::string measurement;  // ReadKnownRows
  std::vector<std::pair<std::string, std::string>> more;
  int64_t vocabulary = 0;
  bool interrupted = false;
};

// Loss and accuracy, one line a scheme, one column a length; then the loss by
// position; then what the marks mean.
std::string MeasureText(const evaluate::MeasureResult& result);

// One line a row, every field.
std::string MeasureCsv(const evaluate::MeasureResult& result);

std::string MeasureJson(const evaluate::MeasureResult& result,
                        const RunFacts& facts);

std::string MeasureHtml(const evaluate::MeasureResult& result,
                        const RunFacts& facts);

// The picture alone: loss along the text where stretches were measured, else
// loss against length.
std::string MeasureSvg(const evaluate::MeasureResult& result,
                       const RunFacts& facts);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_MEASURE_REPORT_H_
