#include "study/real_report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "report/heat_map.h"
#include "report/line_plot.h"
#include "report/number.h"
#include "report/sections.h"
#include "study/schemes.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;
using report::Cell;
using report::NumberStyle;

std::string Times(int64_t times) {
  return times == 1 ? "N" : std::to_string(times) + "N";
}

// The ways that were read at least once at a length, in the order of the study,
// and where all are wanted then those that only the rows name.
std::vector<Way> WaysRead(const Evidence& evidence, int64_t times,
                          bool chief_only) {
  std::vector<Way> ways;
  for (const Condition& condition : Conditions(evidence.N())) {
    const bool chief = std::ranges::count(condition.all, times) > 0;
    const Way way{condition.name, times};
    if ((chief || !chief_only) && !evidence.RowsOf(way).empty()) {
      ways.push_back(way);
    }
  }
  if (chief_only) return ways;
  for (const std::string& scheme : evidence.Schemes()) {
    const bool known = std::ranges::any_of(
        Conditions(evidence.N()),
        [&](const Condition& condition) { return condition.name == scheme; });
    if (!known && !evidence.RowsOf({scheme, times}).empty()) {
      ways.push_back({scheme, times});
    }
  }
  return ways;
}

Cell CellOf(const std::optional<Mean>& mean) {
  return mean ? Cell(mean->value) : Cell();
}

report::Column ColumnOf(const Metric& metric, const std::string& name) {
  return {.name = name, .digits = metric.digits, .best = metric.best};
}

std::string SetOfMost(const Rows& rows) {
  std::map<std::string, std::set<std::string>> documents;
  for (const Row& row : rows.rows()) {
    documents[row.set].insert(row.document);
  }
  std::string most;
  for (const auto& [set, names] : documents) {
    if (most.empty() || names.size() > documents[most].size()) most = set;
  }
  return most;
}

int64_t TrainedLength(const Rows& rows) {
  return rows.runs().empty() ? 0 : rows.runs().front().N;
}

// Neighbouring places of hidden numbers, over all documents.
struct Places {
  double distance = 0;  // mean, tokens to the end of the text
  double loss = 0;      // mean, nats a token
};

// By `together` places, the first of the text first; documents that have
// another number of places than the first are left out.
std::vector<Places> NeedlesByPlace(const std::vector<const Row*>& rows,
                                   size_t together) {
  std::vector<Places> places;
  const size_t all = rows.empty() ? 0 : rows.front()->needles.size();
  for (size_t first = 0; first + together <= all; first += together) {
    Places mean;
    double count = 0;
    for (const Row* row : rows) {
      if (row->needles.size() != all) continue;
      for (size_t i = first; i < first + together; ++i) {
        mean.distance += static_cast<double>(row->distances[i]);
        mean.loss += row->needle_losses[i];
        ++count;
      }
    }
    places.push_back({mean.distance / count, mean.loss / count});
  }
  return places;
}

}  // namespace

std::vector<Claim> Claims() {
  const Way rope{kRope, 1};
  const Way rerope{kReRopeHalf, 2};
  const Way window{kSinkWindow, 2};
  const Way far{kReRopeFar, 2};
  std::vector<Claim> claims = {
      {"Longer context, lower loss: ReRoPE at 2N below itself at N",
       rerope,
       {kReRopeHalf, 1},
       "loss"},
      {"ReRoPE at 4N below itself at 2N", {kReRopeHalf, 4}, rerope, "loss"},
      {"ReRoPE with a far offset at 2N below RoPE at N", far, rope, "loss"},
      {"A window of N with its first tokens at 2N below RoPE at N", window,
       rope, "loss"},
      {"ReRoPE reads novels better than that window", rerope, window, "loss"},
      {"Dual chunk attention reads novels better than that window",
       {kDca, 2},
       window,
       "loss"},
      {"ReRoPE with a far offset reads novels better than that window", far,
       window, "loss"},
      {"ReRoPE with a far offset reads novels better than dual chunk attention",
       far,
       {kDca, 2},
       "loss"},
      {"ReRoPE with a far offset reads novels better than ReRoPE", far, rerope,
       "loss"},
      {"The tuned layers read novels better than that window",
       {kTuned, 2},
       window,
       "loss"},
      {"log n given afterwards helps ReRoPE on novels",
       {kReRopeHalfLogN, 2},
       rerope,
       "loss"},
      {"ReRoPE at 2N finds a passage better than RoPE at N", rerope, rope,
       "passage_loss"},
      {"ReRoPE with a far offset at 2N finds it better than RoPE at N", far,
       rope, "passage_loss"},
      {"The tuned layers at 2N find it better than RoPE at N",
       {kTuned, 2},
       rope,
       "passage_loss"},
      {"ReRoPE with a far offset finds it better than ReRoPE", far, rerope,
       "passage_loss"},
      {"log n given afterwards helps ReRoPE to find a passage",
       {kReRopeHalfLogN, 2},
       rerope,
       "passage_loss"},
  };
  for (const char* other :
       {kSelfExtend, kDca, kYarn, kNtkMixedLogN, kString, kSinkWindow}) {
    claims.push_back(
        {"ReRoPE finds a passage better than " + std::string(other),
         rerope,
         {other, 2},
         "passage_loss"});
  }
  for (const char* other : {kSelfExtend, kDca, kYarn, kSinkWindow}) {
    claims.push_back(
        {"ReRoPE knows numbers hidden more than N ago better than " +
             std::string(other),
         rerope,
         {other, 2},
         "far_needle_loss"});
  }
  return claims;
}

