#include "evaluate/reach.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>

#include "evaluate/statistics.h"

namespace ropewalk::evaluate {
namespace {

constexpr double kAllowed = 0.02;  // nats, whatever the standard errors

std::string Nats(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", value);
  return text.data();
}

// The standard error of the difference of two losses: by document where both
// have read the same ones, else as if they were independent.
double ErrorBetween(const MeasureRow& a, const MeasureRow& b) {
  const size_t count = a.document_losses.size();
  if (count < 3 || b.document_losses.size() != count) {
    return std::hypot(a.loss_stderr, b.loss_stderr);
  }
  std::vector<double> differences;
  for (size_t i = 0; i < count; ++i) {
    differences.push_back(a.document_losses[i] - b.document_losses[i]);
  }
  return StandardError(differences);
}

// "8N (4096 tokens)", "2.5N (...)".
std::string InTrainedLengths(int64_t length, int64_t N) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g",
                static_cast<double>(length) / static_cast<double>(N));
  return std::string(text.data()) + "N (" + std::to_string(length) + " tokens)";
}

}  // namespace

std::vector<Reach> Reaches(const MeasureResult& result,
                           const std::string& set) {
  // By position in the order of the rows, each by length.
  std::vector<std::string> positions;
  std::map<std::string, std::map<int64_t, const MeasureRow*>> rows;
  for (const MeasureRow& row : result.rows) {
    if (row.set != set) continue;
    if (!rows.contains(row.position)) positions.push_back(row.position);
    rows[row.position][row.length] = &row;
  }
  std::vector<Reach> reaches;
  for (const std::string& position : positions) {
    const MeasureRow* within = nullptr;
    std::vector<const MeasureRow*> past;
    for (const auto& [length, row] : rows[position]) {
      if (length <= result.train_length) {
        if (std::isfinite(row->loss)) within = row;
      } else {
        past.push_back(row);
      }
    }
    if (within == nullptr || past.empty()) continue;
    Reach reach{.position = position, .trained_loss = within->loss};
    for (const MeasureRow* row : past) {
      const double allowed =
          std::max(kAllowed, 2 * ErrorBetween(*row, *within));
      if (!(row->loss <= within->loss + allowed)) break;
      reach.length = row->length;
      reach.loss = row->loss;
      reach.loss_stderr = row->loss_stderr;
    }
    reaches.push_back(reach);
  }
  std::ranges::stable_sort(reaches, [](const Reach& a, const Reach& b) {
    return a.length != b.length ? a.length > b.length : a.loss < b.loss;
  });
  return reaches;
}

std::string ReachInWords(const MeasureResult& result, const std::string& set) {
  const std::vector<Reach> reaches = Reaches(result, set);
  const std::string N = std::to_string(result.train_length);
  if (reaches.empty()) {
    return "No scheme was measured both within the trained length of " + N +
           " tokens and past it, so nothing can be said of how far one holds";
  }
  const Reach& best = reaches.front();
  if (best.length == 0) {
    return "No scheme measured here holds past the trained length of " + N +
           " tokens";
  }
  std::string text = best.position + " holds to " +
                     InTrainedLengths(best.length, result.train_length) + ": " +
                     Nats(best.loss) + " (s.e. " + Nats(best.loss_stderr) +
                     ") nats a token there, " + Nats(best.trained_loss) +
                     " within the trained length";
  std::string as_far;
  for (const Reach& reach : reaches) {
    if (&reach == &best || reach.length != best.length) continue;
    as_far += (as_far.empty() ? "" : ", ") + reach.position + " (" +
              Nats(reach.loss) + ")";
  }
  if (!as_far.empty()) text += "; as far: " + as_far;
  return text + "; use --position " + best.position;
}

}  // namespace ropewalk::evaluate
