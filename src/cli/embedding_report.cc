#include "cli/embedding_report.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/row_limit.h"
#include "base/text.h"
#include "kernels/blocks.h"

namespace ropewalk::cli {
namespace {

constexpr size_t kTopRows = 5;
// The limit is guessed to be the largest component where lambda is not known;
// rows that stand there then share it more closely than 1/lambda.
constexpr double kNearGuess = 0.01;
// Above that many medians a row is outlying.
constexpr double kOutlying = 10;
// Of a row's RMS and largest component; independent normal components have 0.35
// or so.
constexpr double kOneSize = 0.8;
constexpr int64_t kOneSizeColumns = 16;

// Reads row by row; calls `see` with the finite components of each.
template <typename See>
void EachRow(const formats::GgufTensor& tensor, const See& see) {
  const int64_t columns = tensor.Columns();
  std::vector<float> row(static_cast<size_t>(columns));
  for (int64_t r = 0; r < tensor.Rows(); ++r) {
    kernels::UnpackRow(*tensor.type, tensor.Row(r), columns, row.data());
    see(r, row);
  }
}

// Of its finite components.
double Rms(const std::vector<float>& row) {
  double squares = 0;
  for (const float x : row) {
    if (std::isfinite(x)) squares += static_cast<double>(x) * x;
  }
  return std::sqrt(squares / static_cast<double>(row.size()));
}

}  // namespace

std::optional<EmbeddingReport> ExamineEmbedding(const formats::GgufFile& file,
                                                double weight_decay) {
  const formats::GgufTensor* tensor = file.Find("token_embd.weight");
  if (tensor == nullptr || !tensor->type || tensor->Elements() == 0) {
    return std::nullopt;
  }
  EmbeddingReport report{.rows = tensor->Rows()};
  std::vector<RowExtreme> extremes;
  double squares = 0;
  EachRow(*tensor, [&](int64_t r, const std::vector<float>& row) {
    RowExtreme extreme{.row = r};
    for (const float x : row) {
      if (!std::isfinite(x)) {
        ++report.not_finite;
        continue;
      }
      extreme.largest =
          std::max(extreme.largest, static_cast<double>(std::abs(x)));
    }
    extreme.rms = Rms(row);
    squares += extreme.rms * extreme.rms * static_cast<double>(row.size());
    if (tensor->Columns() >= kOneSizeColumns && extreme.largest > 0 &&
        extreme.rms > kOneSize * extreme.largest) {
      ++report.rows_of_one_size;
      report.largest_of_one_size =
          std::max(report.largest_of_one_size, extreme.largest);
    }
    extremes.push_back(extreme);
  });
  std::ranges::stable_sort(extremes, std::ranges::greater(),
                           &RowExtreme::largest);
  report.rms = std::sqrt(squares / static_cast<double>(tensor->Elements()));
  report.largest = extremes.front().largest;
  report.median_row_largest = extremes[extremes.size() / 2].largest;
  report.rows_outlying =
      std::ranges::count_if(extremes, [&](const RowExtreme& row) {
        return row.largest > kOutlying * report.median_row_largest;
      });
  // Without lambda only what is far from the rest can be a limit. With one most
  // rows may have been driven there.
  const double limit = weight_decay > 0           ? 1 / weight_decay
                       : report.rows_outlying > 0 ? report.largest
                                                  : 0;
  const bool tells = weight_decay > 0 || limit > 2 * report.median_row_largest;
  if (tells && report.largest >= 0.5 * limit) {
    EachRow(*tensor, [&](int64_t, const std::vector<float>& row) {
      const int64_t near =
          CountAtLimit(row, limit, weight_decay > 0 ? kNearLimit : kNearGuess);
      if (StandsAtLimit(near, static_cast<int64_t>(row.size()))) {
        ++report.rows_at_limit;
      } else if (Rms(row) > 0.5 * limit) {
        ++report.rows_heading;
      } else if (weight_decay > 0 &&
                 limit > kOutlying * report.median_row_largest) {
        report.components_at_limit += near;
      }
    });
  }
  if (weight_decay > 0 || report.rows_at_limit > 0) report.limit = limit;
  if (report.limit == 0) report.rows_heading = 0;
  extremes.resize(std::min(extremes.size(), kTopRows));
  report.top = std::move(extremes);
  return report;
}

std::string Diagnosis(const EmbeddingReport& report, double weight_decay) {
  const auto count = [](int64_t many, const char* what) {
    return std::to_string(many) + " " + what + (many == 1 ? "" : "s");
  };
  const auto rounded = [](double x) {
    return FormatNumber(std::round(x * 1e3) / 1e3);
  };
  constexpr const char* kRemedies =
      "So a sign optimizer (Tiger, Lion) leaves rows of rare tokens, and the "
      "loss hardly shows it (post 9736). What helps in training: AdamW for the "
      "embedding (optimizer.embedding = \"adamw\", the lowest loss in our "
      "study), updating only rows whose token occurs (optimizer.lazy_rows = "
      "true, at some cost in loss), or an output tied to the embedding with "
      "halves swapped (model.head = \"tied-half-swap\", not where most tokens "
      "are rare).";
  const std::string limit = rounded(report.limit);
  std::vector<std::string> found;
  if (report.rows_at_limit > 0) {
    found.push_back(
        count(report.rows_at_limit, "row") + " at +-" + limit +
        (weight_decay > 0
             ? ", which is 1/lambda of a weight decay of " +
                   FormatNumber(weight_decay)
             : ": 1/lambda of a weight decay of " +
                   FormatNumber(std::round(1e5 / report.limit) / 1e5) +
                   " if they have come to rest, of less if not"));
  }
  if (report.rows_heading > 0) {
    found.push_back(count(report.rows_heading, "row") + " above half of " +
                    (found.empty() ? "1/lambda, +-" + limit : "it"));
  }
  if (report.components_at_limit > 0) {
    found.push_back(count(report.components_at_limit, "component") +
                    (found.empty() ? "" : " of other rows") + " at +-" + limit +
                    ", which is 1/lambda");
  }
  // Of those that stand at a limit nothing new is said.
  if (report.rows_of_one_size > report.rows_at_limit + report.rows_heading) {
    found.push_back(count(report.rows_of_one_size, "row") +
                    " whose components nearly share one size, up to " +
                    rounded(report.largest_of_one_size) +
                    (weight_decay > 0
                         ? ""
                         : " (with the weight decay of the training, "
                           "--weight-decay, this says how near 1/lambda)"));
  }
  if (!found.empty()) {
    std::string text = found.front();
    for (size_t i = 1; i < found.size(); ++i) text += "; " + found[i];
    return text + ". " + kRemedies;
  }
  if (report.rows_outlying > 0) {
    return count(report.rows_outlying, "row") + " above ten times the median " +
           (weight_decay > 0 ? "row, none of them near 1/lambda."
                             : "row; with the weight decay of the training "
                               "(--weight-decay) this says whether they run "
                               "to 1/lambda.");
  }
  return "";
}

}  // namespace ropewalk::cli
