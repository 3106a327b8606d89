// {{MODEL | heads ...}} of a page, filled from the rows of head_rows.h.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "position/scheme.h"
#include "report/number.h"
#include "study/heads_report.h"
#include "study/rows.h"
#include "study/schemes.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

// "RoPE N/16", "ReRoPE w=N/2 2N": the length is the last word.
HeadWay HeadWayOf(const std::string& text, int64_t N) {
  const size_t space = text.rfind(' ');
  Require(space != std::string::npos,
          "'" + Printable(text, 40) + "' is no scheme with a length");
  const std::string length = text.substr(space + 1);
  const std::string scheme = text.substr(0, space);
  if (length == "N") return {scheme, N};
  if (length.starts_with("N/")) {
    const auto divisor = ParseInt(length.substr(2));
    if (divisor && *divisor > 0) return {scheme, N / *divisor};
  }
  if (length.ends_with("N")) {
    const auto times = ParseInt(length.substr(0, length.size() - 1));
    if (times && *times > 0) return {scheme, *times * N};
  }
  throw std::invalid_argument("'" + Printable(length, 40) +
                              "' is no length such as N/4, N or 2N");
}

const std::map<std::string, std::function<report::Table(const HeadEvidence&)>>&
Tables() {
  static const std::map<std::string,
                        std::function<report::Table(const HeadEvidence&)>>
      tables = {{"entropy", EntropyTable},     {"parts", PartTable},
                {"sources", SourceTable},      {"ranks", RankTable},
                {"embedding", EmbeddingTable}, {"agreement", AgreementTable}};
  return tables;
}

report::Table TableOf(const std::string& name, const HeadEvidence& evidence) {
  const auto found = Tables().find(name);
  Require(found != Tables().end(), "no table '" + Printable(name, 40) + "'");
  return found->second(evidence);
}

std::string TextOf(const report::Cell& cell) {
  const auto* text = std::get_if<std::string>(&cell.value());
  return text == nullptr ? "" : *text;
}

// One cell, as its table prints it. The row is named by its first cell, or by
// its first two: "RoPE / N".
std::string TextOfCell(const report::Table& table, const std::string& row_name,
                       const std::string& column_name) {
  size_t column = 0;
  while (column < table.columns().size() &&
         table.columns()[column].name != column_name) {
    ++column;
  }
  Require(column < table.columns().size(),
          "no column '" + Printable(column_name, 60) + "'");
  for (const std::vector<report::Cell>& row : table.rows()) {
    const std::string first = TextOf(row[0]);
    if (first != row_name && first + " / " + TextOf(row[1]) != row_name) {
      continue;
    }
    const auto number = row[column].AsNumber();
    Require(number.has_value(), "that cell has no number");
    return report::FormatValue(*number, report::NumberStyle::kPlain,
                               table.columns()[column].digits);
  }
  throw std::invalid_argument("no row '" + Printable(row_name, 60) + "'");
}

size_t CountOf(const std::string& text) {
  const auto count = ParseInt(text);
  Require(count && *count > 0, "'" + Printable(text, 20) + "' is no number");
  return static_cast<size_t>(*count);
}

std::string Percent(double value) {
  return report::FormatValue(value, report::NumberStyle::kPlain, 0);
}

// The layers that `tune` gave a window.
std::vector<int64_t> TunedWindows(const std::string& folder) {
  const fs::path path = fs::path(folder) / "tuned.toml";
  const position::Scheme stack = position::ParseScheme("@" + path.string());
  std::vector<int64_t> layers;
  for (size_t l = 0; l < stack.layers.size(); ++l) {
    if (stack.layers[l].name == kSinkWindow) {
      layers.push_back(static_cast<int64_t>(l));
    }
  }
  return layers;
}

