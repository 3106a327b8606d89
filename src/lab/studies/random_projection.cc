#include "lab/studies/random_projection.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "base/error.h"
#include "base/random.h"

namespace ropewalk::lab::studies {
namespace {

// ProjectedRows of equal width, row-major.
struct ProjectedRows {
  ProjectedRows(int64_t rows, int64_t width)
      : width(width), values(static_cast<size_t>(rows * width)) {}

  double* Row(int64_t i) { return values.data() + i * width; }
  const double* Row(int64_t i) const { return values.data() + i * width; }

  int64_t width;
  std::vector<double> values;  // [rows, width]
};

// Four sums at a time, which hide the latency of an addition.
double Dot(const double* a, const double* b, int64_t width) {
  std::array<double, 4> sums = {};
  int64_t i = 0;
  for (; i + 4 <= width; i += 4) {
    for (int64_t lane = 0; lane < 4; ++lane) {
      sums[static_cast<size_t>(lane)] += a[i + lane] * b[i + lane];
    }
  }
  for (; i < width; ++i) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void FillNormal(Rng& rng, double deviation, ProjectedRows& rows) {
  for (double& value : rows.values) value = deviation * rng.Normal();
}

// A normal vector points anywhere with equal chance.
ProjectedRows UnitVectors(Rng& rng, int64_t count, int64_t width) {
  ProjectedRows rows(count, width);
  FillNormal(rng, 1, rows);
  for (int64_t i = 0; i < count; ++i) {
    double* row = rows.Row(i);
    const double norm = std::sqrt(Dot(row, row, width));
    for (int64_t k = 0; k < width; ++k) row[k] /= norm;
  }
  return rows;
}

// [n, d] = x [n, width] times P' [width, d]
ProjectedRows Project(const ProjectedRows& x, int64_t n,
                      const ProjectedRows& matrix, int64_t d) {
  ProjectedRows out(n, d);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < d; ++k) {
      out.Row(i)[k] = Dot(x.Row(i), matrix.Row(k), x.width);
    }
  }
  return out;
}

}  // namespace

double IdealWidth(int64_t n) {
  Require(n >= 1, "projection: n must be at least 1, got " + std::to_string(n));
  return 8 * std::log(static_cast<double>(n));
}

ProjectionErrors MeasureProjection(const ProjectionOptions& options) {
  const int64_t n = options.vectors;
  const int64_t d = options.projected;
  Require(n >= 2, "projection: a pair needs at least 2 vectors, got " +
                      std::to_string(n));
  Require(options.width >= 2, "projection: width must be at least 2, got " +
                                  std::to_string(options.width));
  Require(d >= 1,
          "projection: projected must be at least 1, got " + std::to_string(d));
  Rng rng(options.seed);
  const ProjectedRows before = UnitVectors(rng, n, options.width);
  ProjectedRows matrix(d, options.width);
  FillNormal(rng, 1 / std::sqrt(static_cast<double>(d)), matrix);
  const ProjectedRows after = Project(before, n, matrix, d);
  std::vector<double> norms;  // squared
  for (int64_t i = 0; i < n; ++i) {
    norms.push_back(Dot(after.Row(i), after.Row(i), d));
  }
  ProjectionErrors errors{.vectors = n, .projected = d};
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      const double was = Dot(before.Row(i), before.Row(j), options.width);
      const double is = Dot(after.Row(i), after.Row(j), d);
      const double error = std::abs(is - was);
      const double distance = norms[static_cast<size_t>(i)] +
                              norms[static_cast<size_t>(j)] - 2 * is;
      const double distortion = distance / (2 - 2 * was) - 1;
      errors.mean_error += error;
      errors.max_error = std::max(errors.max_error, error);
      errors.mean_distortion += distortion;
      errors.max_distortion =
          std::max(errors.max_distortion, std::abs(distortion));
    }
  }
  const double pairs = static_cast<double>(n) * static_cast<double>(n - 1) / 2;
  errors.mean_error /= pairs;
  errors.mean_distortion /= pairs;
  return errors;
}

std::vector<ProjectionErrors> ProjectionTable(
    std::span<const int64_t> vectors, std::span<const int64_t> projected,
    uint64_t seed) {
  std::vector<ProjectionErrors> table;
  for (const int64_t n : vectors) {
    for (const int64_t d : projected) {
      table.push_back(
          MeasureProjection({.vectors = n, .projected = d, .seed = seed}));
    }
  }
  return table;
}

}  // namespace ropewalk::lab::studies
