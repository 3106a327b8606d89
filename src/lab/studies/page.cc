#include "lab/studies/page.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "lab/studies/difference.h"
#include "lab/studies/rank_correlation.h"
#include "report/number.h"
#include "report/sections.h"

namespace ropewalk::lab::studies {
namespace {

namespace fs = std::filesystem;

// Without the spaces around each part.
std::vector<std::string> Parts(const std::string& text,
                               const std::string& between) {
  std::vector<std::string> parts;
  for (size_t at = 0; at != std::string::npos;) {
    const size_t end = text.find(between, at);
    const std::string part = text.substr(at, end - at);
    const size_t first = part.find_first_not_of(" \n");
    const size_t last = part.find_last_not_of(" \n");
    parts.push_back(
        first == std::string::npos ? "" : part.substr(first, last - first + 1));
    at = end == std::string::npos ? end : end + between.size();
  }
  return parts;
}

// "N", "8N", "1024".
int64_t LengthOf(std::string text, int64_t N) {
  int64_t unit = 1;
  if (text.ends_with('N')) {
    unit = N;
    text.pop_back();
    if (text.empty()) return unit;
  }
  const auto number = ParseInt(text);
  Require(number && *number >= 0 && *number < 1'000'000'000,
          "'" + Printable(text, 40) + "' is no length such as 8N or 1024");
  return *number * unit;
}

CellKey CellOf(const std::string& row, const std::string& column, int64_t N) {
  const std::vector<std::string> parts = Parts(column, " / ");
  Require(parts.size() <= 3,
          "'" + Printable(column, 40) + "' is no column such as 8N / repeated");
  CellKey key{.row = row, .length = LengthOf(parts[0], N)};
  if (parts.size() > 1) key.set = parts[1];
  if (parts.size() > 2) key.metric = parts[2];
  return key;
}

// Takes "2 digits" from the end of the parts.
std::optional<int> TakeDigits(std::vector<std::string>& parts) {
  if (!parts.back().ends_with(" digits")) return std::nullopt;
  const auto digits = ParseInt(parts.back().substr(0, parts.back().find(' ')));
  Require(digits && *digits >= 0 && *digits <= 9,
          "'" + Printable(parts.back(), 40) + "' is no number of digits");
  parts.pop_back();
  return static_cast<int>(*digits);
}

class RowFiller {
 public:
  explicit RowFiller(const PageSource& source) : source_(source) {}

  std::string Fill(const std::string& inside) {
    std::vector<std::string> parts = Parts(inside, "|");
    Require(parts.size() >= 2, "expected {{what | ...}}");
    const std::optional<int> digits = TakeDigits(parts);
    std::string what = parts[0];
    auto found = source_.scales.find(what.substr(0, what.find(' ')));
    if (found == source_.scales.end()) {
      found = source_.scales.find("small");
      Require(found != source_.scales.end(), "no rows of the scale small");
    } else {
      what.erase(0, found->first.size() + 1);
    }
    const ScaleRows& rows = found->second;
    const auto want = [&](size_t least, size_t most) {
      Require(parts.size() >= least && parts.size() <= most,
              "'" + Printable(what, 20) + "' has too few or too many parts");
    };
    if (what == "rank" || what == "rank rows") {
      want(2, 2);
      return Rank(rows, parts[1], what == "rank", digits.value_or(2));
    }
    if (what == "gap" || what == "margin") {
      want(4, 5);
      const CellKey left = CellOf(parts[1], parts[3], rows.N);
      const auto difference =
          Compare(rows.lines, left, CellOf(parts[2], parts.back(), rows.N));
      Require(difference.has_value(), "one of the two was not measured");
      return Number(
          what == "gap" ? std::abs(difference->gap()) : difference->margin,
          digits.value_or(UsualDigits(left)));
    }
    want(3, 3);
    const CellKey key = CellOf(parts[1], parts[2], rows.N);
    const int shown = digits.value_or(UsualDigits(key));
    if (what == "published") {
      return Number(PublishedOf(key, rows.N), digits.value_or(2));
    }
    std::vector<Measurement> lines = rows.lines;
    if (what.starts_with("seed ")) {
      const auto seed = ParseInt(what.substr(5));
      Require(seed && *seed > 0,
              "'" + Printable(what, 20) + "' is no seed such as seed 1");
      lines = OfSeeds(std::move(lines), {static_cast<uint64_t>(*seed)});
      what = "mean";
    }
    const auto summary = Summarise(lines, key);
    Require(summary.has_value(), "was not measured");
    const std::string mean = Number(summary->mean, shown);
    if (what == "mean") return mean;
    Require(what == "row", "'" + Printable(what, 20) +
                               "' is none of row, mean, seed, published, gap, "
                               "margin, rank, rank rows");
    if (summary->spread) return mean + " ± " + Number(*summary->spread, shown);
    return mean + " (1)";
  }

