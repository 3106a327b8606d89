#include "lab/train/run_log.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "report/line_plot.h"
#include "report/page.h"
#include "report/table.h"

namespace ropewalk::lab::train {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no NaN; null reads back as one.
Json Number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}
double ReadNumber(const Json& json) {
  return json.is_null() ? std::nan("") : json.get<double>();
}

Json ToJson(const StepRecord& r) {
  return {{"step", r.step},
          {"tokens", r.tokens},
          {"loss", Number(r.loss)},
          {"learning_rate_factor", Number(r.learning_rate_factor)},
          {"gradient_norm", Number(r.gradient_norm)},
          {"largest_embedding", Number(r.largest_embedding)},
          {"rows_at_limit", r.rows_at_limit},
          {"seconds", Number(r.seconds)},
          {"tokens_per_second", Number(r.tokens_per_second)}};
}

StepRecord StepOf(const Json& json) {
  return {.step = json.at("step"),
          .tokens = json.at("tokens"),
          .loss = ReadNumber(json.at("loss")),
          .learning_rate_factor = ReadNumber(json.at("learning_rate_factor")),
          .gradient_norm = ReadNumber(json.at("gradient_norm")),
          .seconds = ReadNumber(json.at("seconds")),
          .tokens_per_second = ReadNumber(json.at("tokens_per_second")),
          .largest_embedding = ReadNumber(json.at("largest_embedding")),
          .rows_at_limit = json.value("rows_at_limit", int64_t{0})};
}

Json ToJson(const EvaluationRecord& record) {
  Json rows = Json::array();
  for (const evaluate::MeasureRow& row : record.rows) {
    rows.push_back({{"position", row.position},
                    {"resolved", row.resolved},
                    {"set", row.set},
                    {"length", row.length},
                    {"tokens", row.tokens},
                    {"loss", Number(row.loss)},
                    {"loss_stderr", Number(row.loss_stderr)},
                    {"accuracy", Number(row.accuracy)},
                    {"seconds", Number(row.seconds)}});
  }
  return {{"step", record.step}, {"evaluation", rows}};
}

EvaluationRecord EvaluationOf(const Json& json) {
  EvaluationRecord record{.step = json.at("step")};
  for (const Json& row : json.at("evaluation")) {
    record.rows.push_back({.position = row.at("position"),
                           .resolved = row.at("resolved"),
                           .set = row.at("set"),
                           .length = row.at("length"),
                           .tokens = row.at("tokens"),
                           .loss = ReadNumber(row.at("loss")),
                           .loss_stderr = ReadNumber(row.at("loss_stderr")),
                           .accuracy = ReadNumber(row.at("accuracy")),
                           .seconds = ReadNumber(row.at("seconds"))});
  }
  return record;
}

report::LinePlot LossPlot(const RunLog& log, const PageFacts& facts) {
  report::LinePlot plot;
  plot.title = facts.name + ": training loss";
  plot.x.label = "step";
  plot.y.label = "loss (nats)";
  report::Series series{.name = "training"};
  // At most some 300 points, each a mean.
  const size_t stride = log.steps().size() / 300 + 1;
  for (size_t i = 0; i < log.steps().size(); i += stride) {
    const size_t end = std::min(log.steps().size(), i + stride);
    double sum = 0;
    for (size_t at = i; at < end; ++at) sum += log.steps()[at].loss;
    series.points.push_back({static_cast<double>(log.steps()[end - 1].step),
                             sum / static_cast<double>(end - i)});
  }
  plot.series.push_back(std::move(series));
  return plot;
}

// Loss under each scheme at each length, over the steps.
std::optional<report::LinePlot> HistoryPlot(const RunLog& log,
                                            const PageFacts& facts) {
  if (log.evaluations().size() < 2) return std::nullopt;
  report::LinePlot plot;
  plot.title = facts.name + ": held-out loss by scheme and length";
  plot.x.label = "step";
  plot.y.label = "loss (nats)";
  std::map<std::string, report::Series> lines;
  std::vector<std::string> order;
  for (const EvaluationRecord& record : log.evaluations()) {
    for (const evaluate::MeasureRow& row : record.rows) {
      if (row.set != "natural") continue;
      const std::string name =
          row.position + " at " + std::to_string(row.length);
      if (lines.count(name) == 0) order.push_back(name);
      report::Series& series = lines[name];
      series.name = name;
      series.dashed = row.length <= facts.train_length;
      series.points.push_back({static_cast<double>(record.step), row.loss});
    }
  }
  for (const std::string& name : order) plot.series.push_back(lines[name]);
  return plot;
}

report::Table EvaluationTable(const EvaluationRecord& record) {
  report::Table table({{.name = "position"},
                       {.name = "set"},
                       {.name = "length"},
                       {.name = "loss", .digits = 4},
                       {.name = "standard error", .digits = 4},
                       {.name = "accuracy", .digits = 4}});
  for (const evaluate::MeasureRow& row : record.rows) {
    table.AddRow({row.position, row.set, row.length, row.loss, row.loss_stderr,
                  row.accuracy});
  }
  return table;
}

}  // namespace

RunLog::RunLog(const std::string& folder, int64_t step)
    : path_((std::filesystem::path(folder) / "log.jsonl").string()) {
  std::string kept;
  if (std::ifstream file(path_); file && step > 0) {
    for (std::string line; std::getline(file, line);) {
      // A line that a kill cut short is not JSON, and none of ours follows it.
      const Json json = Json::parse(line, nullptr, false);
      if (json.is_discarded() || !json.is_object()) break;
      try {
        if (json.at("step").get<int64_t>() > step) break;
        if (json.contains("evaluation")) {
          evaluations_.push_back(EvaluationOf(json));
        } else {
          steps_.push_back(StepOf(json));
        }
      } catch (const nlohmann::json::exception&) {
        break;
      }
      kept += line + "\n";
    }
  }
  WriteFileAtomically(path_, kept);
}

void RunLog::Append(const std::string& line) {
  std::ofstream file(path_, std::ios::app | std::ios::binary);
  file << line << '\n';
  file.flush();
  if (!file) throw IoErrorFromErrno("write", path_);
}

void RunLog::Add(const StepRecord& record) {
  steps_.push_back(record);
  Append(ToJson(record).dump());
}

void RunLog::Add(const EvaluationRecord& record) {
  evaluations_.push_back(record);
  Append(ToJson(record).dump());
}

std::string RunPage(const RunLog& log, const PageFacts& facts) {
  report::Page page(facts.name);
  page.AddFacts(facts.facts);
  if (!log.steps().empty()) {
    page.AddHeading("Loss");
    page.AddFigure(report::ToPicture(LossPlot(log, facts)));
  }
  if (const auto history = HistoryPlot(log, facts)) {
    page.AddFigure(report::ToPicture(*history),
                   "Dashed: within the trained length.");
  }
  if (!log.evaluations().empty()) {
    const EvaluationRecord& last = log.evaluations().back();
    page.AddHeading("Held-out text after step " + std::to_string(last.step));
    page.AddTable(EvaluationTable(last));
  }
  page.AddHeading("Config");
  page.AddCode(facts.config);
  return page.Html();
}

}  // namespace ropewalk::lab::train
