// Strips in integers against float64, on every instruction set that has them:
// two tiles, two pieces, limits for each lane, and tops that rise.

#include "kernels/cpu/strip_ints.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/aligned.h"
#include "kernels/cpu/rows.h"
#include "kernels/kernels_for_test.h"
#include "kernels/reference/strip_ints.h"

namespace ropewalk::kernels {
namespace {

constexpr DType kTypes[] = {DType::kF16, DType::kBf16, DType::kQ8_0};
constexpr int64_t kKeys = 32;  // of a tile
constexpr int64_t kTiles = 2;

class StripIntsTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, StripIntsTest,
                         testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

// Lane l sees keys [l % 5, last) through the first piece and the keys before
// through the second.
struct Strip {
  DType type;
  int64_t D;
  int64_t width;
  int64_t lanes = StripLanes();
  int64_t words = IntWords(type, D);
  int64_t blocks = QuantBlocks(D);
  std::vector<float> queries, keys, values;  // [2, D, lanes], [keys, ...]
  AlignedBuffer<uint8_t> panels{kTiles * kKeys / kKeyPanel *
                                KeyPanelBytes(type, D)};
  AlignedBuffer<int32_t> query_words{2 * words * lanes};
  AlignedBuffer<float> query_scales{2 * blocks * lanes};
  AlignedBuffer<int32_t> key_words{words * kKeys}, starts{blocks * kKeys};
  AlignedBuffer<float> key_scales{blocks * kKeys};
  AlignedBuffer<int32_t> value_words{kKeys / 2 * width};
  AlignedBuffer<float> value_scales{kKeys};
  AlignedBuffer<float> weights{kKeys * lanes};
  AlignedBuffer<int32_t> weight_words{kKeys / 2 * lanes};
  AlignedBuffer<float> top{lanes}, limit{lanes}, part{lanes}, scaled{lanes};
  AlignedBuffer<double> sum{lanes};
  AlignedBuffer<float> output{width * lanes};
  AlignedBuffer<int32_t> first{2 * lanes}, last{2 * lanes};

  Strip(Rng& rng, DType type, int64_t D, int64_t width, float rise)
      : type(type), D(D), width(width) {
    queries = Normals(rng, 2 * D * lanes);
    keys = Normals(rng, kTiles * kKeys * D);
    values = Normals(rng, kTiles * kKeys * width);
    for (int64_t l = 0; l < lanes; ++l) {  // component 0 makes scores rise
      for (const int64_t piece : {0, 1}) {
        queries[static_cast<size_t>(piece * D * lanes + l)] =
            l % 3 == 0 ? rise : -rise;
        first[piece * lanes + l] = piece == 0 ? static_cast<int32_t>(l % 5) : 0;
        last[piece * lanes + l] =
            static_cast<int32_t>(kTiles * kKeys - 1 - l % 7);
      }
    }
    for (int64_t j = 0; j < kTiles * kKeys; ++j) {
      float* key = keys.data() + j * D;
      key[0] = static_cast<float>(j);
      PackKey(type, key, D, Panel(j), j % kKeyPanel);
      UnpackKey(type, Panel(j), D, j % kKeyPanel, key);
    }
  }
  uint8_t* Panel(int64_t key) {
    return panels.data() + key / kKeyPanel * KeyPanelBytes(type, D);
  }
  float& Query(int64_t piece, int64_t d, int64_t lane) {
    return queries[static_cast<size_t>((piece * D + d) * lanes + lane)];
  }
  StripState State() {
    return {top.data(),    limit.data(), part.data(),  sum.data(),
            output.data(), width,        scaled.data()};
  }