// Layers by the sum of their heads' attention to the source, the weakest first.
std::vector<std::pair<double, int64_t>> LayersBySource(
    const HeadEvidence& evidence, const HeadWay& way) {
  std::map<int64_t, double> sums;
  for (const RankedHead& head : HeadsBySource(evidence, way)) {
    sums[head.layer] += head.source;
  }
  std::vector<std::pair<double, int64_t>> layers;
  for (const auto& [layer, sum] : sums) layers.emplace_back(sum, layer);
  std::ranges::sort(layers);
  return layers;
}

std::string Fact(const std::vector<std::string>& parts,
                 const HeadEvidence& evidence, const std::string& folder) {
  const std::string& what = parts[1];
  const auto want = [&](size_t count) {
    Require(parts.size() == count, "the fact '" + Printable(what, 20) +
                                       "' wants " + std::to_string(count - 2) +
                                       " parts");
  };
  const auto heads_of = [&](const std::string& text) {
    auto heads = HeadsBySource(evidence, HeadWayOf(text, evidence.N()));
    Require(!heads.empty(), "no row of it");
    return heads;
  };
  if (what == "documents") {  // how many were read in that way
    want(3);
    return std::to_string(
        evidence.Documents(HeadWayOf(parts[2], evidence.N())).size());
  }
  if (what == "heads") {  // how many heads there are
    want(3);
    return std::to_string(heads_of(parts[2]).size());
  }
  if (what == "part") {  // of all attention to sources, of the strongest, %
    want(4);
    return Percent(PartOfStrongest(heads_of(parts[3]), CountOf(parts[2])));
  }
  if (what == "strongest") {  // "17.3, 4.0": the strongest heads
    want(4);
    const auto heads = heads_of(parts[3]);
    std::string names;
    for (size_t i = 0; i < std::min(heads.size(), CountOf(parts[2])); ++i) {
      names += (names.empty() ? "" : ", ") + std::to_string(heads[i].layer) +
               "." + std::to_string(heads[i].head);
    }
    return names;
  }
  if (what == "common") {  // of the strongest heads, how many are so both ways
    want(5);
    const auto a = heads_of(parts[3]);
    const auto b = heads_of(parts[4]);
    const size_t count = std::min({CountOf(parts[2]), a.size(), b.size()});
    int64_t common = 0;
    for (size_t i = 0; i < count; ++i) {
      for (size_t j = 0; j < count; ++j) {
        common += a[i].layer == b[j].layer && a[i].head == b[j].head ? 1 : 0;
      }
    }
    return std::to_string(common);
  }
  // Of the strongest heads, the one whose keys have the least entropy of their
  // first 16 values: which part of all key heads has less, %.
  if (what == "key place") {
    want(4);
    const HeadWay way = HeadWayOf(parts[3], evidence.N());
    const auto heads = heads_of(parts[3]);
    const auto map = evidence.Map(way, &HeadRow::key_top);
    const size_t group = evidence.Map(way, &HeadRow::source).front().size() /
                         std::max<size_t>(1, map.front().size());
    Require(group > 0 && !map.front().empty(), "its keys have no one rotation");
    double least = 100;
    for (size_t i = 0; i < std::min(heads.size(), CountOf(parts[2])); ++i) {
      const auto layer = static_cast<size_t>(
          std::ranges::find(evidence.layers(), heads[i].layer) -
          evidence.layers().begin());
      const double own = map[layer][static_cast<size_t>(heads[i].head) / group];
      double below = 0;
      double all = 0;
      for (const std::vector<double>& row : map) {
        for (const double value : row) {
          below += value < own ? 1 : 0;
          ++all;
        }
      }
      least = std::min(least, 100 * below / all);
    }
    return Percent(least);
  }
  // The layers that `tune` gave a window: how many they are, which part of all
  // attention to sources they hold in %, and how many of them are among as many
  // layers that hold least.
  Require(
      what == "tuned windows" || what == "tuned part" || what == "tuned common",
      "no fact '" + Printable(what, 40) + "'");
  want(3);
  const std::vector<int64_t> windows = TunedWindows(folder);
  const auto layers =
      LayersBySource(evidence, HeadWayOf(parts[2], evidence.N()));
  Require(!layers.empty(), "no row of it");
  if (what == "tuned windows") return std::to_string(windows.size());
  double all = 0;
  double part = 0;
  int64_t common = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& [sum, layer] = layers[i];
    const bool window = std::ranges::count(windows, layer) > 0;
    all += sum;
    part += window ? sum : 0;
    common += window && i < windows.size() ? 1 : 0;
  }
  if (what == "tuned common") return std::to_string(common);
  return Percent(100 * part / all);
}

