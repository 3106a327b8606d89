#include "cli/embedding_report.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.h"
#include "kernels/reference/blocks.h"

namespace ropewalk::cli {
namespace {

constexpr size_t kTopRows = 5;
// Within it a component counts as standing at the limit, and above that many
// medians a row as outlying.
constexpr double kNear = 0.01;
constexpr double kOutlying = 10;

// Reads row by row; calls `see` with the finite components of each.
template <typename See>
void EachRow(const formats::GgufTensor& tensor, const See& see) {
  const int64_t columns = tensor.Columns();
  std::vector<float> row(static_cast<size_t>(columns));
  for (int64_t r = 0; r < tensor.Rows(); ++r) {
    kernels::UnpackRow(
        *tensor.type, tensor.bytes.data() + r * RowBytes(*tensor.type, columns),
        columns, row.data());
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

// A row that was driven there has many components at the limit: its signs are
// all that is left of it. One large component alone may have been learned.
bool StandsAt(const std::vector<float>& row, double limit) {
  const auto near = std::ranges::count_if(row, [&](float x) {
    return std::abs(std::abs(static_cast<double>(x)) - limit) <= kNear * limit;
  });
  return 4 * near >= static_cast<ptrdiff_t>(row.size());
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
      if (StandsAt(row, limit)) {
        ++report.rows_at_limit;
      } else if (Rms(row) > 0.5 * limit) {
        ++report.rows_heading;
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
  const auto count = [](int64_t rows) {
    return std::to_string(rows) + (rows == 1 ? " row" : " rows");
  };
  constexpr const char* kRemedies =
      "So a sign optimizer (Tiger, Lion) leaves rows of rare tokens, and "
      "the loss does not show it (post 9736). What helps in training: update "
      "only rows whose token occurs (optimizer.lazy_rows = true), tie the "
      "output to the embedding (model.head = \"tied-half-swap\"), or AdamW for "
      "the embedding (optimizer.embedding = \"adamw\").";
  if (report.rows_at_limit > 0 || report.rows_heading > 0) {
    const double lambda = weight_decay > 0 ? weight_decay : 1 / report.limit;
    std::string text;
    if (report.rows_at_limit > 0) {
      text = count(report.rows_at_limit) + " at +-" +
             FormatNumber(std::round(report.limit * 1e3) / 1e3) +
             (weight_decay > 0 ? ", which is" : ", which would be") +
             " 1/lambda of a weight decay of " +
             FormatNumber(std::round(lambda * 1e5) / 1e5);
    }
    if (report.rows_heading > 0) {
      text += (text.empty() ? "" : "; ") + count(report.rows_heading) +
              " above half of " + (text.empty() ? "1/lambda" : "it");
    }
    return text + ". " + kRemedies;
  }
  if (report.rows_outlying > 0 && weight_decay <= 0) {
    return count(report.rows_outlying) +
           " above ten times the median row; with the weight decay of the "
           "training (--weight-decay) this says whether they run to 1/lambda.";
  }
  return "";
}

}  // namespace ropewalk::cli
