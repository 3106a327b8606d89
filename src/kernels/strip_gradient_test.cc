// The backward pass of attention on strips against its formula in float64, on
// every instruction set.

#include "kernels/cpu/strip_gradient.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "base/random.h"
#include "kernels/cpu/isa.h"
#include "kernels/kernels_for_test.h"

namespace ropewalk::kernels {
namespace {

class StripGradientTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, StripGradientTest,
                         testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

constexpr int64_t kKeys = 48;  // of the tile
constexpr int64_t kBegin = 8;  // the run in it
constexpr int64_t kEnd = 40;
constexpr int32_t kOffset = 100;
constexpr int64_t kPieces = 2;

// Lane l sees keys [20 + l % 3, 37 - l % 5) of the tile through piece 0, and
// others of [l % 11, 30) through piece 1. Lane 1 sees no key.
struct Problem {
  int64_t D, Dv;
  int64_t lanes = StripLanes();
  AlignedBuffer<float> queries{kPieces * D * lanes};
  AlignedBuffer<float> keys{kPieces * kKeys * D};  // panels
  AlignedBuffer<float> values{kKeys * Dv};         // panels
  AlignedBuffer<float> d_output{Dv * lanes};
  AlignedBuffer<float> lse{lanes}, delta{lanes};
  AlignedBuffer<float> weights{kKeys * lanes};
  AlignedBuffer<float> d_scores{kPieces * kKeys * lanes};
  AlignedBuffer<int32_t> first{kPieces * lanes}, last{kPieces * lanes};

  Problem(int64_t width, int64_t value_width) : D(width), Dv(value_width) {
    Rng rng(30);
    for (auto* x : {&queries, &keys, &values, &d_output, &lse, &delta}) {
      for (int64_t at = 0; at < x->size(); ++at) {
        (*x)[at] = static_cast<float>(rng.Normal());
      }
    }
    for (int32_t l = 0; l < lanes; ++l) {
      const bool blind = l == 1;
      first[l] = kOffset + 20 + l % 3;
      last[l] = blind ? 0 : kOffset + 37 - l % 5;
      first[lanes + l] = kOffset + l % 11;
      last[lanes + l] = blind ? 0 : kOffset + 30;
    }
    lse[1] = -std::numeric_limits<float>::infinity();
  }

  static int64_t At(int64_t key, int64_t width, int64_t column) {
    return (key / kKeyPanel * width + column) * kKeyPanel + key % kKeyPanel;
  }

  // The piece that decides key j of the tile for a lane.
  std::optional<int64_t> PieceOf(int64_t j, int64_t l, bool whole) const {
    if (whole) return 0;
    for (int64_t p = 0; p < kPieces; ++p) {
      const int64_t at = p * lanes + l;
      if (first[at] <= j + kOffset && j + kOffset < last[at]) return p;
    }
    return {};
  }

