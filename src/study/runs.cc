#include "study/runs.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "report/csv.h"
#include "report/table.h"
#include "study/cells.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRuns = "runs.csv";

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

}  // namespace

Runs::Runs(std::string folder) : folder_(std::move(folder)) {
  const std::string path = (fs::path(folder_) / kRuns).string();
  const report::CsvFile file = ReadCsv(path, RunTable());
  for (size_t i = 0; i < file.rows.size(); ++i) {
    Cells cells(file.rows[i], path, i);
    (void)cells.Integer();
    Run run;
    run.model = cells.Text();
    run.content = cells.Text();
    run.N = cells.Integer();
    run.kv_type = cells.Text();
    run.products = cells.Text();
    run.hardware = cells.Text();
    run.command = cells.Text();
    list_.push_back(std::move(run));
  }
}

int64_t Runs::IndexOf(const Run& run) {
  for (const Run& other : list_) {
    Require(other.content == run.content && other.N == run.N &&
                other.kv_type == run.kv_type && other.products == run.products,
            "'" + Printable(folder_) + "' has rows of " +
                Printable(other.model, 60) + " (" + other.content + ", N " +
                std::to_string(other.N) + ", keys in " + other.kv_type +
                ", products " + other.products +
                "), which this run would mix with others; name another folder "
                "with --out");
  }
  const auto found = std::ranges::find(list_, run);
  const int64_t index = found - list_.begin();
  if (found == list_.end()) list_.push_back(run);
  return index;
}

void Runs::Write() const {
  report::Table table = RunTable();
  for (size_t i = 0; i < list_.size(); ++i) {
    const Run& run = list_[i];
    table.AddRow({i, run.model, run.content, run.N, run.kv_type, run.products,
                  run.hardware, run.command});
  }
  WriteFileAtomically((fs::path(folder_) / kRuns).string(), ToCsv(table));
}

}  // namespace ropewalk::study
