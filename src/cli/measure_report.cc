#include "cli/measure_report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command_line.h"
#include "evaluate/reach.h"
#include "report/json.h"
#include "report/line_plot.h"
#include "report/number.h"
#include "report/page.h"
#include "report/table.h"

namespace ropewalk::cli {
namespace {

using evaluate::MeasureResult;
using evaluate::MeasureRow;
using evaluate::StretchRow;
using report::Table;

template <typename T>
void AddOnce(std::vector<T>& list, const T& value) {
  if (std::ranges::find(list, value) == list.end()) list.push_back(value);
}

std::vector<int64_t> Lengths(const MeasureResult& result) {
  std::vector<int64_t> lengths;
  for (const MeasureRow& row : result.rows) AddOnce(lengths, row.length);
  return lengths;
}

std::vector<std::string> Sets(const MeasureResult& result) {
  std::vector<std::string> sets;
  for (const MeasureRow& row : result.rows) AddOnce(sets, row.set);
  return sets;
}

std::vector<std::string> Positions(const MeasureResult& result,
                                   const std::string& set) {
  std::vector<std::string> positions;
  for (const MeasureRow& row : result.rows) {
    if (row.set == set) AddOnce(positions, row.position);
  }
  return positions;
}

const MeasureRow* FindRow(const MeasureResult& result, const std::string& set,
                          const std::string& position, int64_t length) {
  for (const MeasureRow& row : result.rows) {
    if (row.set == set && row.position == position && row.length == length) {
      return &row;
    }
  }
  return nullptr;
}

std::string Fixed(double value, int digits) {
  return report::FormatValue(value, report::NumberStyle::kPlain, digits);
}

constexpr const char* kFails = "!";  // behind values that were foreseen to fail

// One line a scheme, one column a length, text cells with marks.
Table Pivot(const MeasureResult& result, const std::string& set,
            const std::function<std::string(const MeasureRow&)>& cell) {
  std::vector<report::Column> columns = {{.name = "position"}};
  for (const int64_t length : Lengths(result)) {
    columns.push_back(
        {.name = std::to_string(length), .align = report::Align::kRight});
  }
  Table table(columns);
  for (const std::string& position : Positions(result, set)) {
    std::vector<report::Cell> cells = {position};
    for (const int64_t length : Lengths(result)) {
      const MeasureRow* row = FindRow(result, set, position, length);
      if (row == nullptr) {
        cells.emplace_back();
      } else {
        cells.emplace_back(cell(*row) + (row->known_to_fail ? kFails : " "));
      }
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

Table LossTable(const MeasureResult& result, const std::string& set) {
  return Pivot(result, set,
               [](const MeasureRow& row) { return Fixed(row.loss, 4); });
}

Table AccuracyTable(const MeasureResult& result, const std::string& set) {
  return Pivot(result, set, [](const MeasureRow& row) {
    return Fixed(100 * row.accuracy, 2);
  });
}

Table StretchTable(const MeasureResult& result) {
  std::vector<std::string> positions;
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (const StretchRow& row : result.stretches) {
    AddOnce(positions, row.position);
    AddOnce(ranges, {row.from, row.to});
  }
  std::vector<report::Column> columns = {{.name = "tokens"}};
  for (const std::string& position : positions) {
    columns.push_back({.name = position, .digits = 4});
  }
  Table table(columns);
  for (const auto& [from, to] : ranges) {
    std::vector<report::Cell> cells = {std::to_string(from) + "-" +
                                       std::to_string(to)};
    for (const std::string& position : positions) {
      const auto row = std::ranges::find_if(
          result.stretches, [&, from = from](const StretchRow& r) {
            return r.position == position && r.from == from;
          });
      std::optional<double> loss;
      if (row != result.stretches.end()) loss = row->loss;
      cells.emplace_back(loss);
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

Table RowsTable(const MeasureResult& result) {
  Table table({{.name = "position"},
               {.name = "resolved"},
               {.name = "set"},
               {.name = "length"},
               {.name = "tokens"},
               {.name = "loss", .digits = 4},
               {.name = "loss_stderr", .digits = 4},
               {.name = "accuracy", .digits = 4},
               {.name = "seconds", .digits = 2},
               {.name = "known_to_fail"}});
  for (const MeasureRow& row : result.rows) {
    table.AddRow({row.position, row.resolved, row.set, row.length, row.tokens,
                  row.loss, row.loss_stderr, row.accuracy, row.seconds,
                  row.known_to_fail.value_or("")});
  }
  return table;
}

// What each spelling came to, where that says more than the spelling.
std::vector<std::string> Notes(const MeasureResult& result) {
  // A spelling that came to the same at every length needs one line.
  std::map<std::string, std::vector<std::string>> by_position;
  for (const MeasureRow& row : result.rows) {
    AddOnce(by_position[row.position], row.resolved);
  }
  std::vector<std::string> out;
  for (const MeasureRow& row : result.rows) {
    if (row.resolved == row.position) continue;
    const bool same = by_position[row.position].size() == 1;
    AddOnce(out, same ? row.position + " is " + row.resolved
                      : row.position + " at " + std::to_string(row.length) +
                            " is " + row.resolved);
  }
  std::vector<std::string> explained;
  for (const MeasureRow& row : result.rows) {
    if (!row.known_to_fail ||
        std::ranges::find(explained, row.position) != explained.end()) {
      continue;
    }
    explained.push_back(row.position);
    // The reason without its advice: in a comparison the better scheme stands
    // in the next line.
    const size_t advice = row.known_to_fail->find("; try ");
    out.push_back(std::string(kFails) + " " +
                  row.known_to_fail->substr(0, advice));
  }
  return out;
}

std::string Protocol(const MeasureResult& result) {
  std::string text = std::to_string(result.documents) +
                     (result.documents == 1 ? " document" : " documents") +
                     ", the last " + std::to_string(result.score_last) +
                     " targets of each scored at every length; trained to " +
                     std::to_string(result.train_length) + " tokens";
  if (result.skipped > 0) {
    text += "; skipped as too short: " + std::to_string(result.skipped);
  }
  return text;
}

std::string Unread(const MeasureResult& result) {
  std::string text;
  for (const std::string& name : result.unread) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

// Beyond this a collapsed line is drawn at the border: twice the loss of
// guessing every token alike, and more than that is as useless.
std::optional<double> PlotCeiling(const RunFacts& facts, double largest) {
  const double ceiling = 2 * std::log(static_cast<double>(facts.vocabulary));
  if (facts.vocabulary < 2 || !(largest > ceiling)) return std::nullopt;
  return ceiling;
}

report::LinePlot EmptyPlot(const MeasureResult& result, const RunFacts& facts,
                           const std::string& title, const std::string& x) {
  double largest = 0;
  for (const MeasureRow& row : result.rows) {
    largest = std::max(largest, row.loss);
  }
  return {.title = title,
          .x = {.label = x, .style = report::NumberStyle::kTokens},
          .y = {.label = "loss, nats a token",
                .digits = 3,
                .max = PlotCeiling(facts, largest)},
          .x_markers = {{static_cast<double>(result.train_length),
                         "trained to " + std::to_string(result.train_length),
                         true}}};
}

report::Picture LossByLength(const MeasureResult& result, const RunFacts& facts,
                             const std::string& set) {
  report::LinePlot plot = EmptyPlot(
      result, facts, facts.model + ": loss against length, " + set + " text",
      "tokens of context");
  plot.x.scale = report::Scale::kLog2;
  for (const std::string& position : Positions(result, set)) {
    report::Series series{.name = position};
    for (const MeasureRow& row : result.rows) {
      if (row.set != set || row.position != position) continue;
      series.points.push_back(
          {static_cast<double>(row.length), row.loss, row.loss_stderr});
    }
    std::ranges::sort(series.points, {}, &report::Point::x);
    plot.series.push_back(std::move(series));
  }
  return report::ToPicture(plot);
}

report::Picture LossByPosition(const MeasureResult& result,
                               const RunFacts& facts) {
  report::LinePlot plot =
      EmptyPlot(result, facts, facts.model + ": loss along one long text",
                "token of the text");
  std::vector<std::string> positions;
  for (const StretchRow& row : result.stretches) {
    AddOnce(positions, row.position);
  }
  for (const std::string& position : positions) {
    report::Series series{.name = position};
    for (const StretchRow& row : result.stretches) {
      if (row.position != position) continue;
      series.points.push_back(
          {static_cast<double>(row.to), row.loss, row.loss_stderr});
    }
    plot.series.push_back(std::move(series));
  }
  return report::ToPicture(plot);
}

void AddVerdict(const MeasureResult& result, const RunFacts& facts,
                report::Page& page) {
  const std::string set = Sets(result).front();
  const auto reaches = evaluate::Reaches(result, set);
  std::string command;
  if (!reaches.empty() && reaches.front().length > 0) {
    command =
        QuoteCommand({"ropewalk", "run", "-m", facts.model_path, "--position",
                      reaches.front().position, "-f", "TEXT"});
  }
  page.AddVerdict(evaluate::ReachInWords(result, set), command);
}

}  // namespace

std::string MeasureSvg(const MeasureResult& result, const RunFacts& facts) {
  return (result.stretches.empty() ? LossByLength(result, facts, "natural")
                                   : LossByPosition(result, facts))
      .svg;
}

std::string MeasureText(const MeasureResult& result) {
  if (result.rows.empty()) return "";
  std::string text;
  for (const std::string& set : Sets(result)) {
    const std::string where =
        Sets(result).size() > 1 ? ", " + set + " text" : "";
    text += "loss (nats a token, lower is better)" + where + "\n";
    text += report::ToText(LossTable(result, set)) + "\n";
    text += "accuracy (%)" + where + "\n";
    text += report::ToText(AccuracyTable(result, set)) + "\n";
  }
  if (!result.stretches.empty()) {
    text += "loss by position\n";
    text += report::ToText(StretchTable(result)) + "\n";
  }
  for (const std::string& note : Notes(result)) text += note + "\n";
  text += Protocol(result) + "\n";
  if (!result.unread.empty()) {
    text += "not read, for lack of time: " + Unread(result) + "\n";
  }
  return text;
}

std::string MeasureCsv(const MeasureResult& result) {
  return report::ToCsv(RowsTable(result));
}

std::string MeasureJson(const MeasureResult& result, const RunFacts& facts) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["model"] = facts.model;
  json["train_length"] = result.train_length;
  json["documents"] = result.documents;
  json["skipped"] = result.skipped;
  json["score_last"] = result.score_last;
  json["interrupted"] = facts.interrupted;
  json["measurement"] = facts.measurement;
  if (!result.unread.empty()) json["unread"] = result.unread;
  json["rows"] = Json::array();
  for (const MeasureRow& row : result.rows) {
    Json out = {{"position", row.position},
                {"resolved", row.resolved},
                {"set", row.set},
                {"length", row.length},
                {"tokens", row.tokens},
                {"loss", row.loss},
                {"loss_stderr", row.loss_stderr},
                {"accuracy", row.accuracy},
                {"accuracy_stderr", row.accuracy_stderr},
                {"document_losses", row.document_losses},
                {"seconds", row.seconds}};
    if (row.known_to_fail) out["known_to_fail"] = *row.known_to_fail;
    json["rows"].push_back(std::move(out));
  }
  if (!result.stretches.empty()) {
    json["by_position"] = Json::array();
    for (const StretchRow& row : result.stretches) {
      json["by_position"].push_back({{"position", row.position},
                                     {"length", row.length},
                                     {"from", row.from},
                                     {"to", row.to},
                                     {"tokens", row.tokens},
                                     {"loss", row.loss},
                                     {"loss_stderr", row.loss_stderr},
                                     {"accuracy", row.accuracy}});
    }
  }
  return report::DumpJson(json);
}

std::string MeasureHtml(const MeasureResult& result, const RunFacts& facts) {
  report::Page page(facts.model + " past its training length");
  page.AddParagraph(
      "Which position schemes keep this model reading, and which collapse? "
      "Every scheme reads the same texts at every length, and only the same "
      "last block of each is scored, so a longer context can only help a "
      "model that uses it.");
  if (facts.interrupted) {
    page.AddParagraph("This run was interrupted; the finished rows are here.");
  }
  if (!result.rows.empty()) AddVerdict(result, facts, page);
  std::vector<std::pair<std::string, std::string>> list = {
      {"model", facts.model},
      {"trained length", std::to_string(result.train_length) + " tokens"},
      {"text", facts.source},
      {"protocol", Protocol(result)}};
  list.insert(list.end(), facts.more.begin(), facts.more.end());
  if (!result.unread.empty()) {
    list.emplace_back("not read, for lack of time", Unread(result));
  }
  page.AddFacts(list);
  for (const std::string& set : Sets(result)) {
    page.AddHeading(set == "natural" ? "Natural text" : "Repeated text");
    if (Lengths(result).size() > 1) {
      page.AddFigure(LossByLength(result, facts, set),
                     "Mean loss of the last " +
                         std::to_string(result.score_last) +
                         " targets against the length read; bars are standard "
                         "errors. Up to the trained length the background is "
                         "shaded.");
    }
    page.AddTable(LossTable(result, set),
                  "Loss, nats a token, lower is better");
    page.AddTable(AccuracyTable(result, set), "Accuracy, percent");
  }
  if (!result.stretches.empty()) {
    page.AddHeading("Along the text");
    page.AddFigure(LossByPosition(result, facts),
                   "Mean loss of each stretch of the longest length.");
    page.AddTable(StretchTable(result), "Loss of each stretch");
  }
  for (const std::string& note : Notes(result)) page.AddParagraph(note);
  report::Page details;
  details.AddTable(RowsTable(result));
  page.AddDetails("Every row", details);
  page.AddHeading("Made by");
  page.AddCode(facts.command);
  return page.Html();
}

}  // namespace ropewalk::cli
