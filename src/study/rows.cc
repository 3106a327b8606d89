#include "study/rows.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "evaluate/statistics.h"
#include "report/csv.h"
#include "report/table.h"
#include "study/cells.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMeasured = "measured.csv";

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

Rows::Rows(const std::string& folder) : folder_(folder), runs_(folder) {
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
    if (!runs_.Has(row.run) || row.needle_losses.size() != row.needles.size() ||
        row.distances.size() != row.needles.size()) {
      throw FormatError(measured, 0,
                        "row " + std::to_string(i + 1) +
                            " names a run that runs.csv "
                            "does not have, or more answers than losses");
    }
    if (Find(row.set, row.document, row.scheme, row.length) != nullptr) {
      throw FormatError(measured, 0,
                        "row " + std::to_string(i + 1) + " is there twice");
    }
    rows_.push_back(std::move(row));
  }
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
  report::Table rows = RowTable();
  for (const Row& row : rows_) {
    rows.AddRow({row.run, row.set, row.document, row.scheme, row.position,
                 row.length, row.scored, row.loss, row.accuracy, row.rare,
                 row.rare_loss, row.passage_loss, row.passage_accuracy,
                 row.needles, Joined(row.needle_losses), Joined(row.distances),
                 row.traces, row.seconds, row.kv_bytes});
  }
  runs_.Write();
  WriteFileAtomically((fs::path(folder_) / kMeasured).string(), ToCsv(rows));
}

}  // namespace ropewalk::study
