#include "evaluate/singular_values.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>

#include "base/error.h"

namespace ropewalk::evaluate {
namespace {

double ColumnProduct(const double* a, const double* b, int64_t n) {
  double sums[4] = {0, 0, 0, 0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int64_t lane = 0; lane < 4; ++lane) {
      sums[lane] += a[i + lane] * b[i + lane];
    }
  }
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

std::vector<double> SingularValues(std::span<const double> matrix, int64_t rows,
                                   int64_t columns) {
  Require(columns > 0 && rows >= columns &&
              static_cast<int64_t>(matrix.size()) == rows * columns,
          "singular values: a matrix of " + std::to_string(matrix.size()) +
              " numbers is not " + std::to_string(rows) + " x " +
              std::to_string(columns) + " with as many rows as columns");
  // Columns one after another, which rotations make orthogonal.
  std::vector<double> a(matrix.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      a[static_cast<size_t>(c * rows + r)] =
          matrix[static_cast<size_t>(r * columns + c)];
    }
  }
  std::vector<double> squares(static_cast<size_t>(columns));
  constexpr int kMostSweeps = 40;
  constexpr double kOrthogonal = 1e-13;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    for (int64_t c = 0; c < columns; ++c) {
      const double* column = a.data() + c * rows;
      squares[static_cast<size_t>(c)] = ColumnProduct(column, column, rows);
    }
    bool rotated = false;
    for (int64_t p = 0; p + 1 < columns; ++p) {
      double* x = a.data() + p * rows;
      for (int64_t q = p + 1; q < columns; ++q) {
        double* y = a.data() + q * rows;
        double& xx = squares[static_cast<size_t>(p)];
        double& yy = squares[static_cast<size_t>(q)];
        const double xy = ColumnProduct(x, y, rows);
        if (std::abs(xy) <= kOrthogonal * std::sqrt(xx * yy) || xy == 0) {
          continue;
        }
        rotated = true;
        const double zeta = (yy - xx) / (2 * xy);
        const double t = (zeta >= 0 ? 1.0 : -1.0) /
                         (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
        const double cosine = 1 / std::sqrt(1 + t * t);
        const double sine = cosine * t;
        for (int64_t r = 0; r < rows; ++r) {
          const double u = x[r];
          x[r] = cosine * u - sine * y[r];
          y[r] = sine * u + cosine * y[r];
        }
        xx = std::max(0.0, xx - t * xy);
        yy = std::max(0.0, yy + t * xy);
      }
    }
    if (!rotated) break;
  }
  std::vector<double> values;
  for (int64_t c = 0; c < columns; ++c) {
    const double* column = a.data() + c * rows;
    values.push_back(std::sqrt(ColumnProduct(column, column, rows)));
  }
  std::ranges::sort(values, std::greater<>());
  return values;
}

int64_t NumericalRank(std::span<const double> values, double least) {
  if (values.empty() || !(values.front() > 0)) return 0;
  return std::ranges::count_if(
      values, [&](double value) { return value > least * values.front(); });
}

double SpectralEntropy(std::span<const double> values, size_t count) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  if (!(sum > 0)) return 0;
  double entropy = 0;
  for (size_t i = 0; i < std::min(count, values.size()); ++i) {
    const double p = values[i] / sum;
    if (p > 0) entropy -= p * std::log(p);
  }
  return entropy;
}

double EffectiveRank(std::span<const double> values) {
  return std::exp(SpectralEntropy(values, values.size()));
}

}  // namespace ropewalk::evaluate
