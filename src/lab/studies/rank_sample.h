// Figures of many attention matrices of one kind.

#ifndef ROPEWALK_LAB_STUDIES_RANK_SAMPLE_H_
#define ROPEWALK_LAB_STUDIES_RANK_SAMPLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lab/studies/attention_rank.h"
#include "lab/studies/measurements.h"

namespace ropewalk::lab::studies {

inline constexpr const char* kFinite = "share of finite log det";
inline constexpr const char* kSpectrum = ", spectrum curve";

// A group a document or trial: matrices of one text are no independent sample.
class RankSample {
 public:
  void NextGroup() { groups_.emplace_back(); }

  // `log_det` of triangular matrices alone. Keeps the singular values number 1,
  // 2, 4, ... and the last. NextGroup comes first.
  void Add(const RankFigures& figures, std::optional<double> log_det = {});

  // Means over the groups, with their standard errors.
  std::vector<Measurement> Lines(const std::string& set, int64_t length) const;

  // Geometric means of singular values over the largest, by their number.
  std::vector<Measurement> Spectrum(const std::string& set) const;

 private:
  using Group = std::map<std::string, std::vector<double>>;
  std::vector<Group> groups_;
  std::map<int64_t, std::vector<double>> spectra_;
};

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_RANK_SAMPLE_H_
