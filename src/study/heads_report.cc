#include "study/heads_report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "evaluate/statistics.h"
#include "report/heat_map.h"
#include "report/line_plot.h"
#include "report/number.h"
#include "study/heads.h"
#include "study/schemes.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;
using report::Cell;

// Entropies tell less than a hundredth of a nat, parts a tenth of a percent.
constexpr HeadMetric kHeadMetrics[] = {
    {"entropy", &HeadRow::entropy, 1, 2},
    {"sinks", &HeadRow::sinks, 100, 1},
    {"far", &HeadRow::far, 100, 1},
    {"source", &HeadRow::source, 100, 1},
};

std::string NameOfHead(const RankedHead& head) {
  return std::to_string(head.layer) + "." + std::to_string(head.head);
}

// "N/16", "N", "2N".
std::string NameOfLength(int64_t length, int64_t N) {
  if (length == N) return "N";
  if (length > N) return std::to_string(length / N) + "N";
  return "N/" + std::to_string(N / length);
}

std::vector<double> Flat(const std::vector<std::vector<double>>& map) {
  std::vector<double> all;
  for (const auto& row : map) all.insert(all.end(), row.begin(), row.end());
  return all;
}

// Of the query heads that share a key head the strongest.
std::vector<std::vector<double>> ByKeyHead(
    const std::vector<std::vector<double>>& map, size_t key_heads) {
  std::vector<std::vector<double>> shared;
  for (const std::vector<double>& heads : map) {
    const size_t group = heads.size() / key_heads;
    std::vector<double>& row = shared.emplace_back(key_heads);
    for (size_t h = 0; h < heads.size(); ++h) {
      row[h / group] = std::max(row[h / group], heads[h]);
    }
  }
  return shared;
}

Cell MeanCell(const std::optional<Mean>& mean) {
  std::optional<double> value;
  if (mean) value = mean->value;
  return {value};
}

double MeanOfRange(const std::vector<double>& values, size_t begin,
                   size_t end) {
  return evaluate::Mean(std::span(values).subspan(begin, end - begin));
}

}  // namespace

const HeadMetric& HeadMetricOf(std::string_view name) {
  std::string known;
  for (const HeadMetric& metric : kHeadMetrics) {
    if (metric.name == name) return metric;
    known += (known.empty() ? "" : ", ") + std::string(metric.name);
  }
  throw std::invalid_argument("'" + Printable(std::string(name), 40) +
                              "' is none of " + known);
}

HeadEvidence::HeadEvidence(const HeadRows& rows) : rows_(rows) {
  if (!rows.runs().empty()) N_ = rows.runs().front().N;
  std::set<int64_t> layers;
  for (const HeadRow& row : rows.heads()) layers.insert(row.layer);
  layers_.assign(layers.begin(), layers.end());
}

std::vector<const HeadRow*> HeadEvidence::RowsOf(const HeadWay& way,
                                                 int64_t layer) const {
  std::vector<const HeadRow*> found;
  for (const HeadRow& row : rows_.heads()) {
    if (row.layer == layer && row.scheme == way.scheme &&
        row.length == way.length) {
      found.push_back(&row);
    }
  }
  return found;
}

std::vector<std::string> HeadEvidence::Documents(const HeadWay& way) const {
  std::vector<std::string> documents;
  if (layers_.empty()) return documents;
  for (const HeadRow* row : RowsOf(way, layers_.front())) {
    documents.push_back(row->document);
  }
  return documents;
}

std::vector<std::vector<double>> HeadEvidence::Map(
    const HeadWay& way, std::vector<double> HeadRow::*list) const {
  std::vector<std::vector<double>> map;
  for (const int64_t layer : layers_) {
    const std::vector<const HeadRow*> rows = RowsOf(way, layer);
    if (rows.empty()) return {};
    std::vector<double> means((rows.front()->*list).size());
    for (const HeadRow* row : rows) {
      for (size_t h = 0; h < means.size(); ++h) {
        means[h] += (row->*list)[h] / static_cast<double>(rows.size());
      }
    }
    map.push_back(std::move(means));
  }
  return map;
}