std::string Judge(const Claim& claim, const std::optional<Difference>& found) {
  if (!found) return "";
  const Verdict verdict = found->verdict();
  if (verdict == claim.expected) return "holds";
  if (verdict == Verdict::kUndecided || verdict == Verdict::kSeenOnce) {
    return std::string(ToString(verdict));
  }
  return "does not hold";
}

report::Table ChiefTable(const Evidence& evidence) {
  struct Wanted {
    const char* metric;
    int64_t times;
    std::string name;
  };
  const std::vector<Wanted> wanted = {
      {"loss", 1, "loss at N"},
      {"loss", 2, "loss at 2N"},
      {"loss", 4, "loss at 4N"},
      {"passage_right", 1, "passage right at N, %"},
      {"passage_right", 2, "at 2N"},
      {"passage_right", 4, "at 4N"},
      {"far_needle_loss", 2, "numbers > N ago, nats"},
      {"needles_right", 2, "numbers found at 2N, %"},
      {"rare_loss", 2, "words seen > N ago, nats"},
      {"mib", 2, "MiB at 2N"}};
  std::vector<report::Column> columns = {{.name = "read with"}};
  std::map<int64_t, std::vector<std::string>> shared;
  for (const Wanted& column : wanted) {
    columns.push_back(ColumnOf(MetricOf(column.metric), column.name));
    shared[column.times] =
        evidence.Shared(WaysRead(evidence, column.times, true));
  }
  report::Table table(columns);
  for (const Condition& condition : Conditions(evidence.N())) {
    if (condition.all.empty()) continue;
    std::vector<Cell> cells = {condition.name};
    bool any = false;
    for (const Wanted& column : wanted) {
      cells.push_back(CellOf(evidence.MeanOf({condition.name, column.times},
                                             MetricOf(column.metric),
                                             &shared[column.times])));
      any = any || !cells.back().missing();
    }
    if (any) table.AddRow(std::move(cells));
  }
  return table;
}

