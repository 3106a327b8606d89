#include "study/needle_report.h"

#include <algorithm>

#include "base/progress.h"
#include "study/evidence.h"
#include "study/needles.h"

namespace ropewalk::study {
namespace {

double PartOf(const std::string& marks) {
  return static_cast<double>(std::ranges::count(marks, '1')) /
         static_cast<double>(marks.size());
}

// a - b in percent, question by question; "-" if there is nothing to compare.
std::string Against(const std::string& a, const std::string* b) {
  if (b == nullptr || &a == b || a.size() != b->size()) return "-";
  std::vector<double> differences;
  for (size_t q = 0; q < a.size(); ++q) {
    differences.push_back(100.0 * (a[q] - (*b)[q]));
  }
  return ToString(PairedDifference(differences), 0);
}

}  // namespace

report::Table NeedleTable(const NeedleRows& rows,
                          const std::vector<PeerRow>& peers,
                          const std::string& setting) {
  report::Table table(
      {{.name = "what stands before"},
       {.name = "found, %", .digits = 0, .best = report::Best::kHigh},
       {.name = "against all attached"},
       {.name = "digits right, %", .digits = 1},
       {.name = "tokens read", .digits = 0},
       {.name = "to the first token, s", .digits = 2}});
  const NeedleRow* all = rows.Find([&](const NeedleRow& row) {
    return row.setting == setting && row.condition == kAllAttached;
  });
  const std::string* found = all == nullptr ? nullptr : &all->found;
  for (const NeedleRow& row : rows.rows()) {
    if (row.setting != setting || row.found.empty()) continue;
    table.AddRow({row.condition, 100 * PartOf(row.found),
                  Against(row.found, found), 100 * row.digits, row.read,
                  row.first_seconds});
  }
  for (const PeerRow& row : peers) {
    if (row.setting != setting || row.found.empty()) continue;
    table.AddRow({row.program + ": " + row.condition,
                  100 * PartOf(row.found),
                  Against(row.found, found),
                  {},
                  row.read,
                  row.first_seconds});
  }
  return table;
}

report::Table SpeedTable(const SpeedRows& rows) {
  report::Table table({{.name = "tokens"},
                       {.name = "", .align = report::Align::kLeft},
                       {.name = "read", .unit = "s", .digits = 1},
                       {.name = "first token", .unit = "s", .digits = 2},
                       {.name = "decode", .unit = "tokens/s", .digits = 1},
                       {.name = "time a token", .align = report::Align::kRight},
                       {.name = "keys and values"}});
  for (const SpeedRow& row : rows.rows()) {
    table.AddRow({row.tokens, "one text, ReRoPE", row.text_read, row.text_first,
                  row.text_decode, "1", FormatBytes(row.text_bytes)});
    table.AddRow(
        {row.tokens, "memories", row.memory_read, row.memory_first,
         row.memory_decode,
         report::FormatValue(row.ratio, report::NumberStyle::kPlain, 2),
         FormatBytes(row.memory_bytes)});
  }
  return table;
}

}  // namespace ropewalk::study
