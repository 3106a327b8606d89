#include "study/rows.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <sstream>
#include <type_traits>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "evaluate/statistics.h"
#include "formats/text_file.h"
#include "report/csv.h"
#include "report/table.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRuns = "runs.csv";
constexpr const char* kMeasured = "measured.csv";

report::Table RunTable() {
  return report::Table({{.name = "run"},
                        {.name = "model"},
                        {.name = "content"},
                        {.name = "N"},
                        {.name = "kv_type"},
                        {.name = "products"},
                        {.name = "hardware"},
                        {.name = "command"}});
}

report::Table RowTable() {
  return report::Table({{.name = "run"},
                        {.name = "set"},
                        {.name = "document"},
                        {.name = "scheme"},
                        {.name = "position"},
                        {.name = "length"},
                        {.name = "scored"},
                        {.name = "loss"},
                        {.name = "accuracy"},
                        {.name = "rare"},
                        {.name = "rare_loss"},
                        {.name = "passage_loss"},
                        {.name = "passage_accuracy"},
                        {.name = "needles"},
                        {.name = "needle_losses"},
                        {.name = "distances"},
                        {.name = "traces"},
                        {.name = "seconds"},
                        {.name = "kv_bytes"}});
}

// Losses with four digits behind the point: more is noise of the order of sums.
double Rounded(double value) { return std::round(value * 1e4) / 1e4; }

template <typename T>
std::string Joined(const std::vector<T>& numbers) {
  std::string text;
  for (const T number : numbers) {
    text +=
        (text.empty() ? "" : " ") + FormatNumber(static_cast<double>(number));
  }
  return text;
}

// Reads the cells of one row by turns.
class Cells {
 public:
  Cells(const std::vector<std::string>& cells, const std::string& path,
        size_t line)
      : cells_(cells), path_(path), line_(line) {}

  const std::string& Text() { return cells_[next_++]; }
  int64_t Integer() { return Checked(ParseInt(Text())); }
  double Real() { return Number<double>(ParseNumber(Text())); }
  template <typename T>
  std::vector<T> List() {
    std::istringstream words(Text());
    std::vector<T> list;
    for (std::string word; words >> word;) {
      if constexpr (std::is_integral_v<T>) {
        list.push_back(Checked(ParseInt(word)));
      } else {
        list.push_back(Number<double>(ParseNumber(word)));
      }
    }
    return list;
  }
  std::string Marks() {
    const std::string& text = Text();
    if (text.find_first_not_of("01") != std::string::npos) Refuse();
    return text;
  }

 private:
  // No count or length of a study is as large.
  int64_t Checked(const std::optional<int64_t>& number) const {
    constexpr int64_t kMost = int64_t{1} << 50;
    if (!number || *number < 0 || *number > kMost) Refuse();
    return *number;
  }
  [[noreturn]] void Refuse() const {
    throw FormatError(path_, 0,
                      "row " + std::to_string(line_ + 1) + ", column " +
                          std::to_string(next_) + ": '" +
                          Printable(cells_[next_ - 1], 40) +
                          "' is not what the study writes there");
  }
  template <typename T>
  T Number(const std::optional<T>& number) const {
    if (!number) Refuse();
    return *number;
  }

  const std::vector<std::string>& cells_;
  const std::string& path_;
  size_t line_;
  size_t next_ = 0;
};

// The rows of a CSV with exactly the columns of `like`; none without a file.
report::CsvFile ReadCsv(const std::string& path, const report::Table& like) {
  if (!fs::exists(path)) return {};
  report::CsvFile file = report::ParseCsv(formats::ReadTextFile(path), path);
  const bool same =
      std::ranges::equal(file.columns, like.columns(), {}, {},
                         [](const report::Column& c) { return c.name; });
  if (!same) {
    throw FormatError(path, 0,
                      "has other columns than the study writes; name another "
                      "folder with --out");
  }
  return file;
}

}  // namespace

Row RowOf(const evaluate::Reading& reading,
          const evaluate::ReadingScores& scores,
          const std::vector<int64_t>& rare) {
  evaluate::ScoreSummary all;
  all.AddDocument(scores.text);
  std::vector<evaluate::TokenScore> some;
  some.reserve(rare.size());
  for (const int64_t i : rare) {
    some.push_back(scores.text[static_cast<size_t>(i)]);
  }
  evaluate::ScoreSummary long_ago;
  long_ago.AddDocument(some);
  Row row{.scored = all.tokens(),
          .loss = Rounded(all.loss()),
          .accuracy = Rounded(all.accuracy()),
          .rare = long_ago.tokens(),
          .rare_loss = some.empty() ? 0 : Rounded(long_ago.loss()),
          .seconds = Rounded(scores.seconds),
          .kv_bytes = scores.kv_bytes};
  using Kind = evaluate::Question::Kind;
  for (size_t q = 0; q < reading.questions.size(); ++q) {
    const evaluate::Question& question = reading.questions[q];
    const evaluate::AnswerScore& answer = scores.answers[q];
    switch (question.kind) {
      case Kind::kNeedle:
        row.needles += answer.correct ? '1' : '0';
        row.needle_losses.push_back(Rounded(answer.loss));
        row.distances.push_back(question.distance);
        break;
      case Kind::kTrace:
        row.traces += answer.correct ? '1' : '0';
        break;
      case Kind::kPassage:
        row.passage_loss = Rounded(answer.loss);
        row.passage_accuracy = Rounded(answer.accuracy);
        break;
    }
  }
  return row;
}