std::optional<double> HeadEvidence::OfDocument(const HeadWay& way,
                                               const std::string& document,
                                               const HeadMetric& metric) const {
  std::vector<double> all;
  for (const HeadRow& row : rows_.heads()) {
    if (row.scheme == way.scheme && row.length == way.length &&
        row.document == document) {
      const std::vector<double>& list = row.*metric.list;
      all.insert(all.end(), list.begin(), list.end());
    }
  }
  if (all.empty()) return std::nullopt;
  return metric.scale * evaluate::Mean(all);
}

std::optional<Mean> HeadEvidence::MeanOf(const HeadWay& way,
                                         const HeadMetric& metric) const {
  std::vector<double> values;
  for (const std::string& document : Documents(way)) {
    values.push_back(*OfDocument(way, document, metric));
  }
  if (values.empty()) return std::nullopt;
  return Mean{evaluate::Mean(values), evaluate::StandardError(values),
              static_cast<int64_t>(values.size())};
}

std::optional<Difference> HeadEvidence::Compare(
    const HeadWay& a, const HeadWay& b, const HeadMetric& metric) const {
  std::vector<double> differences;
  for (const std::string& document : Documents(a)) {
    const auto other = OfDocument(b, document, metric);
    if (other) differences.push_back(*OfDocument(a, document, metric) - *other);
  }
  if (differences.empty()) return std::nullopt;
  const auto n = static_cast<int64_t>(differences.size());
  return Difference{evaluate::Mean(differences),
                    n < 2 ? 0
                          : evaluate::StudentT95(static_cast<double>(n - 1)) *
                                evaluate::StandardError(differences),
                    n};
}

std::vector<RankedHead> HeadsBySource(const HeadEvidence& evidence,
                                      const HeadWay& way) {
  std::vector<RankedHead> heads;
  const auto map = evidence.Map(way, &HeadRow::source);
  for (size_t l = 0; l < map.size(); ++l) {
    for (size_t h = 0; h < map[l].size(); ++h) {
      heads.push_back(
          {evidence.layers()[l], static_cast<int64_t>(h), map[l][h]});
    }
  }
  std::ranges::stable_sort(heads, std::greater{}, &RankedHead::source);
  return heads;
}

double PartOfStrongest(const std::vector<RankedHead>& heads, size_t count) {
  double all = 0;
  double strongest = 0;
  for (size_t i = 0; i < heads.size(); ++i) {
    all += heads[i].source;
    if (i < count) strongest += heads[i].source;
  }
  return all > 0 ? 100 * strongest / all : 0;
}

report::Table EntropyTable(const HeadEvidence& evidence) {
  const int64_t N = evidence.N();
  const std::vector<int64_t> lengths = {N / 16, N / 8, N / 4, N / 2,
                                        N,      2 * N, 4 * N};
  std::vector<int64_t> read;
  std::vector<report::Column> columns = {{.name = "entropy, nats"}};
  for (const int64_t length : lengths) {
    const bool any = std::ranges::any_of(
        evidence.rows().heads(),
        [&](const HeadRow& row) { return row.length == length; });
    if (!any) continue;
    read.push_back(length);
    columns.push_back({.name = NameOfLength(length, N), .digits = 2});
  }
  report::Table table(columns);
  for (const HeadCondition& condition : HeadConditions(N)) {
    std::vector<Cell> cells = {condition.name};
    bool any = false;
    for (const int64_t length : read) {
      const auto mean =
          evidence.MeanOf({condition.name, length}, HeadMetricOf("entropy"));
      any = any || mean;
      cells.push_back(MeanCell(mean));
    }
    if (any) table.AddRow(std::move(cells));
  }
  return table;
}