  void Run(bool whole) {
    const StripPiece pieces[] = {
        {queries.data(), keys.data(), first.data(), last.data()},
        {queries.data() + D * lanes, keys.data() + kKeys * D,
         first.data() + lanes, last.data() + lanes}};
    StripGradient({.pieces = pieces,
                   .piece_count = whole ? 1 : kPieces,
                   .whole = whole,
                   .begin = kBegin,
                   .end = kEnd,
                   .offset = kOffset,
                   .D = D,
                   .Dv = Dv,
                   .values = values.data(),
                   .d_output = d_output.data(),
                   .lse = lse.data(),
                   .delta = delta.data(),
                   .weights = weights.data(),
                   .d_scores = d_scores.data(),
                   .d_scores_step = kKeys * lanes});
  }
};

// The sum of products of floats, and the sum of their magnitudes.
struct Sum {
  double value = 0;
  double size = 0;
  void Add(double a, double b) {
    value += a * b;
    size += std::abs(a * b);
  }
};

TEST_P(StripGradientTest, MatchesFloat64) {
  for (const bool whole : {false, true}) {
    for (const auto& [D, Dv] : {std::pair<int64_t, int64_t>{8, 8}, {20, 13}}) {
      Problem p(D, Dv);
      if (whole) p.lse[1] = 0;
      p.Run(whole);
      for (int64_t j = kBegin; j < kEnd; ++j) {
        for (int64_t l = 0; l < p.lanes; ++l) {
          const int64_t at = (j - kBegin) * p.lanes + l;
          const std::optional<int64_t> piece = p.PieceOf(j, l, whole);
          for (int64_t other = 0; other < kPieces && !whole; ++other) {
            if (piece == other) continue;
            ASSERT_EQ(p.d_scores[other * kKeys * p.lanes + at], 0);
          }
          if (!piece) {
            ASSERT_EQ(p.weights[at], 0);
            continue;
          }
          Sum score;
          score.Add(-1, p.lse[l]);
          for (int64_t d = 0; d < D; ++d) {
            score.Add(p.queries[(*piece * D + d) * p.lanes + l],
                      p.keys[*piece * kKeys * D + Problem::At(j, D, d)]);
          }
          Sum d_weight;
          d_weight.Add(-1, p.delta[l]);
          for (int64_t d = 0; d < Dv; ++d) {
            d_weight.Add(p.d_output[d * p.lanes + l],
                         p.values[Problem::At(j, Dv, d)]);
          }
          // Sums of D + 1 and Dv + 1 fused products, an exponential within
          // 4 times 2^-24, and one more product.
          const double weight = std::exp2(score.value);
          const double error =
              (static_cast<double>(D + 1) * score.size + 4) * 0x1p-24;
          ASSERT_NEAR(p.weights[at], weight, weight * error);
          ASSERT_NEAR(p.d_scores[*piece * kKeys * p.lanes + at],
                      weight * d_weight.value,
                      weight * d_weight.size *
                          (error + static_cast<double>(Dv + 2) * 0x1p-24));
        }
      }
    }
  }
}

TEST_P(StripGradientTest, GradientsOfHiddenPairsAreZeroEvenForNan) {
  Problem p(8, 8);
  const float nan = std::nanf("");
  for (const int64_t d : {0, 5}) {  // no lane sees key 39
    p.keys[Problem::At(39, 8, d)] = nan;
    p.keys[kKeys * 8 + Problem::At(39, 8, d)] = nan;
    p.values[Problem::At(39, 8, d)] = nan;
  }
  p.Run(false);
  for (int64_t l = 0; l < p.lanes; ++l) {
    const int64_t at = (39 - kBegin) * p.lanes + l;
    EXPECT_EQ(p.weights[at], 0);
    EXPECT_EQ(p.d_scores[at], 0);
    EXPECT_EQ(p.d_scores[kKeys * p.lanes + at], 0);
  }
}

TEST_P(StripGradientTest, GradientOfQueriesIsASumOverKeys) {
  for (const int64_t D : {8, 20, 33}) {
    Problem p(D, 1);
    Rng rng(31);
    AlignedBuffer<float> got(D * p.lanes);
    for (int64_t at = 0; at < p.d_scores.size(); ++at) {
      p.d_scores[at] = static_cast<float>(rng.Normal());
    }
    for (int64_t at = 0; at < got.size(); ++at) got[at] = 1;
    StripQueries({.keys = p.keys.data(),
                  .begin = kBegin,
                  .end = kEnd,
                  .D = D,
                  .d_scores = p.d_scores.data(),
                  .d_queries = got.data()});
    for (int64_t d = 0; d < D; ++d) {
      for (int64_t l = 0; l < p.lanes; ++l) {
        Sum sum;
        sum.Add(1, 1);
        for (int64_t j = kBegin; j < kEnd; ++j) {
          sum.Add(p.keys[Problem::At(j, D, d)],
                  p.d_scores[(j - kBegin) * p.lanes + l]);
        }
        ASSERT_NEAR(got[d * p.lanes + l], sum.value,
                    (kEnd - kBegin + 1) * 0x1p-24 * sum.size);
      }
    }
  }
}

TEST_P(StripGradientTest, GradientOfKeysIsASumOverQueries) {
  Rng rng(32);
  for (const int64_t columns : {8, 64, 100}) {
    const int64_t lanes = StripLanes();
    for (const int64_t depth : {int64_t{1}, lanes}) {
      for (const int64_t keys : {1, 8, 20}) {
        const auto scores = Normals(rng, keys * lanes);
        const auto rows = Normals(rng, lanes * (columns + 1));
        std::vector<float> got(static_cast<size_t>(keys * (columns + 2)), 1);
        StripKeys({.d_scores = scores.data(),
                   .keys = keys,
                   .rows = rows.data(),
                   .rows_stride = columns + 1,
                   .depth = depth,
                   .columns = columns,
                   .d_keys = got.data(),
                   .d_keys_stride = columns + 2});
        for (int64_t j = 0; j < keys; ++j) {
          for (int64_t c = 0; c < columns + 2; ++c) {
            Sum sum;
            sum.Add(1, 1);
            for (int64_t l = 0; l < depth && c < columns; ++l) {
              sum.Add(scores[static_cast<size_t>(j * lanes + l)],
                      rows[static_cast<size_t>(l * (columns + 1) + c)]);
            }
            ASSERT_NEAR(got[static_cast<size_t>(j * (columns + 2) + c)],
                        sum.value,
                        static_cast<double>(depth + 1) * 0x1p-24 * sum.size);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::kernels
