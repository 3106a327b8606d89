// Strips against a float64 softmax, on every instruction set. Scores rise from
// key to key, so that tops rise in the middle of a call.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/aligned.h"
#include "base/random.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/strip.h"
#include "kernels/kernels_for_test.h"
#include "kernels/reference/reference.h"

namespace ropewalk::kernels {
namespace {

class StripSoftmaxTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, StripSoftmaxTest,
                         testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

constexpr int64_t kKeys = 32;  // of a tile
constexpr int64_t D = 4;
constexpr int64_t kWidth = 11;

// One strip and two tiles of keys. Lane l sees keys [l % 5, last) through the
// first piece and the keys before through the second.
struct Strip {
  int64_t lanes = StripLanes();
  AlignedBuffer<float> queries{2 * D * lanes};  // of each piece
  AlignedBuffer<float> keys{2 * kKeys * D};     // panels
  AlignedBuffer<float> values{2 * kKeys * kWidth};
  AlignedBuffer<float> weights{kKeys * lanes};
  AlignedBuffer<float> top{lanes}, limit{lanes}, part{lanes};
  AlignedBuffer<double> sum{lanes};
  AlignedBuffer<float> output{kWidth * lanes};
  AlignedBuffer<int32_t> first{2 * lanes}, last{2 * lanes};

  Strip(Rng& rng, float rise) {
    for (int64_t at = 0; at < queries.size(); ++at) {
      queries[at] = static_cast<float>(rng.Normal());
    }
    for (int64_t l = 0; l < lanes; ++l) {  // component 0 makes scores rise
      for (const int64_t piece : {0, 1}) {
        queries[piece * D * lanes + l] = l % 3 == 0 ? rise : -rise;
        first[piece * lanes + l] = piece == 0 ? static_cast<int32_t>(l % 5) : 0;
        last[piece * lanes + l] = static_cast<int32_t>(2 * kKeys - 1 - l % 7);
      }
    }
    for (int64_t j = 0; j < 2 * kKeys; ++j) {
      for (int64_t d = 0; d < D; ++d) {
        keys[KeyAt(j, d)] =
            d == 0 ? static_cast<float>(j) : static_cast<float>(rng.Normal());
      }
      for (int64_t c = 0; c < kWidth; ++c) {
        values[j * kWidth + c] = static_cast<float>(rng.Normal());
      }
    }
  }

  static int64_t KeyAt(int64_t j, int64_t d) {
    return (j / kKeyPanel * D + d) * kKeyPanel + j % kKeyPanel;
  }
  StripState State() {
    return {top.data(), limit.data(),  part.data(),
            sum.data(), output.data(), kWidth};
  }

  void Run(float softcap = 0) {
    ClearStrip(State());
    for (const int64_t tile : {0, 1}) {
      const float* tile_keys = keys.data() + tile * kKeys * D;
      const StripPiece pieces[] = {
          {queries.data(), tile_keys, first.data(), last.data()},
          {queries.data() + D * lanes, tile_keys, first.data() + lanes,
           last.data() + lanes}};
      StripScores({.pieces = pieces,
                   .piece_count = 2,
                   .begin = 0,
                   .end = kKeys,
                   .offset = static_cast<int32_t>(tile * kKeys),
                   .D = D,
                   .softcap = softcap,
                   .weights = weights.data(),
                   .state = State()});
      StripValues({.values = values.data() + tile * kKeys * kWidth,
                   .stride = kWidth,
                   .weights = weights.data(),
                   .keys = kKeys,
                   .columns = kWidth,
                   .output = output.data()});
      FoldStrip(State());
    }
  }
};

void ExpectMatchesFloat64(Rng& rng, float softcap) {
  for (const float rise : {0.0f, 0.4f, 3.0f, 40.0f}) {
    Strip strip(rng, rise);
    strip.Run(softcap);
    for (int64_t l = 0; l < strip.lanes; ++l) {
      std::vector<double> scores(static_cast<size_t>(2 * kKeys),
                                 -std::numeric_limits<double>::infinity());
      double size = 0;  // of the largest score's terms
      for (int64_t j = 0; j < 2 * kKeys; ++j) {
        if (j >= strip.last[l]) continue;
        const int64_t piece = j >= strip.first[l] ? 0 : 1;
        double score = 0;
        double terms = 0;
        for (int64_t d = 0; d < D; ++d) {
          const double product =
              static_cast<double>(
                  strip.queries[(piece * D + d) * strip.lanes + l]) *
              strip.keys[Strip::KeyAt(j, d)];
          score += product;
          terms += std::abs(product);
        }
        if (softcap > 0) score = softcap * std::tanh(score / softcap);
        scores[static_cast<size_t>(j)] = score * std::log(2.0);
        size = std::max(size, terms);
      }
      const double most = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (const double score : scores) sum += std::exp(score - most);
      std::vector<double> weights(scores.size());
      reference::Softmax(scores.data(), 2 * kKeys, weights.data());
      // A score is D + 2 rounded sums of at most twice its terms, including the
      // top. Its error times ln 2 is the relative error of a weight, which also
      // enters through the sum. Each rise of a top costs an exponential and a
      // product, at most 6 times 2^-24; tops rise by more than 8, at most once
      // for each block. A cap has a relative error of 5e-7, and so may a top.
      const double error =
          (2 * (D + 2) * 2 * size + 6 * 2 * kKeys / 4 + 2 * kKeys + 16) *
              0x1p-24 +
          2 * 5e-7 * softcap;
      ASSERT_NEAR((strip.top[l] + std::log2(strip.sum[l])) * std::log(2.0),
                  most + std::log(sum), error)
          << rise << " lane " << l;
      for (int64_t c = 0; c < kWidth; ++c) {
        double want = 0;
        double absolute = 0;
        for (int64_t j = 0; j < 2 * kKeys; ++j) {
          const double term =
              weights[static_cast<size_t>(j)] * strip.values[j * kWidth + c];
          want += term;
          absolute += std::abs(term);
        }
        ASSERT_NEAR(strip.output[c * strip.lanes + l] / strip.sum[l], want,
                    error * (absolute + 0x1p-20))
            << rise << " lane " << l;
      }
    }
  }
}

TEST_P(StripSoftmaxTest, MatchesFloat64WhileTopsRise) {
  Rng rng(20);
  ExpectMatchesFloat64(rng, 0);
}

TEST_P(StripSoftmaxTest, CappedScoresMatchFloat64WhileTopsRise) {
  Rng rng(22);
  for (const float softcap : {3.0f, 30.0f, 200.0f}) {
    ExpectMatchesFloat64(rng, softcap);
  }
}

TEST_P(StripSoftmaxTest, ATopThatRisesDoesNotChangeOtherLanes) {
  Rng one(21);
  Rng same(21);
  Strip before(one, 0.4f);
  Strip after(same, 0.4f);
  for (int64_t piece : {0, 1}) after.queries[piece * D * after.lanes] = 30;
  before.Run();
  after.Run();
  for (int64_t l = 1; l < before.lanes; ++l) {
    ASSERT_EQ(before.sum[l], after.sum[l]) << l;
    for (int64_t c = 0; c < kWidth; ++c) {
      const int64_t at = c * before.lanes + l;
      ASSERT_EQ(before.output[at], after.output[at]) << l;
    }
  }
}

}  // namespace
}  // namespace ropewalk::kernels
