#include "evaluate/attention_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/error.h"

namespace ropewalk::evaluate {
namespace {

// Rotates heads [heads, D] of one token at a position of `table`.
void Rotate(const position::FrequencyTable& table, double position,
            const float* from, int64_t heads, int64_t D, double* to) {
  const auto pairs = static_cast<int64_t>(table.frequencies.size());
  for (int64_t m = 0; m < pairs; ++m) {
    const double angle = position * table.frequencies[static_cast<size_t>(m)];
    const double cosine = table.magnitude * std::cos(angle);
    const double sine = table.magnitude * std::sin(angle);
    for (int64_t h = 0; h < heads; ++h) {
      const double a = from[h * D + m];
      const double b = from[h * D + m + pairs];
      to[h * D + m] = a * cosine - b * sine;
      to[h * D + m + pairs] = a * sine + b * cosine;
    }
  }
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t d = 2 * pairs; d < D; ++d) to[h * D + d] = from[h * D + d];
  }
}

// Of both GCC and Clang: -O2 alone would add one product at a time.
using Pair = double __attribute__((vector_size(16)));

Pair ProductOfTwo(const double* a, const double* b) {
  Pair x;
  Pair y;
  std::memcpy(&x, a, sizeof(x));
  std::memcpy(&y, b, sizeof(y));
  return x * y;
}

// Four sums, since one would wait for each addition.
double Product(const double* a, const double* b, int64_t D) {
  Pair first = {};
  Pair second = {};
  Pair third = {};
  Pair fourth = {};
  int64_t d = 0;
  for (; d + 8 <= D; d += 8) {
    first += ProductOfTwo(a + d, b + d);
    second += ProductOfTwo(a + d + 2, b + d + 2);
    third += ProductOfTwo(a + d + 4, b + d + 4);
    fourth += ProductOfTwo(a + d + 6, b + d + 6);
  }
  const Pair sum = (first + second) + (third + fourth);
  double rest = 0;
  for (; d < D; ++d) rest += a[d] * b[d];
  return sum[0] + sum[1] + rest;
}

}  // namespace

AttentionWeights::AttentionWeights(const position::Plan& plan,
                                   const attention::HeadShape& shape,
                                   const AttentionSeen& seen,
                                   int64_t first_query, ParallelFor& threads)
    : plan_(plan), shape_(shape), seen_(seen), first_query_(first_query) {
  for (const position::FrequencyTable& table : plan.tables) {
    Require(2 * static_cast<int64_t>(table.frequencies.size()) <= shape.D,
            "attention weights: " + std::to_string(table.frequencies.size()) +
                " frequencies do not fit heads of width " +
                std::to_string(shape.D));
  }
  std::vector<const position::Band*> rotations;
  for (const position::Band& band : plan.bands) {
    const auto same = [&](const position::Band* other) {
      return other->key == band.key && other->table == band.table;
    };
    const auto found = std::ranges::find_if(rotations, same);
    rotation_of_.push_back(static_cast<size_t>(found - rotations.begin()));
    if (found == rotations.end()) rotations.push_back(&band);
  }
  const int64_t size = shape.G * shape.D;
  const int64_t n = static_cast<int64_t>(seen.keys.size()) / size;
  for (const position::Band* band : rotations) {
    std::vector<double>& keys = rotated_.emplace_back(seen.keys.size());
    const auto& table = plan.tables[static_cast<size_t>(band->table)];
    threads.Run(n, [&](int64_t j, int64_t) {
      Rotate(table, band->key(j), seen.keys.data() + j * size, shape.G, shape.D,
             keys.data() + j * size);
    });
  }
}

WeightRow AttentionWeights::RowOf(int64_t i) const {
  const int64_t H = shape_.H;
  const int64_t D = shape_.D;
  ROPEWALK_CHECK(i >= first_query_);
  const auto at = static_cast<size_t>((i - first_query_) * H * D);
  ROPEWALK_CHECK(at + static_cast<size_t>(H * D) <= seen_.queries.size());
  WeightRow row;
  row.bands.assign(static_cast<size_t>(i + 1), -1);
  // The first band that selects a pair decides it: the others go first.
  std::vector<std::vector<double>> queries(plan_.bands.size());
  for (size_t b = plan_.bands.size(); b-- > 0;) {
    const position::Band& band = plan_.bands[b];
    queries[b].resize(static_cast<size_t>(H * D));
    Rotate(plan_.tables[static_cast<size_t>(band.table)], band.query(i),
           seen_.queries.data() + at, H, D, queries[b].data());
    const position::KeyRange keys = band.selector.KeysOf(i);
    const int64_t last = std::min(keys.last, i + 1);
    for (int64_t j = std::max<int64_t>(0, keys.first); j < last; ++j) {
      row.bands[static_cast<size_t>(j)] = static_cast<int8_t>(b);
    }
  }
  for (int64_t h = 0; h < H; ++h) {
    const double factor =
        plan_.scale(i) * shape_.ScoreFactor() *
        (seen_.head_scale.empty() ? 1.0
                                  : seen_.head_scale[static_cast<size_t>(h)]);
    const int64_t g = h / shape_.Group();
    std::vector<double> scores(static_cast<size_t>(i + 1));
    double largest = -HUGE_VAL;
    for (int64_t j = 0; j <= i; ++j) {
      const int8_t b = row.bands[static_cast<size_t>(j)];
      if (b < 0) continue;
      const auto band = static_cast<size_t>(b);
      const double score =
          shape_.Capped(factor * Product(queries[band].data() + h * D,
                                         rotated_[rotation_of_[band]].data() +
                                             (j * shape_.G + g) * D,
                                         D));
      scores[static_cast<size_t>(j)] = score;
      largest = std::max(largest, score);
    }
    const double own = scores[static_cast<size_t>(i)];
    // With x = score - largest and Z = sum e^x, entropy is ln Z - sum e^x x /
    // Z: one logarithm a row, not one a key.
    double sum = 0;
    double weighted = 0;
    for (size_t j = 0; j < scores.size(); ++j) {
      const double x = scores[j] - largest;
      scores[j] = row.bands[j] < 0 ? 0 : std::exp(x);
      sum += scores[j];
      if (scores[j] > 0) weighted += scores[j] * x;
    }
    if (sum > 0) {
      for (double& weight : scores) weight /= sum;
    }
    row.entropies.push_back(sum > 0 ? std::log(sum) - weighted / sum : 0);
    row.log_own.push_back(row.bands.back() < 0 ? -HUGE_VAL
                                               : own - largest - std::log(sum));
    row.weights.push_back(std::move(scores));
  }
  return row;
}

std::vector<HeadFigures> FiguresOf(const WeightRow& row, int64_t source) {
  std::vector<HeadFigures> all;
  for (size_t h = 0; h < row.weights.size(); ++h) {
    const std::vector<double>& weights = row.weights[h];
    HeadFigures figures{.entropy = row.entropies[h]};
    for (size_t j = 0; j < weights.size(); ++j) {
      const double p = weights[j];
      double& part = j < static_cast<size_t>(kSinks)    ? figures.sinks
                     : row.bands[j] == row.bands.back() ? figures.near
                                                        : figures.far;
      part += p;
    }
    if (source >= 0 && source < static_cast<int64_t>(weights.size())) {
      figures.source = weights[static_cast<size_t>(source)];
    }
    all.push_back(figures);
  }
  return all;
}

}  // namespace ropewalk::evaluate
