#include "study/memory_report.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "evaluate/statistics.h"
#include "formats/text_file.h"
#include "report/line_plot.h"
#include "report/sections.h"
#include "study/evidence.h"
#include "study/memories.h"
#include "study/needle_report.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

// The conditions of a setting in their order, each with its rows by document.
struct ConditionColumn {
  std::string name;
  std::vector<const MemoryRow*> rows;
};

// Over the documents that all conditions have read.
std::vector<ConditionColumn> ConditionsOf(const MemoryRows& rows,
                                          const std::string& setting) {
  std::vector<ConditionColumn> conditions;
  std::map<std::string, size_t> readings;
  for (const MemoryRow& row : rows.rows()) {
    if (row.setting != setting) continue;
    ++readings[row.document];
    if (std::ranges::count(conditions, row.condition, &ConditionColumn::name) ==
        0) {
      conditions.push_back({row.condition, {}});
    }
  }
  for (ConditionColumn& condition : conditions) {
    for (const auto& [document, count] : readings) {
      if (count != conditions.size()) continue;
      condition.rows.push_back(rows.Find(document, setting, condition.name));
    }
  }
  return conditions;
}

std::vector<double> Values(const ConditionColumn& condition,
                           double MemoryRow::*member) {
  std::vector<double> values;
  for (const MemoryRow* row : condition.rows) values.push_back(row->*member);
  return values;
}

// Both have read the same documents.
Difference Between(const ConditionColumn& a, const ConditionColumn& b,
                   double MemoryRow::*member) {
  std::vector<double> differences = Values(a, member);
  const std::vector<double> others = Values(b, member);
  for (size_t d = 0; d < differences.size(); ++d) differences[d] -= others[d];
  return PairedDifference(differences);
}

// Models with rows, by the names of their folders.
std::vector<std::string> ModelsIn(const std::string& folder) {
  std::vector<std::string> models;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    if (entry.is_directory()) models.push_back(entry.path().filename());
  }
  std::ranges::sort(models);
  return models;
}

std::vector<std::string> SettingsOf(const MemoryRows& rows) {
  std::vector<std::string> settings;
  for (const MemoryRow& row : rows.rows()) {
    if (std::ranges::count(settings, row.setting) == 0) {
      settings.push_back(row.setting);
    }
  }
  return settings;
}

std::vector<std::string> Words(const std::string& inside) {
  std::vector<std::string> words;
  size_t at = 0;
  while (true) {
    const size_t bar = inside.find('|', at);
    std::string word = inside.substr(at, bar - at);
    word.erase(0, word.find_first_not_of(' '));
    word.erase(word.find_last_not_of(' ') + 1);
    words.push_back(std::move(word));
    if (bar == std::string::npos) return words;
    at = bar + 1;
  }
}

report::Table Filled(report::Table table, const std::string& inside) {
  Require(!table.rows().empty(), "no rows for '" + Printable(inside, 80) + "'");
  return table;
}

}  // namespace

report::Table MemoryTable(const MemoryRows& rows, const std::string& setting) {
  const std::vector<ConditionColumn> conditions = ConditionsOf(rows, setting);
  const auto nothing =
      std::ranges::find(conditions, kNothing, &ConditionColumn::name);
  report::Table table(
      {{.name = "what stands before"},
       {.name = "goes on, nats", .digits = 3, .best = report::Best::kLow},
       {.name = "against nothing"},
       {.name = "repeats, nats", .digits = 3, .best = report::Best::kLow},
       {.name = "right, %", .digits = 1, .best = report::Best::kHigh}});
  for (const ConditionColumn& condition : conditions) {
    if (condition.rows.empty()) continue;
    std::string against = "-";
    if (nothing != conditions.end() && &*nothing != &condition) {
      against =
          ToString(Between(condition, *nothing, &MemoryRow::goes_on_loss), 3);
    }
    table.AddRow(
        {condition.name,
         evaluate::Mean(Values(condition, &MemoryRow::goes_on_loss)), against,
         evaluate::Mean(Values(condition, &MemoryRow::repeats_loss)),
         100 *
             evaluate::Mean(Values(condition, &MemoryRow::repeats_accuracy))});
  }
  return table;
}

