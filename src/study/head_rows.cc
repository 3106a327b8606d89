#include "study/head_rows.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "report/csv.h"
#include "report/table.h"
#include "study/cells.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHeads = "heads.csv";
constexpr const char* kRanks = "ranks.csv";
constexpr const char* kEmbedding = "embedding.csv";

report::Table TableOf(const std::vector<const char*>& names) {
  std::vector<report::Column> columns;
  for (const char* name : names) columns.push_back({.name = name});
  return report::Table(columns);
}

report::Table HeadTable() {
  return TableOf({"run", "set", "document", "scheme", "position", "length",
                  "layer", "entropy", "sinks", "far", "source", "key_top",
                  "key_entropy"});
}

report::Table EmptyRanks() {
  return TableOf({"run", "set", "document", "scheme", "position", "n", "layer",
                  "rank", "effective", "log_own"});
}

report::Table EmptyEmbeddings() {
  return TableOf({"run", "least", "most", "tokens", "norm_low", "norm_median",
                  "norm_high", "norm_most", "largest_median", "largest_most",
                  "one_size", "rho"});
}

void RequireRow(bool holds, const std::string& path, size_t line) {
  if (holds) return;
  throw FormatError(path, 0,
                    "row " + std::to_string(line + 1) +
                        " is there twice, names a run that runs.csv does not "
                        "have, or has lists of different lengths");
}

}  // namespace

HeadRows::HeadRows(const std::string& folder) : folder_(folder), runs_(folder) {
  ReadHeads();
  ReadRanks();
  ReadEmbedding();
}

std::string HeadRows::PathOf(const char* name) const {
  return (fs::path(folder_) / name).string();
}

void HeadRows::ReadHeads() {
  const std::string path = PathOf(kHeads);
  const report::CsvFile file = ReadCsv(path, HeadTable());
  for (size_t i = 0; i < file.rows.size(); ++i) {
    Cells cells(file.rows[i], path, i);
    HeadRow row;
    row.run = cells.Integer();
    row.set = cells.Text();
    row.document = cells.Text();
    row.scheme = cells.Text();
    row.position = cells.Text();
    row.length = cells.Integer();
    row.layer = cells.Integer();
    row.entropy = cells.List<double>();
    row.sinks = cells.List<double>();
    row.far = cells.List<double>();
    row.source = cells.List<double>();
    row.key_top = cells.List<double>();
    row.key_entropy = cells.List<double>();
    const size_t H = row.entropy.size();
    const bool twice = std::ranges::any_of(heads_, [&](const HeadRow& other) {
      return other.layer == row.layer && other.length == row.length &&
             other.scheme == row.scheme && other.document == row.document &&
             other.set == row.set;
    });
    RequireRow(runs_.Has(row.run) && !twice && H > 0 && row.sinks.size() == H &&
                   row.far.size() == H && row.source.size() == H &&
                   row.key_top.size() == row.key_entropy.size() &&
                   H % std::max<size_t>(1, row.key_top.size()) == 0,
               path, i);
    heads_.push_back(std::move(row));
  }
}

void HeadRows::ReadRanks() {
  const std::string path = PathOf(kRanks);
  const report::CsvFile file = ReadCsv(path, EmptyRanks());
  for (size_t i = 0; i < file.rows.size(); ++i) {
    Cells cells(file.rows[i], path, i);
    RankRow row;
    row.run = cells.Integer();
    row.set = cells.Text();
    row.document = cells.Text();
    row.scheme = cells.Text();
    row.position = cells.Text();
    row.n = cells.Integer();
    row.layer = cells.Integer();
    row.rank = cells.List<int64_t>();
    row.effective = cells.List<double>();
    row.log_own = cells.List<double>();
    RequireRow(runs_.Has(row.run) && !row.rank.empty() &&
                   row.effective.size() == row.rank.size() &&
                   row.log_own.size() == row.rank.size(),
               path, i);
    ranks_.push_back(std::move(row));
  }
}

void HeadRows::ReadEmbedding() {
  const std::string path = PathOf(kEmbedding);
  const report::CsvFile file = ReadCsv(path, EmptyEmbeddings());
  for (size_t i = 0; i < file.rows.size(); ++i) {
    Cells cells(file.rows[i], path, i);
    EmbeddingRow row;
    row.run = cells.Integer();
    row.least = cells.Integer();
    row.most = cells.Integer();
    row.tokens = cells.Integer();
    row.norm_low = cells.Real();
    row.norm_median = cells.Real();
    row.norm_high = cells.Real();
    row.norm_most = cells.Real();
    row.largest_median = cells.Real();
    row.largest_most = cells.Real();
    row.one_size = cells.Integer();
    row.rho = cells.Real();
    RequireRow(runs_.Has(row.run), path, i);
    embedding_.push_back(row);
  }
}

bool HeadRows::Has(const std::string& set, const std::string& document,
                   const std::string& scheme, int64_t length) const {
  return std::ranges::any_of(heads_, [&](const HeadRow& row) {
    return row.set == set && row.document == document && row.scheme == scheme &&
           row.length == length;
  });
}

bool HeadRows::HasRank(const std::string& set, const std::string& document,
                       const std::string& scheme) const {
  return std::ranges::any_of(ranks_, [&](const RankRow& row) {
    return row.set == set && row.document == document && row.scheme == scheme;
  });
}

void HeadRows::Add(const std::vector<HeadRow>& layers) {
  for (const HeadRow& row : layers) {
    ROPEWALK_CHECK(!Has(row.set, row.document, row.scheme, row.length));
  }
  heads_.insert(heads_.end(), layers.begin(), layers.end());
  report::Table table = HeadTable();
  for (const HeadRow& row : heads_) {
    table.AddRow({row.run, row.set, row.document, row.scheme, row.position,
                  row.length, row.layer, Joined(row.entropy), Joined(row.sinks),
                  Joined(row.far), Joined(row.source), Joined(row.key_top),
                  Joined(row.key_entropy)});
  }
  runs_.Write();
  WriteFileAtomically(PathOf(kHeads), ToCsv(table));
}

void HeadRows::AddRanks(const std::vector<RankRow>& layers) {
  for (const RankRow& row : layers) {
    ROPEWALK_CHECK(!HasRank(row.set, row.document, row.scheme));
  }
  ranks_.insert(ranks_.end(), layers.begin(), layers.end());
  report::Table table = EmptyRanks();
  for (const RankRow& row : ranks_) {
    table.AddRow({row.run, row.set, row.document, row.scheme, row.position,
                  row.n, row.layer, Joined(row.rank), Joined(row.effective),
                  Joined(row.log_own)});
  }
  runs_.Write();
  WriteFileAtomically(PathOf(kRanks), ToCsv(table));
}

void HeadRows::AddEmbedding(const std::vector<EmbeddingRow>& rows) {
  ROPEWALK_CHECK(embedding_.empty());
  embedding_ = rows;
  report::Table table = EmptyEmbeddings();
  for (const EmbeddingRow& row : embedding_) {
    table.AddRow({row.run, row.least, row.most, row.tokens, row.norm_low,
                  row.norm_median, row.norm_high, row.norm_most,
                  row.largest_median, row.largest_most, row.one_size, row.rho});
  }
  runs_.Write();
  WriteFileAtomically(PathOf(kEmbedding), ToCsv(table));
}

}  // namespace ropewalk::study