report::Table PartTable(const HeadEvidence& evidence) {
  report::Table table(
      {{.name = "read with"},
       {.name = "at"},
       {.name = "first tokens, %", .digits = 1},
       {.name = "far keys, %", .digits = 1},
       {.name = "source, all heads, %", .digits = 2},
       {.name = "strongest head, %", .digits = 1},
       {.name = "five strongest, part of the source, %", .digits = 0}});
  for (const int64_t times : {1, 2}) {
    for (const HeadCondition& condition : HeadConditions(evidence.N())) {
      const HeadWay way{condition.name, times * evidence.N()};
      const auto heads = HeadsBySource(evidence, way);
      if (heads.empty()) continue;
      table.AddRow({condition.name, NameOfLength(way.length, evidence.N()),
                    evidence.MeanOf(way, HeadMetricOf("sinks"))->value,
                    evidence.MeanOf(way, HeadMetricOf("far"))->value,
                    evidence.MeanOf(way, HeadMetricOf("source"))->value,
                    100 * heads.front().source, PartOfStrongest(heads, 5)});
    }
  }
  return table;
}

report::Table SourceTable(const HeadEvidence& evidence) {
  const int64_t N = evidence.N();
  const std::vector<std::pair<std::string, HeadWay>> ways = {
      {"RoPE at N/2, %", {kRope, N / 2}},
      {"RoPE at N, %", {kRope, N}},
      {"ReRoPE w=N/2 at 2N, %", {kReRopeHalf, 2 * N}},
      {"far offset at 2N, %", {kReRopeFar, 2 * N}}};
  std::vector<report::Column> columns = {{.name = "layer.head"}};
  std::vector<std::vector<std::vector<double>>> maps;
  for (const auto& [name, way] : ways) {
    columns.push_back({.name = name, .digits = 1});
    maps.push_back(evidence.Map(way, &HeadRow::source));
  }
  columns.push_back({.name = "all its far keys, %", .digits = 1});
  maps.push_back(evidence.Map(ways.back().second, &HeadRow::far));
  report::Table table(columns);
  size_t rows = 0;
  for (const RankedHead& head : HeadsBySource(evidence, ways.front().second)) {
    if (rows++ == 10) break;
    std::vector<Cell> cells = {NameOfHead(head)};
    const auto layer =
        static_cast<size_t>(std::ranges::find(evidence.layers(), head.layer) -
                            evidence.layers().begin());
    for (const auto& map : maps) {
      std::optional<double> part;
      if (!map.empty()) {
        part = 100 * map[layer][static_cast<size_t>(head.head)];
      }
      cells.emplace_back(part);
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

report::Table RankTable(const HeadEvidence& evidence) {
  report::Table table({{.name = "over the last n tokens"},
                       {.name = "n"},
                       {.name = "least rank"},
                       {.name = "mean rank", .digits = 1},
                       {.name = "effective rank", .digits = 1},
                       {.name = "first third of layers", .digits = 1},
                       {.name = "second", .digits = 1},
                       {.name = "last", .digits = 1},
                       {.name = "mean ln of the diagonal", .digits = 2}});
  std::vector<std::string> schemes;
  for (const RankRow& row : evidence.rows().ranks()) {
    if (std::ranges::count(schemes, row.scheme) == 0) {
      schemes.push_back(row.scheme);
    }
  }
  for (const std::string& scheme : schemes) {
    std::vector<double> ranks;
    std::vector<double> own;
    std::vector<std::vector<double>> by_layer(evidence.layers().size());
    int64_t n = 0;
    for (const RankRow& row : evidence.rows().ranks()) {
      if (row.scheme != scheme) continue;
      n = row.n;
      const auto layer =
          static_cast<size_t>(std::ranges::find(evidence.layers(), row.layer) -
                              evidence.layers().begin());
      if (layer == by_layer.size()) continue;
      for (size_t h = 0; h < row.rank.size(); ++h) {
        ranks.push_back(static_cast<double>(row.rank[h]));
        by_layer[layer].push_back(row.effective[h]);
        own.push_back(row.log_own[h]);
      }
    }
    if (ranks.empty()) continue;
    std::vector<double> layers;
    for (const auto& layer : by_layer) {
      if (!layer.empty()) layers.push_back(evaluate::Mean(layer));
    }
    const size_t L = layers.size();
    const size_t third = std::max<size_t>(1, L / 3);
    std::optional<double> middle;
    if (L > 2) middle = MeanOfRange(layers, third, L - third);
    table.AddRow({scheme, n,
                  static_cast<int64_t>(*std::ranges::min_element(ranks)),
                  evaluate::Mean(ranks), evaluate::Mean(layers),
                  MeanOfRange(layers, 0, third), middle,
                  MeanOfRange(layers, L - third, L), evaluate::Mean(own)});
  }
  return table;
}

report::Table EmbeddingTable(const HeadEvidence& evidence) {
  report::Table table({{.name = "tokens that occur"},
                       {.name = "of the vocabulary"},
                       {.name = "norm: lowest 1 %", .digits = 3},
                       {.name = "median", .digits = 3},
                       {.name = "highest 1 %", .digits = 3},
                       {.name = "most", .digits = 3},
                       {.name = "largest component: median", .digits = 3},
                       {.name = "most ", .digits = 3},
                       {.name = "rows of one size"}});
  for (const EmbeddingRow& row : evidence.rows().embedding()) {
    const std::string times = row.least == 0 && row.most > 0 ? "all"
                              : row.most == 1                ? "once"
                              : row.least >= 100
                                  ? std::to_string(row.least) + " or more"
                                  : std::to_string(row.least) + " to " +
                                        std::to_string(row.most) + " times";
    table.AddRow({row.most == 0 ? "never" : times, row.tokens, row.norm_low,
                  row.norm_median, row.norm_high, row.norm_most,
                  row.largest_median, row.largest_most, row.one_size});
  }
  return table;
}

report::Table AgreementTable(const HeadEvidence& evidence) {
  const int64_t N = evidence.N();
  // Not N: there RoPE finds next to nothing, so that its order is noise.
  const HeadWay half{kRope, N / 2};
  const HeadWay far{kReRopeFar, 2 * N};
  report::Table table({{.name = "heads ordered by"},
                       {.name = "against"},
                       {.name = "heads", .align = report::Align::kRight},
                       {.name = "rank correlation", .digits = 2}});
  const auto add = [&](const char* what, const char* against,
                       const std::vector<std::vector<double>>& a,
                       const std::vector<std::vector<double>>& b) {
    if (a.empty() || b.empty()) return;
    const std::vector<double> x = Flat(a);
    const std::vector<double> y = Flat(b);
    if (x.empty() || x.size() != y.size()) return;
    table.AddRow({what, against, x.size(), evaluate::Spearman(x, y)});
  };
  const auto source = evidence.Map(half, &HeadRow::source);
  const auto again = evidence.Map(far, &HeadRow::source);
  add("source, RoPE at N/2", "source, far offset at 2N", source, again);
  add("source, RoPE at N/2", "source, ReRoPE w=N/2 at 2N", source,
      evidence.Map({kReRopeHalf, 2 * N}, &HeadRow::source));
  add("source, far offset at 2N", "far keys, far offset at 2N", again,
      evidence.Map(far, &HeadRow::far));
  add("source, RoPE at N/2", "first tokens, RoPE at N/2", source,
      evidence.Map(half, &HeadRow::sinks));
  const auto top = evidence.Map(half, &HeadRow::key_top);
  const auto full = evidence.Map(half, &HeadRow::key_entropy);
  if (top.empty() || top.front().empty() || source.empty()) return table;
  const size_t key_heads = top.front().size();
  const auto by_key = ByKeyHead(source, key_heads);
  const auto by_key_again = again.empty() ? again : ByKeyHead(again, key_heads);
  add("source, RoPE at N/2", "entropy of rotated keys, 16 values", by_key, top);
  add("source, RoPE at N/2", "entropy of rotated keys, all values", by_key,
      full);
  add("source, far offset at 2N", "entropy of rotated keys, 16 values",
      by_key_again, top);
  return table;
}

namespace {

std::string EntropyByLength(const HeadEvidence& evidence) {
  const int64_t N = evidence.N();
  report::LinePlot plot{
      .title = "How widely heads spread their attention",
      .x = {.label = "tokens read",
            .scale = report::Scale::kLog2,
            .style = report::NumberStyle::kTokens},
      .y = {.label = "entropy, nats (mean over layers and heads)"},
      .series = {},
      .x_markers = {{static_cast<double>(N), "trained length N"}},
      .best = report::Best::kNone,
      .zoom = report::Zoom::kNever};
  for (const HeadCondition& condition : HeadConditions(N)) {
    report::Series series{.name = condition.name};
    for (const int64_t length : condition.lengths) {
      const auto mean =
          evidence.MeanOf({condition.name, length}, HeadMetricOf("entropy"));
      if (mean) {
        series.points.push_back(
            {static_cast<double>(length), mean->value, mean->error});
      }
    }
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return plot.series.empty() ? "" : ToSvg(plot);
}

std::string EntropyByLayer(const HeadEvidence& evidence) {
  const int64_t N = evidence.N();
  report::LinePlot plot{.title = "Entropy of attention by layer",
                        .x = {.label = "layer"},
                        .y = {.label = "entropy, nats (mean over heads)"},
                        .series = {},
                        .best = report::Best::kNone,
                        .zoom = report::Zoom::kNever};
  const std::vector<std::pair<std::string, HeadWay>> ways = {
      {"RoPE at N/16", {kRope, N / 16}},
      {"RoPE at N", {kRope, N}},
      {"far offset at 2N", {kReRopeFar, 2 * N}},
      {"far offset logn at 2N", {kReRopeFarLogN, 2 * N}},
      {"RoPE at 2N", {kRope, 2 * N}}};
  for (const auto& [name, way] : ways) {
    const auto map = evidence.Map(way, &HeadRow::entropy);
    if (map.empty()) continue;
    report::Series series{.name = name};
    for (size_t l = 0; l < map.size(); ++l) {
      series.points.push_back(
          {static_cast<double>(evidence.layers()[l]), evaluate::Mean(map[l])});
    }
    plot.series.push_back(std::move(series));
  }
  return plot.series.empty() ? "" : ToSvg(plot);
}

std::string HeadMap(const HeadEvidence& evidence, const HeadWay& way,
                    std::vector<double> HeadRow::*list,
                    const std::string& title) {
  const auto map = evidence.Map(way, list);
  if (map.empty()) return {};
  report::HeatMap heat{.title = title,
                       .row_label = "layer",
                       .column_label = "head",
                       .rows = {},
                       .columns = {},
                       .values = {}};
  for (size_t h = 0; h < map.front().size(); ++h) {
    heat.columns.push_back(std::to_string(h));
  }
  for (size_t l = 0; l < map.size(); ++l) {
    heat.rows.push_back(std::to_string(evidence.layers()[l]));
    std::vector<std::optional<double>> values;
    for (const double value : map[l]) values.emplace_back(value);
    heat.values.push_back(std::move(values));
  }
  return ToSvg(heat);
}

}  // namespace

void WriteHeadPictures(const HeadRows& rows, const std::string& folder) {
  const HeadEvidence evidence(rows);
  const auto write = [&](const char* name, const std::string& svg) {
    if (svg.empty()) return;
    WriteFileAtomically((fs::path(folder) / name).string(), svg);
  };
  const HeadWay far{kReRopeFar, 2 * evidence.N()};
  write("entropy-by-length.svg", EntropyByLength(evidence));
  write("entropy-by-layer.svg", EntropyByLayer(evidence));
  write("heads-source.svg",
        HeadMap(evidence, far, &HeadRow::source,
                "Attention on the source of a passage, far offset at 2N"));
  write("heads-far.svg", HeadMap(evidence, far, &HeadRow::far,
                                 "Attention on far keys, far offset at 2N"));
}

}  // namespace ropewalk::study