report::Table MemoryDifferences(const MemoryRows& rows,
                                const std::string& setting) {
  const std::vector<ConditionColumn> conditions = ConditionsOf(rows, setting);
  report::Table table({{.name = "read alone, against"},
                       {.name = "goes on, nats"},
                       {.name = "repeats, nats"}});
  const auto alone =
      std::ranges::find(conditions, kAlone, &ConditionColumn::name);
  if (alone == conditions.end()) return table;
  for (const char* name : {kNothing, kTogether, kTogetherAttached}) {
    const auto other =
        std::ranges::find(conditions, name, &ConditionColumn::name);
    if (other == conditions.end()) continue;
    table.AddRow(
        {name, ToString(Between(*alone, *other, &MemoryRow::goes_on_loss), 3),
         ToString(Between(*alone, *other, &MemoryRow::repeats_loss), 3)});
  }
  return table;
}

std::string MemoryPicture(const MemoryRows& rows, const std::string& setting) {
  report::LinePlot plot{
      .title = "Documents before a text, " + setting + " tokens",
      .x = {.label = "text that goes on, nats (left is better)"},
      .y = {.label = "stretch that is repeated, % right",
            .min = 0.0,
            .max = 100.0},
      .series = {},
      .best = report::Best::kHigh,
      .zoom = report::Zoom::kNever};
  for (const ConditionColumn& condition : ConditionsOf(rows, setting)) {
    if (condition.rows.empty()) continue;
    plot.series.push_back(
        {.name = condition.name,
         .points = {{evaluate::Mean(
                         Values(condition, &MemoryRow::goes_on_loss)),
                     100 * evaluate::Mean(
                               Values(condition, &MemoryRow::repeats_accuracy)),
                     0}},
         .draw = report::Draw::kPoints});
  }
  return plot.series.empty() ? "" : ToSvg(plot);
}

std::string FillMemoryPage(const std::string& page, const std::string& folder) {
  return report::FillPage(page, [&](const std::string& inside) {
    const std::vector<std::string> words = Words(inside);
    const std::string what = words.size() == 3 ? words[2] : "";
    Require(words.size() == 2 || what == "documents" || what == "differences" ||
                what == "needles",
            "not MODEL | SETTING, or with | documents, | differences or | "
            "needles, nor MODEL | speed");
    const std::string of_model = (fs::path(folder) / words[0]).string();
    if (words[1] == "speed") {
      return ToMarkdown(Filled(SpeedTable(SpeedRows(of_model)), inside));
    }
    if (what == "needles") {
      return ToMarkdown(Filled(
          NeedleTable(NeedleRows(of_model), ReadPeerRows(of_model), words[1]),
          inside));
    }
    const MemoryRows rows(of_model);
    const std::vector<ConditionColumn> conditions =
        ConditionsOf(rows, words[1]);
    Require(!conditions.empty() && !conditions.front().rows.empty(),
            "no rows of '" + Printable(words[0], 60) + "' at " +
                Printable(words[1], 40));
    if (what == "documents") {
      return std::to_string(conditions.front().rows.size());
    }
    if (what == "differences") {
      return ToMarkdown(MemoryDifferences(rows, words[1]));
    }
    return ToMarkdown(MemoryTable(rows, words[1]));
  });
}

void WriteMemoryReport(const std::string& folder) {
  bool any = false;
  for (const std::string& model : ModelsIn(folder)) {
    const fs::path at = fs::path(folder) / model;
    const MemoryRows rows(at.string());
    any = any || !NeedleRows(at.string()).rows().empty() ||
          !SpeedRows(at.string()).rows().empty();
    for (const std::string& setting : SettingsOf(rows)) {
      const std::string picture = MemoryPicture(rows, setting);
      if (picture.empty()) continue;
      any = true;
      WriteFileAtomically((at / (setting + ".svg")).string(), picture);
    }
  }
  Require(any, "reproduce memories: no rows in '" + Printable(folder) + "'");
  const fs::path source = fs::path(folder) / "page.md";
  if (!fs::exists(source)) return;
  WriteFileAtomically(
      (fs::path(folder) / "README.md").string(),
      FillMemoryPage(formats::ReadTextFile(source.string()), folder));
}

}  // namespace ropewalk::study