// Rows of stacks that were made from the heads, in by-heads/, beside those of
// the study: means over the documents that all of these stacks have read.
std::string FillLayers(const std::vector<std::string>& parts,
                       const std::string& folder) {
  const Rows study(folder);
  const Rows more((fs::path(folder) / "by-heads").string());
  Require(!study.runs().empty() && !more.rows().empty(),
          "no rows of the study or of by-heads");
  std::vector<Row> rows = study.rows();
  rows.insert(rows.end(), more.rows().begin(), more.rows().end());
  const int64_t N = study.runs().front().N;
  const Evidence evidence(rows, "novels", N);
  std::vector<Way> stacks;
  for (const std::string& scheme :
       Evidence(more.rows(), "novels", N).Schemes()) {
    stacks.push_back({scheme, 2});
  }
  const std::vector<std::string> shared = evidence.Shared(stacks);
  if (parts.size() == 2 && parts[1] == "documents") {
    return std::to_string(shared.size());
  }
  Require(parts.size() == 3,
          "'heads layers' wants documents, or SCHEME 2N | METRIC");
  const HeadWay way = HeadWayOf(parts[1], N);
  const Metric& metric = MetricOf(parts[2]);
  const auto mean =
      evidence.MeanOf({way.scheme, way.length / N}, metric, &shared);
  Require(mean.has_value(), "no row of it");
  return report::FormatValue(mean->value, report::NumberStyle::kPlain,
                             metric.digits);
}

}  // namespace

std::string FillHeads(const std::vector<std::string>& parts,
                      const std::string& folder) {
  if (parts[0] == "heads layers") return FillLayers(parts, folder);
  const HeadRows rows((fs::path(folder) / "attention").string());
  Require(!rows.heads().empty(), "no rows of attention");
  const HeadEvidence evidence(rows);
  const auto want = [&](size_t count) {
    Require(parts.size() == count, "'" + Printable(parts[0], 20) + "' wants " +
                                       std::to_string(count - 1) + " parts");
  };
  if (parts[0] == "heads fact") {
    Require(parts.size() >= 3, "'heads fact' wants a name and more");
    return Fact(parts, evidence, folder);
  }
  if (parts[0] == "heads table") {
    want(2);
    return ToMarkdown(TableOf(parts[1], evidence));
  }
  if (parts[0] == "heads cell") {
    want(4);
    return TextOfCell(TableOf(parts[1], evidence), parts[2], parts[3]);
  }
  if (parts[0] == "heads") {
    want(3);
    const HeadMetric& metric = HeadMetricOf(parts[1]);
    const auto mean =
        evidence.MeanOf(HeadWayOf(parts[2], evidence.N()), metric);
    Require(mean.has_value(), "no row of it");
    return report::FormatValue(mean->value, report::NumberStyle::kPlain,
                               metric.digits);
  }
  Require(parts[0] == "heads difference",
          "'" + Printable(parts[0], 20) +
              "' is none of heads, heads difference, heads table, heads cell, "
              "heads fact, heads layers");
  want(4);
  const HeadMetric& metric = HeadMetricOf(parts[1]);
  const auto difference =
      evidence.Compare(HeadWayOf(parts[2], evidence.N()),
                       HeadWayOf(parts[3], evidence.N()), metric);
  Require(difference.has_value(), "no document was read both ways");
  return ToString(*difference, metric.digits);
}

}  // namespace ropewalk::study