  // `count` keys at a time are scored, and weighed when all have been.
  void Run(float softcap = 0, bool whole = false, int64_t count = kKeys) {
    ClearStrip(State());
    for (const int64_t piece : {0, 1}) {
      PackIntQueries(type, queries.data() + piece * D * lanes, D,
                     query_words.data() + piece * words * lanes,
                     query_scales.data() + piece * blocks * lanes);
    }
    const IntKeys int_keys{key_words.data(), key_scales.data(), starts.data()};
    for (int64_t tile = 0; tile < kTiles; ++tile) {
      PackIntKeys(type, Panel(tile * kKeys), kKeys / kKeyPanel, D, int_keys);
      PackIntValues(values.data() + tile * kKeys * width, kKeys, kKeys, width,
                    value_words.data(), value_scales.data());
      const IntPiece pieces[] = {
          {query_words.data(), query_scales.data(), int_keys, first.data(),
           last.data()},
          {query_words.data() + words * lanes,
           query_scales.data() + blocks * lanes, int_keys, first.data() + lanes,
           last.data() + lanes}};
      for (int64_t begin = 0; begin < kKeys; begin += count) {
        IntScores({.type = type,
                   .pieces = pieces,
                   .piece_count = whole ? 1 : 2,
                   .whole = whole,
                   .begin = begin,
                   .end = begin + count,
                   .offset = static_cast<int32_t>(tile * kKeys),
                   .D = D,
                   .softcap = softcap,
                   .value_scales = value_scales.data(),
                   .weights = weights.data(),
                   .state = State()});
      }
      PackIntWeights(weights.data(), kKeys, State(), weight_words.data());
      IntValues({.values = value_words.data(),
                 .weights = weight_words.data(),
                 .keys = kKeys,
                 .columns = width,
                 .state = State()});
      FoldStrip(State());
    }
  }
};

void ExpectMatchesFloat64(Strip& strip, float softcap) {
  strip.Run(softcap);
  const auto total = static_cast<size_t>(kTiles * kKeys);
  for (int64_t l = 0; l < strip.lanes; ++l) {
    std::vector<double> queries[2];
    for (const int64_t piece : {0, 1}) {
      std::vector<float> query;
      for (int64_t d = 0; d < strip.D; ++d) {
        query.push_back(strip.Query(piece, d, l));
      }
      queries[piece] = reference::IntQuery(strip.type, query.data(), strip.D);
    }
    std::vector<double> scores(total, -INFINITY);
    double size = 0;  // of the largest score's terms
    for (int64_t j = 0; j < strip.last[l]; ++j) {
      const auto& query = queries[j >= strip.first[l] ? 0 : 1];
      const auto key = reference::IntKey(
          strip.type, strip.keys.data() + j * strip.D, strip.D);
      double score = 0;
      double terms = 0;
      for (size_t d = 0; d < key.size(); ++d) {
        score += query[d] * key[d];
        terms += std::abs(query[d] * key[d]);
      }
      if (softcap > 0) score = softcap * std::tanh(score / softcap);
      scores[static_cast<size_t>(j)] = score;
      size = std::max(size, terms);
    }
    const double most = *std::max_element(scores.begin(), scores.end());
    // As in strip_softmax_test.cc: a score is at most 4 roundings for each
    // block and one with the top, of at most twice its terms; its error times
    // ln 2 is that of a weight, which enters through the sum too.
    const double error =
        (2 * (4 * static_cast<double>(strip.blocks) + 2) * 2 * size +
         6 * static_cast<double>(total) / 4 + 2 * static_cast<double>(total) +
         20) *
            0x1p-24 +
        2 * 5e-7 * softcap;
    std::vector<double> want(static_cast<size_t>(strip.width));
    std::vector<double> slack(want.size());
    double sum = 0;
    for (int64_t tile = 0; tile < kTiles; ++tile) {
      double scaled = 0;  // the sum that the tile's weights are rounded to
      std::vector<double> largest(want.size());
      for (int64_t j = tile * kKeys; j < (tile + 1) * kKeys; ++j) {
        const float* stored = strip.values.data() + j * strip.width;
        const auto value = reference::IntValue(stored, strip.width);
        double scale = 0;
        for (int64_t c = 0; c < strip.width; ++c) {
          scale =
              std::max(scale, std::abs(static_cast<double>(stored[c])) / 32767);
        }
        const double weight = std::exp2(scores[static_cast<size_t>(j)] - most);
        sum += weight;
        scaled += weight * scale;
        for (size_t c = 0; c < want.size(); ++c) {
          want[c] += weight * value[c];
          slack[c] += error * weight * std::abs(value[c]);
          largest[c] += std::abs(value[c]) / scale;  // in steps
        }
      }
      // Half a step of each weight, times the value in its steps.
      for (size_t c = 0; c < want.size(); ++c) {
        slack[c] += 0.51 * scaled / 32767 * largest[c];
      }
    }
    ASSERT_NEAR(strip.top[l] + std::log2(strip.sum[l]), most + std::log2(sum),
                error / std::log(2.0))
        << l;
    for (size_t c = 0; c < want.size(); ++c) {
      ASSERT_NEAR(strip.output[static_cast<int64_t>(c) * strip.lanes + l] /
                      strip.sum[l],
                  want[c] / sum, slack[c] / sum + 0x1p-80)
          << "lane " << l << " column " << c;
    }
  }
}

TEST_P(StripIntsTest, MatchesFloat64WhileTopsRise) {
  Rng rng(30);
  for (const DType type : kTypes) {
    if (!HasStripInts(type)) continue;
    for (const int64_t D : kOddWidths) {
      for (const float rise : {0.0f, 0.4f, 3.0f}) {
        SCOPED_TRACE(testing::Message()
                     << InfoOf(type).name << " " << D << " rise " << rise);
        Strip strip(rng, type, D, D % 3 == 0 ? 7 : D, rise);
        ExpectMatchesFloat64(strip, 0);
        if (HasFailure()) return;
      }
    }
  }
}

TEST_P(StripIntsTest, CappedScoresMatchFloat64) {
  Rng rng(31);
  for (const DType type : kTypes) {
    if (!HasStripInts(type)) continue;
    for (const float softcap : {3.0f, 200.0f}) {
      Strip strip(rng, type, 33, 16, 0.4f);
      ExpectMatchesFloat64(strip, softcap);
    }
  }
}

// The largest integers that may occur: no sum may overflow.
TEST_P(StripIntsTest, TheLargestIntegersDoNotOverflow) {
  Rng rng(32);
  for (const DType type : kTypes) {
    if (!HasStripInts(type)) continue;
    for (const float sign : {1.0f, -1.0f}) {
      Strip strip(rng, type, 128, 128, 0);
      std::fill(strip.queries.begin(), strip.queries.end(), 0.01f);
      std::fill(strip.values.begin(), strip.values.end(), sign);
      for (int64_t j = 0; j < kTiles * kKeys; ++j) {
        float* key = strip.keys.data() + j * 128;
        std::fill_n(key, 128, sign);
        PackKey(type, key, 128, strip.Panel(j), j % kKeyPanel);
        UnpackKey(type, strip.Panel(j), 128, j % kKeyPanel, key);
      }
      ExpectMatchesFloat64(strip, 0);
    }
  }
}

TEST_P(StripIntsTest, WholeBlocksAndPartsHaveTheSameBits) {
  Rng rng(33);
  for (const DType type : kTypes) {
    if (!HasStripInts(type)) continue;
    Strip strip(rng, type, 80, 9, 0.4f);
    std::fill_n(strip.first.data(), strip.lanes, 0);
    std::fill_n(strip.last.data(), strip.lanes, 1 << 20);
    strip.Run();
    const std::vector<float> mixed(strip.output.data(),
                                   strip.output.data() + strip.output.size());
    for (const auto& [whole, count] : std::vector<std::pair<bool, int64_t>>{
             {true, kKeys}, {true, 8}, {false, 16}}) {
      strip.Run(0, whole, count);
      for (int64_t at = 0; at < strip.output.size(); ++at) {
        ASSERT_EQ(strip.output[at], mixed[static_cast<size_t>(at)]);
      }
    }
  }
}

TEST_P(StripIntsTest, NanSpoilsOnlyItsLane) {
  for (const DType type : kTypes) {
    if (!HasStripInts(type)) continue;
    for (const float bad : {std::nanf(""), -INFINITY}) {
      for (const int64_t lane : {int64_t{0}, StripLanes() - 1}) {
        Rng rng(34);
        Rng same(34);
        Strip strip(rng, type, 40, 8, 0.4f);
        Strip good(same, type, 40, 8, 0.4f);
        strip.Query(0, 35, lane) = bad;
        strip.Run();
        good.Run();
        for (int64_t l = 0; l < strip.lanes; ++l) {
          if (l == lane) {
            ASSERT_TRUE(std::isnan(strip.output[l]));
          } else {
            ASSERT_EQ(strip.output[l], good.output[l]) << l;
          }
        }
      }
    }
  }
}

// Rows from `rows` on are not read.
TEST_P(StripIntsTest, ValuesBehindTheLastRowAreZero) {
  if (!HasStripInts(DType::kQ8_0)) return;
  for (const int64_t rows : {0, 1, 5, 8}) {
    std::vector<float> values(static_cast<size_t>(rows * 3), -2.0f);
    std::vector<int32_t> words(4 * 3, 77);
    std::vector<float> scales(8, 77);
    PackIntValues(values.data(), rows, 8, 3, words.data(), scales.data());
    for (int64_t key = 0; key < 8; ++key) {
      const bool filled = key < rows;
      EXPECT_EQ(scales[static_cast<size_t>(key)], filled ? 2.0f / 32767 : 0.0f);
      for (int64_t c = 0; c < 3; ++c) {
        const int32_t word = words[static_cast<size_t>(key / 2 * 3 + c)];
        const auto half =
            static_cast<int16_t>(key % 2 == 0 ? word & 0xffff : word >> 16);
        EXPECT_EQ(half, filled ? -32767 : 0) << key;
      }
    }
  }
}

// Decoding reads the same rounded queries.
TEST_P(StripIntsTest, QueriesAreRoundedAsInDecoding) {
  if (!HasStripInts(DType::kQ8_0)) return;
  Rng rng(35);
  const int64_t lanes = StripLanes();
  for (const int64_t D : kOddWidths) {
    for (const float size : {1.0f, 1e-20f, 1e-31f, 1e20f}) {
      const int64_t words = IntWords(DType::kQ8_0, D);
      std::vector<float> rows = Normals(rng, lanes * D);
      for (float& x : rows) x *= size;
      AlignedBuffer<float> queries(D * lanes);
      for (int64_t l = 0; l < lanes; ++l) {
        for (int64_t d = 0; d < D; ++d) {
          queries[d * lanes + l] = rows[static_cast<size_t>(l * D + d)];
        }
      }
      AlignedBuffer<int32_t> packed(words * lanes);
      AlignedBuffer<float> scales(QuantBlocks(D) * lanes);
      PackIntQueries(DType::kQ8_0, queries.data(), D, packed.data(),
                     scales.data());
      std::vector<int16_t> quants(
          static_cast<size_t>(lanes * 2 * QuantPairs(D)));
      std::vector<float> row_scales(
          static_cast<size_t>(lanes * QuantBlocks(D)));
      QuantiseQueries(rows.data(), lanes, D, quants.data(), row_scales.data());
      RoundQueries(rows.data(), lanes, D);
      for (int64_t l = 0; l < lanes; ++l) {
        for (int64_t d = 0; d < D; ++d) {
          const int32_t word = packed[d / 4 * lanes + l];
          const int got = (word >> (d % 4 * 8) & 0xff) - 128;
          const int64_t b = d / kQuantBlock;
          const float scale = scales[b * lanes + l];
          ASSERT_EQ(got,
                    quants[static_cast<size_t>(l * 2 * QuantPairs(D) + d)]);
          ASSERT_EQ(scale,
                    row_scales[static_cast<size_t>(l * QuantBlocks(D) + b)]);
          ASSERT_EQ(static_cast<float>(got) * scale,
                    rows[static_cast<size_t>(l * D + d)]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::kernels
