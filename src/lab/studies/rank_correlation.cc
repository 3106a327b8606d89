#include "lab/studies/rank_correlation.h"

#include <algorithm>
#include <set>
#include <utility>

#include "evaluate/statistics.h"

namespace ropewalk::lab::studies {
namespace {

// Fewer have next to no orders to be in.
constexpr size_t kLeastRows = 4;

struct Column {
  std::string name;
  std::vector<Published> cells;  // that were measured
};

std::vector<Column> MeasuredColumns(const std::vector<Published>& published,
                                    const std::vector<Measurement>& lines,
                                    int64_t N) {
  std::vector<Column> columns;
  for (const Published& cell : published) {
    if (!Summarise(lines, KeyOf(cell, N))) continue;
    const std::string name = ColumnOf(cell, N);
    auto column = std::ranges::find(columns, name, &Column::name);
    if (column == columns.end()) {
      columns.push_back({.name = name});
      column = std::prev(columns.end());
    }
    column->cells.push_back(cell);
  }
  return columns;
}

}  // namespace

std::vector<RankCorrelation> RankCorrelations(
    const std::vector<Published>& published,
    const std::vector<Measurement>& lines, int64_t N) {
  std::vector<RankCorrelation> correlations;
  for (const Column& column : MeasuredColumns(published, lines, N)) {
    std::vector<CellKey> keys;
    for (const Published& cell : column.cells) keys.push_back(KeyOf(cell, N));
    const std::set<uint64_t> seeds = SharedSeeds(lines, keys);
    if (column.cells.size() < kLeastRows || seeds.empty()) continue;
    const std::vector<Measurement> shared = OfSeeds(lines, seeds);
    std::vector<double> theirs;
    std::vector<double> ours;
    for (const Published& cell : column.cells) {
      theirs.push_back(cell.value);
      ours.push_back(Summarise(shared, KeyOf(cell, N))->mean);
    }
    correlations.push_back({.column = column.name,
                            .rows = static_cast<int64_t>(column.cells.size()),
                            .seeds = {seeds.begin(), seeds.end()},
                            .rho = evaluate::Spearman(theirs, ours)});
  }
  return correlations;
}

report::Table RankTable(const std::vector<RankCorrelation>& correlations) {
  report::Table table({{.name = "read"},
                       {.name = "rows", .align = report::Align::kRight},
                       {.name = "seeds", .align = report::Align::kRight},
                       {.name = "rank correlation", .digits = 2}});
  for (const RankCorrelation& one : correlations) {
    std::string seeds;
    for (const uint64_t seed : one.seeds) {
      if (seed > 0) seeds += (seeds.empty() ? "" : ", ") + std::to_string(seed);
    }
    table.AddRow({one.column, one.rows,
                  seeds.empty() ? report::Cell() : report::Cell(seeds),
                  one.rho ? report::Cell(*one.rho) : report::Cell()});
  }
  return table;
}

}  // namespace ropewalk::lab::studies