report::Table FrontTable(const Evidence& evidence) {
  const std::vector<std::pair<const char*, const char*>> wanted = {
      {"loss", "loss"},
      {"passage_right", "passage right, %"},
      {"passage_loss", "passage, nats"},
      {"far_needle_loss", "numbers > N ago, nats"},
      {"mib", "keys and values, MiB"}};
  const std::vector<Way> ways = WaysRead(evidence, 2, true);
  const std::vector<std::string> shared = evidence.Shared(ways);
  std::vector<report::Column> columns = {{.name = "read with, at 2N"}};
  for (const auto& [metric, name] : wanted) {
    columns.push_back(ColumnOf(MetricOf(metric), name));
  }
  report::Table table(columns);
  for (const Way& way : ways) {
    std::vector<Cell> cells = {way.scheme};
    for (const auto& [metric, name] : wanted) {
      cells.push_back(CellOf(evidence.MeanOf(way, MetricOf(metric), &shared)));
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

report::Table AgainstWindow(const Evidence& evidence) {
  const std::vector<const char*> metrics = {"loss", "passage_loss",
                                            "far_needle_loss", "rare_loss"};
  std::vector<report::Column> columns = {
      {.name = "read with"},
      {.name = "documents", .align = report::Align::kRight}};
  for (const char* metric : metrics) {
    columns.push_back(
        {.name = std::string(metric), .align = report::Align::kRight});
  }
  report::Table table(columns);
  for (const Way& way : WaysRead(evidence, 2, false)) {
    if (way.scheme == kSinkWindow) continue;
    std::vector<Cell> cells = {way.scheme};
    const auto first =
        evidence.Compare(way, {kSinkWindow, 2}, MetricOf("loss"));
    if (!first) continue;
    cells.emplace_back(first->documents);
    for (const char* metric : metrics) {
      const auto difference =
          evidence.Compare(way, {kSinkWindow, 2}, MetricOf(metric));
      cells.push_back(difference ? Cell(ToString(*difference, 3)) : Cell());
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

report::Table ClaimTable(const Evidence& evidence) {
  report::Table table({{.name = "claim"},
                       {.name = "difference", .align = report::Align::kRight},
                       {.name = "documents"},
                       {.name = "verdict"}});
  for (const Claim& claim : Claims()) {
    const auto difference =
        evidence.Compare(claim.left, claim.right, MetricOf(claim.metric));
    if (!difference) continue;
    table.AddRow({claim.text, ToString(*difference, 3), difference->documents,
                  Judge(claim, difference)});
  }
  return table;
}

report::Table SetTable(const Rows& rows, int64_t N) {
  std::vector<std::string> sets;
  for (const Row& row : rows.rows()) {
    if (std::ranges::find(sets, row.set) == sets.end()) {
      sets.push_back(row.set);
    }
  }
  std::vector<report::Column> columns = {{.name = "read with"}};
  for (const std::string& set : sets) {
    columns.push_back(ColumnOf(MetricOf("loss"), set + ": loss"));
    columns.push_back(ColumnOf(MetricOf("passage_right"), "passage right"));
  }
  report::Table table(columns);
  for (const Condition& condition : Conditions(N)) {
    if (std::ranges::count(condition.all, 2) == 0) continue;
    std::vector<Cell> cells = {condition.name};
    bool any = false;
    for (const std::string& set : sets) {
      const Evidence evidence(rows.rows(), set, N);
      const std::vector<std::string> shared =
          evidence.Shared(WaysRead(evidence, 2, true));
      for (const char* metric : {"loss", "passage_right"}) {
        cells.push_back(CellOf(
            evidence.MeanOf({condition.name, 2}, MetricOf(metric), &shared)));
        any = any || !cells.back().missing();
      }
    }
    if (any) table.AddRow(std::move(cells));
  }
  return table;
}

report::Table PublishedTable(const Evidence& evidence) {
  struct Published {
    const char* name;
    const char* ours;
    std::vector<std::optional<double>> losses;  // N, 2N, 4N
  };
  // Post 9708, second table: LLaMA2-13B, N = 4096, last 4096 tokens scored.
  const std::vector<Published> published = {
      {"RoPE", kRope, {1.4967, 8.8615, std::nullopt}},
      {"NTK-RoPE", kNtkMixedLogN, {1.6081, 1.5417, 1.5163}},
      {"ReRoPE w=N/4", "ReRoPE w=N/4", {1.4996, 1.4267, 1.4001}}};
  const std::vector<int64_t> lengths = {1, 2, 4};
  std::vector<report::Column> columns = {{.name = "LLaMA2-13B"}};
  for (const int64_t times : lengths) {
    columns.push_back({.name = Times(times), .digits = 4});
  }
  columns.push_back({.name = "ours"});
  // Rows of one column are of the same documents.
  std::map<int64_t, std::vector<std::string>> shared;
  for (const int64_t times : lengths) {
    std::vector<Way> ways;
    for (const Published& row : published) {
      if (!evidence.RowsOf({row.ours, times}).empty()) {
        ways.push_back({row.ours, times});
      }
    }
    shared[times] = evidence.Shared(ways);
    const std::string documents =
        shared[times].empty()
            ? "not read"
            : std::to_string(shared[times].size()) + " documents";
    columns.push_back({.name = Times(times) + ", " + documents, .digits = 3});
  }
  report::Table table(columns);
  for (const Published& row : published) {
    std::vector<Cell> cells = {row.name};
    for (const auto& loss : row.losses) cells.emplace_back(loss);
    cells.emplace_back(row.ours);
    for (const int64_t times : lengths) {
      cells.push_back(CellOf(evidence.MeanOf(
          {row.ours, times}, MetricOf("loss"), &shared[times])));
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

report::Picture LossAndFinding(const Evidence& evidence) {
  report::LinePlot plot{
      .title = "At twice the trained length: reading and finding",
      .x = {.label = "loss on novels, nats (left is better)"},
      .y = {.label = "passage seen more than N tokens ago, % right",
            .min = 0.0,
            .max = 100.0},
      .series = {},
      .best = report::Best::kHigh,
      .zoom = report::Zoom::kNever};
  const std::vector<Way> ways = WaysRead(evidence, 2, true);
  const std::vector<std::string> shared = evidence.Shared(ways);
  double least = HUGE_VAL;
  for (const Way& way : ways) {
    const auto loss = evidence.MeanOf(way, MetricOf("loss"), &shared);
    if (loss) least = std::min(least, loss->value);
  }
  for (const Way& way : ways) {
    const auto loss = evidence.MeanOf(way, MetricOf("loss"), &shared);
    const auto found = evidence.MeanOf(way, MetricOf("passage_right"), &shared);
    // What has collapsed would push the others together.
    if (!loss || !found || loss->value > least + 0.5) continue;
    plot.series.push_back(
        {.name = way.scheme,
         .points = {{loss->value, found->value, found->error}},
         .draw = report::Draw::kPoints});
  }
  return ToPicture(plot);
}

report::Picture ByDistance(const Evidence& evidence) {
  report::LinePlot plot{
      .title = "Numbers hidden in the text, by how long ago",
      .x = {.label = "tokens between number and question",
            .style = NumberStyle::kTokens,
            .min = 0.0},
      .y = {.label = "loss, nats a token (lower is better)", .min = 0.0},
      .series = {},
      .x_markers = {{static_cast<double>(evidence.N()), "trained length N"}},
      .zoom = report::Zoom::kNever};
  std::vector<Way> ways = WaysRead(evidence, 2, true);
  ways.insert(ways.begin(), {kRope, 1});
  for (const Way& way : ways) {
    const std::vector<const Row*> rows = evidence.RowsOf(way);
    if (rows.empty()) continue;
    report::Series series{.name = way.times == 1 ? way.scheme + " at N"
                                                 : way.scheme};
    for (const Places& places : NeedlesByPlace(rows, 4)) {
      series.points.push_back({places.distance, places.loss});
    }
    plot.series.push_back(std::move(series));
  }
  return ToPicture(plot);
}

report::Picture FindingByDepth(const Evidence& evidence) {
  const std::vector<Way> ways = WaysRead(evidence, 2, true);
  const std::vector<std::string> shared = evidence.Shared(ways);
  if (shared.empty()) return {};
  report::HeatMap map{
      .title = "Numbers hidden in the text, at twice the trained length",
      .row_label = "read with",
      .column_label = "tokens between number and question",
      .rows = {},
      .columns = {},
      .values = {}};
  for (const Way& way : ways) {
    std::vector<const Row*> rows = evidence.RowsOf(way);
    std::erase_if(rows, [&](const Row* row) {
      return std::ranges::find(shared, row->document) == shared.end();
    });
    map.rows.push_back(way.scheme);
    map.columns.clear();
    std::vector<std::optional<double>> values;
    for (const Places& places : NeedlesByPlace(rows, 2)) {
      map.columns.push_back(
          report::FormatInteger(static_cast<int64_t>(places.distance)));
      values.emplace_back(std::exp(-places.loss));
    }
    map.values.push_back(std::move(values));
  }
  return ToSvg(map);
}

// The scheme that gets most of what was seen long ago, of those that read no
// worse at so many N than RoPE does at N; the most N at which there is one.
void Conclude(const Evidence& evidence, report::Report& made) {
  int64_t most = 0;  // documents that were read at N and past it
  for (const int64_t times : {4, 2}) {
    const Condition* best = nullptr;
    double best_found = -1;
    double best_loss = 0;
    const std::vector<Condition> conditions = Conditions(evidence.N());
    for (const Condition& condition : conditions) {
      const Way way{condition.name, times};
      const auto apart = evidence.Compare(way, {kRope, 1}, MetricOf("loss"));
      const auto loss = evidence.MeanOf(way, MetricOf("loss"));
      const auto found = evidence.MeanOf(way, MetricOf("passage_right"));
      if (condition.spelling.empty() || !apart || !loss || !found) continue;
      most = std::max(most, apart->documents);
      if (apart->documents < 2 || apart->verdict() == Verdict::kAbove) continue;
      if (found->value <= best_found) continue;
      best = &condition;
      best_found = found->value;
      best_loss = loss->value;
    }
    if (best == nullptr) continue;
    made.verdict =
        best->name + " holds to " + Times(times) + " (" +
        std::to_string(times * evidence.N()) +
        " tokens): it reads there no worse than RoPE at N, at " +
        report::FormatValue(best_loss, NumberStyle::kPlain, 3) +
        " nats a token, and gets " +
        report::FormatValue(best_found, NumberStyle::kPlain, 1) +
        " % of a passage seen more than N tokens ago, most of all that do; "
        "use --position " +
        best->spelling;
    made.command =
        "ropewalk run -m MODEL --position '" + best->spelling + "' -f TEXT";
    return;
  }
  made.verdict =
      most < 2
          ? "Fewer than two documents were read both at N and past it, so "
            "that the rows decide nothing yet"
          : "No scheme reads past N as well as RoPE does within it, as far "
            "as the rows can tell";
}

void WriteReport(const Rows& rows, const std::string& folder) {
  const int64_t N = TrainedLength(rows);
  const std::string set = SetOfMost(rows);
  const Evidence evidence(rows.rows(), set, N);
  report::Report made{.title = fs::path(folder).filename().string()};
  Conclude(evidence, made);
  made.sections.push_back(
      {.paragraphs = {"Trained length N = " + std::to_string(N) +
                      ". Means over documents of the set " + set +
                      ", the same documents in all rows of a column."}});
  const auto add = [&](const std::string& title, report::Table table) {
    if (table.rows().empty()) return;
    made.sections.push_back({.heading = title, .table = std::move(table)});
  };
  const auto draw = [&](const std::string& name, report::Picture picture,
                        const std::string& caption) {
    made.sections.push_back({.figure = std::move(picture),
                             .figure_name = name,
                             .figure_caption = caption});
  };
  draw("loss-and-finding", LossAndFinding(evidence),
       "Each point is a position scheme at 2N; bars are standard errors over "
       "documents. What loses half a nat more than the best is not shown.");
  add("Read with", ChiefTable(evidence));
  // Pieces of one file count as one document.
  std::string counts = "Pieces that all rows have read:";
  for (const int64_t times : {1, 2, 4}) {
    const std::vector<Way> ways = WaysRead(evidence, times, true);
    const std::vector<std::string> shared = evidence.Shared(ways);
    const auto mean =
        shared.empty()
            ? std::nullopt
            : evidence.MeanOf(ways.front(), MetricOf("loss"), &shared);
    counts += (times == 1 ? " " : ", ") + std::to_string(shared.size()) +
              " of " + std::to_string(mean ? mean->documents : 0) +
              " files at " + Times(times);
  }
  made.sections.push_back({.paragraphs = {counts + "."}});
  add("Claims, by document (paired t-test, 95 %)", ClaimTable(evidence));
  add("At 2N, against a window that keeps its first tokens",
      AgainstWindow(evidence));
  add("By kind of text, at 2N", SetTable(rows, N));
  add("Beside the losses that post 9708 prints", PublishedTable(evidence));
  draw("by-distance", ByDistance(evidence),
       "Four neighbouring places of every document are one point.");
  draw("finding-by-depth", FindingByDepth(evidence),
       "How probable the model holds a token of the number: exp(-loss), over "
       "two neighbouring places of every document.");
  report::Section from{.heading = "Where the rows come from"};
  for (const Run& run : rows.runs()) {
    const std::pair<std::string, std::string> one = {
        "", run.command + " (" + run.content + ", keys in " + run.kv_type +
                ", products " + run.products + ", " + run.hardware + ")"};
    if (std::ranges::find(from.facts, one) == from.facts.end()) {
      from.facts.push_back(one);
    }
  }
  made.sections.push_back(std::move(from));
  report::WriteReport(made, folder);
}

}  // namespace ropewalk::study