Rows::Rows(const std::string& folder) : folder_(folder) {
  const std::string runs = (fs::path(folder) / kRuns).string();
  const report::CsvFile run_file = ReadCsv(runs, RunTable());
  for (size_t i = 0; i < run_file.rows.size(); ++i) {
    Cells cells(run_file.rows[i], runs, i);
    (void)cells.Integer();
    Run run;
    run.model = cells.Text();
    run.content = cells.Text();
    run.N = cells.Integer();
    run.kv_type = cells.Text();
    run.products = cells.Text();
    run.hardware = cells.Text();
    run.command = cells.Text();
    runs_.push_back(std::move(run));
  }
  const std::string measured = (fs::path(folder) / kMeasured).string();
  const report::CsvFile file = ReadCsv(measured, RowTable());
  for (size_t i = 0; i < file.rows.size(); ++i) {
    Cells cells(file.rows[i], measured, i);
    Row row;
    row.run = cells.Integer();
    row.set = cells.Text();
    row.document = cells.Text();
    row.scheme = cells.Text();
    row.position = cells.Text();
    row.length = cells.Integer();
    row.scored = cells.Integer();
    row.loss = cells.Real();
    row.accuracy = cells.Real();
    row.rare = cells.Integer();
    row.rare_loss = cells.Real();
    row.passage_loss = cells.Real();
    row.passage_accuracy = cells.Real();
    row.needles = cells.Marks();
    row.needle_losses = cells.List<double>();
    row.distances = cells.List<int64_t>();
    row.traces = cells.Marks();
    row.seconds = cells.Real();
    row.kv_bytes = cells.Integer();
    if (row.run >= static_cast<int64_t>(runs_.size()) ||
        row.needle_losses.size() != row.needles.size() ||
        row.distances.size() != row.needles.size()) {
      throw FormatError(measured, 0,
                        "row " + std::to_string(i + 1) + " names a run that " +
                            kRuns +
                            " does not have, or more answers than losses");
    }
    if (Find(row.set, row.document, row.scheme, row.length) != nullptr) {
      throw FormatError(measured, 0,
                        "row " + std::to_string(i + 1) + " is there twice");
    }
    rows_.push_back(std::move(row));
  }
}

int64_t Rows::RunOf(const Run& run) {
  for (const Run& other : runs_) {
    Require(other.content == run.content && other.N == run.N &&
                other.kv_type == run.kv_type && other.products == run.products,
            "'" + Printable(folder_) + "' has rows of " +
                Printable(other.model, 60) + " (" + other.content + ", N " +
                std::to_string(other.N) + ", keys in " + other.kv_type +
                ", products " + other.products +
                "), which this run would mix with others; name another folder "
                "with --out");
  }
  const auto found = std::ranges::find(runs_, run);
  const int64_t index = found - runs_.begin();
  if (found == runs_.end()) runs_.push_back(run);
  return index;
}

const Row* Rows::Find(const std::string& set, const std::string& document,
                      const std::string& scheme, int64_t length) const {
  const auto found = std::ranges::find_if(rows_, [&](const Row& row) {
    return row.set == set && row.document == document && row.scheme == scheme &&
           row.length == length;
  });
  return found == rows_.end() ? nullptr : &*found;
}

void Rows::Add(Row row) {
  ROPEWALK_CHECK(Find(row.set, row.document, row.scheme, row.length) ==
                 nullptr);
  rows_.push_back(std::move(row));
  Write();
}

void Rows::Write() const {
  report::Table runs = RunTable();
  for (size_t i = 0; i < runs_.size(); ++i) {
    const Run& run = runs_[i];
    runs.AddRow({i, run.model, run.content, run.N, run.kv_type, run.products,
                 run.hardware, run.command});
  }
  report::Table rows = RowTable();
  for (const Row& row : rows_) {
    rows.AddRow({row.run, row.set, row.document, row.scheme, row.position,
                 row.length, row.scored, row.loss, row.accuracy, row.rare,
                 row.rare_loss, row.passage_loss, row.passage_accuracy,
                 row.needles, Joined(row.needle_losses), Joined(row.distances),
                 row.traces, row.seconds, row.kv_bytes});
  }
  WriteFileAtomically((fs::path(folder_) / kRuns).string(), ToCsv(runs));
  WriteFileAtomically((fs::path(folder_) / kMeasured).string(), ToCsv(rows));
}

}  // namespace ropewalk::study