 private:
  static int UsualDigits(const CellKey& key) {
    return key.metric == "loss" ? 3 : 1;
  }

  static std::string Number(double value, int digits) {
    return report::FormatValue(value, report::NumberStyle::kPlain, digits);
  }

  std::string Rank(const ScaleRows& rows, const std::string& column, bool rho,
                   int digits) const {
    const CellKey wanted = CellOf("", column, rows.N);
    // Columns of published.csv are named by tokens or by N, as here.
    const bool tokens = !Parts(column, " / ").front().ends_with('N');
    const double unit = tokens ? 1 : static_cast<double>(rows.N);
    const Published like{.set = wanted.set,
                         .at = static_cast<double>(wanted.length) / unit,
                         .tokens = tokens,
                         .metric = wanted.metric};
    const std::string name = ColumnOf(like, rows.N);
    for (const RankCorrelation& one :
         RankCorrelations(source_.published, rows.lines, rows.N)) {
      if (one.column != name) continue;
      if (!rho) return std::to_string(one.rows);
      Require(one.rho.has_value(), "all rows of the column are equal");
      return Number(*one.rho, digits);
    }
    throw std::invalid_argument("no four rows of the column were published");
  }

  double PublishedOf(const CellKey& key, int64_t N) const {
    for (const Published& cell : source_.published) {
      const CellKey other = KeyOf(cell, N);
      if (other.row == key.row && other.set == key.set &&
          other.length == key.length && other.metric == key.metric) {
        return cell.value;
      }
    }
    throw std::invalid_argument("is not published");
  }

  const PageSource& source_;
};

// A given model's trained length is the least one of natural text; 0 without.
int64_t LeastLength(const std::vector<Measurement>& lines) {
  int64_t least = 0;
  for (const Measurement& line : lines) {
    if (line.set != "natural") continue;
    if (least == 0 || line.length < least) least = line.length;
  }
  return least;
}

}  // namespace

std::string FillPage(const std::string& page, const PageSource& source) {
  RowFiller filler(source);
  return report::FillPage(
      page, [&](const std::string& inside) { return filler.Fill(inside); });
}

std::string FillPageOf(const std::string& folder,
                       const std::map<std::string, int64_t>& lengths) {
  const auto path = [&](const char* name) {
    return (fs::path(folder) / name).string();
  };
  PageSource source;
  source.published = ParsePublished(
      formats::ReadTextFile(path("published.csv")), path("published.csv"));
  for (const auto& [scale, N] : lengths) {
    const Measurements measured(path("measured.csv"), {.scale = scale});
    source.scales[scale] = {.lines = measured.lines(), .N = N};
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string file = (entry.path() / "measured.csv").string();
    if (!entry.is_directory() || !fs::exists(file)) continue;
    const Measurements measured(file, {.scale = "given"});
    ScaleRows& given = source.scales[entry.path().filename().string()];
    given = {.lines = measured.lines(), .N = LeastLength(measured.lines())};
  }
  return FillPage(formats::ReadTextFile(path("page.md")), source);
}

}  // namespace ropewalk::lab::studies
