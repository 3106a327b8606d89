#include "lab/studies/rank_sample.h"

#include <algorithm>
#include <cmath>

#include "evaluate/statistics.h"

namespace ropewalk::lab::studies {
namespace {

// Below it float64 has no digits left.
constexpr double kSmallest = 1e-17;

}  // namespace

void RankSample::Add(const RankFigures& figures,
                     std::optional<double> log_det) {
  const auto n = static_cast<double>(figures.n);
  Group& group = groups_.back();
  group["effective rank"].push_back(figures.effective);
  group["rank at 1e-3"].push_back(static_cast<double>(figures.rank));
  group["rank at 1e-12"].push_back(static_cast<double>(figures.full));
  group["smallest over largest singular value"].push_back(figures.condition);
  for (size_t i = 1; !figures.spectrum.empty(); i *= 2) {
    i = std::min(i, figures.spectrum.size());
    spectra_[static_cast<int64_t>(i)].push_back(
        std::log(std::max(figures.spectrum[i - 1], kSmallest)));
    if (i == figures.spectrum.size()) break;
  }
  if (!log_det) return;
  const bool finite = std::isfinite(*log_det);
  group[kFinite].push_back(finite ? 1 : 0);
  if (finite) group["log det a row"].push_back(*log_det / n);
}

std::vector<Measurement> RankSample::Lines(const std::string& set,
                                           int64_t length) const {
  std::map<std::string, std::vector<double>> means;
  std::map<std::string, int64_t> counts;
  for (const Group& group : groups_) {
    for (const auto& [metric, values] : group) {
      double sum = 0;
      for (const double value : values) sum += value;
      means[metric].push_back(sum / static_cast<double>(values.size()));
      counts[metric] += static_cast<int64_t>(values.size());
    }
  }
  std::vector<Measurement> lines;
  for (const auto& [metric, values] : means) {
    double sum = 0;
    for (const double value : values) sum += value;
    lines.push_back({.set = set,
                     .length = length,
                     .metric = metric,
                     .value = sum / static_cast<double>(values.size()),
                     .error = evaluate::StandardError(values),
                     .count = counts[metric]});
  }
  return lines;
}

std::vector<Measurement> RankSample::Spectrum(const std::string& set) const {
  std::vector<Measurement> lines;
  for (const auto& [number, logs] : spectra_) {
    double sum = 0;
    for (const double log : logs) sum += log;
    lines.push_back({.set = set + kSpectrum,
                     .length = number,
                     .metric = "singular value",
                     .value = std::exp(sum / static_cast<double>(logs.size())),
                     .count = static_cast<int64_t>(logs.size())});
  }
  return lines;
}

}  // namespace ropewalk::lab::studies
