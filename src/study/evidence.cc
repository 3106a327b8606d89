#include "study/evidence.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <stdexcept>

#include "base/text.h"
#include "evaluate/statistics.h"

namespace ropewalk::study {
namespace {

using report::Best;
using Number = std::optional<double>;

double Right(std::string_view marks) {
  return 100 * static_cast<double>(std::ranges::count(marks, '1')) /
         static_cast<double>(marks.size());
}

// Needles of which more than N tokens have passed, or all.
struct Needles {
  std::string marks;
  std::vector<double> losses;
};

Needles NeedlesOf(const Row& row, int64_t beyond) {
  Needles needles;
  for (size_t i = 0; i < row.needles.size(); ++i) {
    if (row.distances[i] <= beyond) continue;
    needles.marks += row.needles[i];
    needles.losses.push_back(row.needle_losses[i]);
  }
  return needles;
}

Number LossOf(const Needles& needles) {
  if (needles.losses.empty()) return std::nullopt;
  return evaluate::Mean(needles.losses);
}

Number RightOf(const Needles& needles) {
  if (needles.marks.empty()) return std::nullopt;
  return Right(needles.marks);
}

// "a.txt 1/2" -> "a.txt"
std::string FileOf(const std::string& document) {
  return document.substr(0, document.rfind(' '));
}

// The numbers of each file's pieces.
using ByFile = std::map<std::string, std::vector<double>>;

std::vector<double> MeansOf(const ByFile& pieces) {
  std::vector<double> means;
  for (const auto& [file, values] : pieces) {
    means.push_back(evaluate::Mean(values));
  }
  return means;
}

constexpr std::array kMetrics = {
    // Loss of the text's last targets, nats
    Metric{"loss", 3, Best::kLow,
           [](const Row& row, int64_t) { return Number(row.loss); }},
    // The text's last targets right, %
    Metric{"right", 1, Best::kHigh,
           [](const Row& row, int64_t) { return Number(100 * row.accuracy); }},
    // Loss of targets that occurred only more than N tokens ago, nats
    Metric{"rare_loss", 3, Best::kLow,
           [](const Row& row, int64_t) {
             return row.rare > 0 ? Number(row.rare_loss) : std::nullopt;
           }},
    // Loss of the passage that comes back, nats
    Metric{"passage_loss", 3, Best::kLow,
           [](const Row& row, int64_t) { return Number(row.passage_loss); }},
    // Tokens of the passage that comes back right, %
    Metric{"passage_right", 1, Best::kHigh,
           [](const Row& row, int64_t) {
             return Number(100 * row.passage_accuracy);
           }},
    // Loss of the hidden numbers, nats
    Metric{"needle_loss", 3, Best::kLow,
           [](const Row& row, int64_t) { return LossOf(NeedlesOf(row, 0)); }},
    // Hidden numbers found whole, %
    Metric{"needles_right", 1, Best::kHigh,
           [](const Row& row, int64_t) { return RightOf(NeedlesOf(row, 0)); }},
    // Loss of numbers hidden more than N tokens ago, nats
    Metric{"far_needle_loss", 3, Best::kLow,
           [](const Row& row, int64_t N) { return LossOf(NeedlesOf(row, N)); }},
    // Numbers hidden more than N tokens ago found, %
    Metric{
        "far_needles_right", 1, Best::kHigh,
        [](const Row& row, int64_t N) { return RightOf(NeedlesOf(row, N)); }},
    // Values traced through the text, %
    Metric{"traces_right", 1, Best::kHigh,
           [](const Row& row, int64_t) {
             return row.traces.empty() ? std::nullopt
                                       : Number(Right(row.traces));
           }},
    // Seconds to read the text, s
    Metric{"seconds", 1, Best::kNone,
           [](const Row& row, int64_t) { return Number(row.seconds); }},
    // Keys and values, MiB
    Metric{"mib", 1, Best::kNone,
           [](const Row& row, int64_t) {
             return Number(static_cast<double>(row.kv_bytes) / 1048576.0);
           }},
};

}  // namespace

const Metric& MetricOf(std::string_view name) {
  std::string names;
  for (const Metric& metric : kMetrics) {
    if (metric.name == name) return metric;
    names += (names.empty() ? "" : ", ") + std::string(metric.name);
  }
  throw std::invalid_argument("'" + Printable(name, 40) +
                              "' is no metric of the study: " + names);
}

std::string_view ToString(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBelow:
      return "below";
    case Verdict::kAbove:
      return "above";
    case Verdict::kUndecided:
      return "undecided";
    case Verdict::kSeenOnce:
      return "seen once";
  }
  return "";
}

