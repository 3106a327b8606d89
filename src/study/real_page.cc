// {{...}} of a page, filled from the rows.

#include <filesystem>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "report/csv.h"
#include "report/sections.h"
#include "report/table.h"
#include "study/heads_report.h"
#include "study/real_report.h"
#include "study/schemes.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

std::string Trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \n") - first + 1);
}

int64_t TimesOf(const std::string& text) {
  if (text == "N") return 1;
  if (text.ends_with("N")) {
    const auto times = ParseInt(text.substr(0, text.size() - 1));
    if (times && *times > 0) return *times;
  }
  throw std::invalid_argument("'" + Printable(text, 40) +
                              "' is no length such as N or 2N");
}

// "ReRoPE w=N/2 2N": the length is the last word.
Way WayOf(const std::string& text) {
  const size_t space = text.rfind(' ');
  Require(space != std::string::npos,
          "'" + Printable(text, 40) + "' is no scheme with a length");
  return {text.substr(0, space), TimesOf(text.substr(space + 1))};
}

class Filler {
 public:
  explicit Filler(std::string folder) : folder_(std::move(folder)) {}

  std::string Fill(const std::string& inside) {
    std::vector<std::string> parts;
    std::istringstream stream(inside);
    for (std::string part; std::getline(stream, part, '|');) {
      parts.push_back(Trimmed(part));
    }
    Require(parts.size() >= 3, "expected {{MODEL | what | ...}}");
    std::string set = "novels";
    if (const size_t comma = parts[0].rfind(", "); comma != std::string::npos) {
      set = parts[0].substr(comma + 2);
      parts[0].resize(comma);
    }
    if (parts[1].starts_with("heads")) {
      return FillHeads({parts.begin() + 1, parts.end()},
                       (fs::path(folder_) / parts[0]).string());
    }
    const Rows& rows = RowsOf(parts[0]);
    const Evidence evidence(rows.rows(), set, rows.runs().front().N);
    const std::string& what = parts[1];
    const auto want = [&](size_t count) {
      Require(parts.size() == count, "'" + Printable(what, 20) + "' wants " +
                                         std::to_string(count) + " parts");
    };
    if (what == "table") {
      want(3);
      if (parts[2] == "tune") {
        return TuneTable((fs::path(folder_) / parts[0] / "tune.csv").string());
      }
      return Table(parts[2], rows, evidence);
    }
    if (what == "documents") {
      want(4);
      return std::to_string(
          evidence.RowsOf({parts[2], TimesOf(parts[3])}).size());
    }
    want(5);
    const Metric& metric = MetricOf(parts[4]);
    if (what == "mean") {
      const auto mean = evidence.MeanOf({parts[2], TimesOf(parts[3])}, metric);
      Require(mean.has_value(), "no row of it");
      return report::FormatValue(mean->value, report::NumberStyle::kPlain,
                                 metric.digits);
    }
    const auto difference =
        evidence.Compare(WayOf(parts[2]), WayOf(parts[3]), metric);
    Require(difference.has_value(), "no document was read both ways");
    if (what == "verdict") {
      return std::string(ToString(difference->verdict()));
    }
    Require(what == "difference", "'" + Printable(what, 20) +
                                      "' is none of table, documents, mean, "
                                      "difference, verdict");
    return ToString(*difference, metric.digits);
  }

 private:
  static std::string Table(const std::string& name, const Rows& rows,
                           const Evidence& evidence) {
    if (name == "chief") return ToMarkdown(ChiefTable(evidence));
    if (name == "front") return ToMarkdown(FrontTable(evidence));
    if (name == "window") return ToMarkdown(AgainstWindow(evidence));
    if (name == "claims") return ToMarkdown(ClaimTable(evidence));
    if (name == "sets") return ToMarkdown(SetTable(rows, evidence.N()));
    if (name == "published") return ToMarkdown(PublishedTable(evidence));
    throw std::invalid_argument("no table '" + Printable(name, 40) + "'");
  }

  // The chief columns of what `tune --csv` wrote.
  static std::string TuneTable(const std::string& path) {
    const report::CsvFile file =
        report::ParseCsv(formats::ReadTextFile(path), path);
    const std::vector<std::string> wanted = {"loss", "passage_loss",
                                             "needle_loss", "cost"};
    std::vector<report::Column> columns = {{.name = "scheme"}};
    for (const std::string& name : wanted) {
      columns.push_back(
          {.name = name, .digits = 4, .best = report::Best::kLow});
    }
    report::Table table(columns);
    for (const std::vector<std::string>& row : file.rows) {
      std::vector<report::Cell> cells = {row[file.Column("scheme")]};
      for (const std::string& name : wanted) {
        cells.emplace_back(ParseNumber(row[file.Column(name)]));
      }
      table.AddRow(std::move(cells));
    }
    return ToMarkdown(table);
  }

  const Rows& RowsOf(const std::string& model) {
    auto found = known_.find(model);
    if (found == known_.end()) {
      found = known_
                  .emplace(model, std::make_unique<Rows>(
                                      (fs::path(folder_) / model).string()))
                  .first;
    }
    Require(!found->second->rows().empty(),
            "no rows of a model '" + Printable(model, 60) + "'");
    return *found->second;
  }

  std::string folder_;
  std::map<std::string, std::unique_ptr<Rows>> known_;
};

}  // namespace

std::string FillPage(const std::string& page, const std::string& folder) {
  Filler filler(folder);
  return report::FillPage(
      page, [&](const std::string& inside) { return filler.Fill(inside); });
}

}  // namespace ropewalk::study