Verdict Difference::verdict() const {
  if (documents < 2) return Verdict::kSeenOnce;
  if (value < -margin) return Verdict::kBelow;
  if (value > margin) return Verdict::kAbove;
  return Verdict::kUndecided;
}

std::string ToString(const Difference& difference, int digits) {
  const auto format = [&](double value) {
    return report::FormatValue(value, report::NumberStyle::kPlain, digits);
  };
  std::string text =
      (difference.value >= 0 ? "+" : "") + format(difference.value);
  if (difference.documents > 1) text += " ± " + format(difference.margin);
  return text;
}

std::vector<const Row*> Evidence::RowsOf(const Way& way) const {
  std::vector<const Row*> rows;
  for (const Row& row : rows_) {
    if (row.set == set_ && row.scheme == way.scheme &&
        row.length == way.times * N_) {
      rows.push_back(&row);
    }
  }
  return rows;
}

std::vector<std::string> Evidence::Schemes() const {
  std::vector<std::string> schemes;
  for (const Row& row : rows_) {
    if (row.set == set_ && std::ranges::count(schemes, row.scheme) == 0) {
      schemes.push_back(row.scheme);
    }
  }
  return schemes;
}

std::vector<std::string> Evidence::Shared(const std::vector<Way>& ways) const {
  std::map<std::string, size_t> read;
  for (const Way& way : ways) {
    for (const Row* row : RowsOf(way)) ++read[row->document];
  }
  std::vector<std::string> shared;
  for (const auto& [document, count] : read) {
    if (count == ways.size()) shared.push_back(document);
  }
  return shared;
}

std::optional<Mean> Evidence::MeanOf(
    const Way& way, const Metric& metric,
    const std::vector<std::string>* documents) const {
  ByFile pieces;
  for (const Row* row : RowsOf(way)) {
    if (documents != nullptr &&
        std::ranges::find(*documents, row->document) == documents->end()) {
      continue;
    }
    if (const auto value = metric.of(*row, N_)) {
      pieces[FileOf(row->document)].push_back(*value);
    }
  }
  if (pieces.empty()) return std::nullopt;
  const std::vector<double> values = MeansOf(pieces);
  return Mean{evaluate::Mean(values), evaluate::StandardError(values),
              static_cast<int64_t>(values.size())};
}

std::optional<Difference> Evidence::Compare(const Way& a, const Way& b,
                                            const Metric& metric) const {
  ByFile pieces;
  const std::vector<const Row*> others = RowsOf(b);
  for (const Row* row : RowsOf(a)) {
    const auto other = std::ranges::find(
        others, row->document, [](const Row* r) { return r->document; });
    if (other == others.end()) continue;
    const auto left = metric.of(*row, N_);
    const auto right = metric.of(**other, N_);
    if (left && right) {
      pieces[FileOf(row->document)].push_back(*left - *right);
    }
  }
  if (pieces.empty()) return std::nullopt;
  return PairedDifference(MeansOf(pieces));
}

Difference PairedDifference(const std::vector<double>& differences) {
  const auto n = static_cast<int64_t>(differences.size());
  return {evaluate::Mean(differences),
          n < 2 ? 0
                : evaluate::StudentT95(static_cast<double>(n - 1)) *
                      evaluate::StandardError(differences),
          n};
}

}  // namespace ropewalk::study
