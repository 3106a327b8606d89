// Compares the tile loop with the definition of attention, at every border.

#include "attention/serving/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "attention/definition/reference.h"
#include "attention/serving/attention_for_test.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/kernels.h"
#include "kernels/reference/reference.h"

namespace ropewalk::attention {
namespace {

// The definition is slow, so its outputs are kept: they are the same for every
// ISA and for all chunks.
const std::vector<double>& Reference(const std::string& spelling,
                                     const position::Plan& plan,
                                     const Sequence& s) {
  using Key = std::tuple<std::string, int64_t, int64_t, int64_t, int64_t, float,
                         double, double>;
  static std::map<Key, std::vector<double>> known;
  const Key key{spelling,
                s.n,
                s.shape.H,
                s.shape.D,
                s.shape.ValueWidth(),
                s.queries.front(),
                s.shape.score_factor,
                s.shape.softcap};
  auto at = known.find(key);
  if (at == known.end()) {
    at = known
             .emplace(key, ReferenceAttention(plan, s.shape, Doubles(s.queries),
                                              Doubles(s.keys),
                                              Doubles(s.values), {}))
             .first;
  }
  return at->second;
}

void ExpectMatchesReference(const std::string& spelling, const Sequence& s,
                            const std::vector<int64_t>& chunks,
                            ParallelFor& threads) {
  const position::Plan plan = MakePlan(spelling, s.shape.D, s.n);
  const std::vector<float> got = RunChunks(plan, s, chunks, threads);
  const std::vector<double>& want = Reference(spelling, plan, s);
  for (int64_t i = 0; i < s.n; ++i) {
    for (int64_t h = 0; h < s.shape.H; ++h) {
      const double tolerance = Tolerance(plan, s, i, h);
      const int64_t width = s.shape.ValueWidth();
      for (int64_t d = 0; d < width; ++d) {
        const auto at = static_cast<size_t>((i * s.shape.H + h) * width + d);
        ASSERT_NEAR(got[at], want[at], tolerance)
            << spelling << " n=" << s.n << " D=" << s.shape.D << " i=" << i
            << " h=" << h << " d=" << d;
      }
    }
  }
}

class AttentionTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { kernels::ChooseIsa(GetParam()); }
  void TearDown() override { kernels::ChooseIsa(before_); }

  const std::string before_ = kernels::ActiveIsa();
  std::unique_ptr<ParallelFor> pool_ = MakeThreadPool(2);
};

INSTANTIATE_TEST_SUITE_P(EveryIsa, AttentionTest,
                         testing::ValuesIn(kernels::AvailableIsas()),
                         [](const auto& info) { return info.param; });

TEST_P(AttentionTest, TiledMatchesFloat64AroundWindowAndTile) {
  for (const std::string& spelling : Spellings()) {
    for (const int64_t n : {int64_t{1}, int64_t{19}, int64_t{20}, int64_t{21},
                            kTile - 1, kTile, kTile + 1, 2 * kTile + 3}) {
      ExpectMatchesReference(spelling, MakeSequence({2, 1, 8}, n, 7), {n},
                             *pool_);
    }
  }
}

TEST_P(AttentionTest, EveryHeadWidthAndGroupingMatchesFloat64) {
  for (const int64_t D : {4, 8, 16, 20, 24, 64, 80, 96, 128, 256}) {
    for (const auto& [H, G] :
         std::vector<std::pair<int64_t, int64_t>>{{2, 2}, {4, 1}, {5, 1}}) {
      for (const char* spelling :
           {"rope", "rerope:window=20", "dca:chunk=24", "window:size=20"}) {
        ExpectMatchesReference(spelling, MakeSequence({H, G, D}, 90, 8), {90},
                               *pool_);
      }
    }
  }
}

// Gated attention units have wide values; the widths here are around the size
// of a value block.
TEST_P(AttentionTest, ValuesOfAnotherWidthThanKeysMatchFloat64) {
  for (const int64_t width :
       {int64_t{1}, int64_t{8}, kValueBlock - 1, kValueBlock, kValueBlock + 1,
        2 * kValueBlock + 3}) {
    for (const auto& [H, G] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {4, 2}}) {
      for (const char* spelling :
           {"rope", "rerope:window=20+logn", "window:size=20"}) {
        const Sequence s = MakeSequence({H, G, 16, width}, 90, 15);
        ExpectMatchesReference(spelling, s, {90}, *pool_);
        ExpectMatchesReference(spelling, s, {37, 1}, *pool_);
      }
    }
  }
}

// Workers share one query of a wide head by dividing its value columns.
TEST_P(AttentionTest, WorkersThatShareAWideHeadGiveTheSameBits) {
  const Sequence s = MakeSequence({1, 1, 16, 3 * kValueBlock + 5}, 130, 16);
  const position::Plan plan = MakePlan("rerope:window=20", 16, s.n);
  SerialFor serial;
  const auto alone = RunChunks(plan, s, {100, 1}, serial);
  for (const int64_t workers : {2, 3, 8}) {
    const auto pool = MakeThreadPool(workers);
    EXPECT_EQ(RunChunks(plan, s, {100, 1}, *pool), alone) << workers;
  }
  EXPECT_EQ(RunChunks(plan, s, {130}, *pool_),
            RunChunks(plan, s, {130}, serial));
}

TEST_P(AttentionTest, ChunkedPrefillAndDecodeMatchFloat64) {
  for (const std::string& spelling : Spellings()) {
    // Prompts of 1 token, and just below, at and above the window, are followed
    // by single tokens; odd chunks cross tiles.
    for (const std::vector<int64_t>& chunks : {std::vector<int64_t>{1},
                                               {19, 1},
                                               {20, 1},
                                               {21, 1},
                                               {100, 1},
                                               {7, 64, 5},
                                               {65}}) {
      ExpectMatchesReference(spelling, MakeSequence({4, 2, 16}, 140, 9), chunks,
                             *pool_);
    }
  }
}

// Scores are about 5 under a cap of 3, and about 40 under a cap of 50, where
// the running maximum changes.
TEST_P(AttentionTest, AFactorAndASoftCapMatchFloat64) {
  for (const auto& [factor, cap] :
       std::vector<std::pair<double, double>>{{1.2, 3}, {10, 50}, {2, 0}}) {
    for (const std::string& spelling : Spellings()) {
      for (const int64_t n : {int64_t{1}, int64_t{20}, kTile + 1}) {
        const Sequence s = MakeSequence(
            {.H = 2, .G = 1, .D = 16, .score_factor = factor, .softcap = cap},
            n, 17);
        ExpectMatchesReference(spelling, s, {n}, *pool_);
        if (n > 1) ExpectMatchesReference(spelling, s, {n - 10, 1, 3}, *pool_);
        if (HasFailure()) return;
      }
    }
  }
}

// The cap applies after the learned scale of a head.
TEST_P(AttentionTest, ASoftCapAppliesAfterLearnedScales) {
  const HeadShape shape{
      .H = 4, .G = 2, .D = 16, .score_factor = 0.5, .softcap = 2};
  const Sequence s = MakeSequence(shape, 90, 18);
  const position::Plan plan = MakePlan("rope+logn-learned", 16, 90);
  const std::vector<float> scales = {0.2f, 4.0f, 0.1f, 1.3f};
  const auto want =
      ReferenceAttention(plan, shape, Doubles(s.queries), Doubles(s.keys),
                         Doubles(s.values), Doubles(scales));
  for (const std::vector<int64_t>& chunks :
       {std::vector<int64_t>{90}, {80, 1}}) {
    const auto got = RunChunks(plan, s, chunks, *pool_, scales.data());
    for (size_t at = 0; at < got.size(); ++at) {
      ASSERT_NEAR(got[at], want[at], 2e-5);
    }
  }
}

TEST(HeadShapeTest, FactorsAndCapsOutOfRangeAreRefused) {
  const position::Plan plan = MakePlan("rope", 16, 90);
  for (const double bad : {-1.0, 1e-7, 1e10, std::nan(""),
                           std::numeric_limits<double>::infinity()}) {
    HeadShape shape{.H = 2, .G = 1, .D = 16, .score_factor = bad};
    EXPECT_THROW(BandedAttention(plan, shape), std::invalid_argument) << bad;
    shape = {.H = 2, .G = 1, .D = 16, .softcap = bad};
    EXPECT_THROW(BandedAttention(plan, shape), std::invalid_argument) << bad;
  }
  EXPECT_EQ(HeadShape({.H = 1, .G = 1, .D = 64}).ScoreFactor(), 0.125);
}

TEST_P(AttentionTest, ChunksGiveTheSameBitsAsOnePrefill) {
  const Sequence s = MakeSequence({4, 2, 16}, 300, 10);
  for (const std::string& spelling : Spellings()) {
    const position::Plan plan = MakePlan(spelling, 16, s.n);
    const auto whole = RunChunks(plan, s, {300}, *pool_);
    EXPECT_EQ(RunChunks(plan, s, {64}, *pool_), whole) << spelling;
    EXPECT_EQ(RunChunks(plan, s, {37, 11, 90}, *pool_), whole) << spelling;
    SerialFor serial;
    EXPECT_EQ(RunChunks(plan, s, {300}, serial), whole) << spelling;
  }
}

TEST_P(AttentionTest, ScoresMatchTheRelativeDefinition) {
  const int64_t D = 64;
  const int64_t n = 200;
  const HeadShape shape{1, 1, D};
  Sequence s = MakeSequence(shape, n, 11);
  for (const char* spelling :
       {"rope", "pi:factor=8", "leaky-rerope:window=20,k=4",
        "leaky-rerope:window=20,k=16", "leaky-rerope:window=20,k=1/16",
        "rerope:window=20", "self-extend:window=20,group=3", "dca:chunk=24",
        "yarn:factor=8", "cope"}) {
    const position::Plan plan = MakePlan(spelling, D, n);
    const BandedAttention attention(plan, shape);
    KvStore store = attention.NewStore();
    RotationTables tables;
    tables.Begin(0, n);
    store.Append(s.keys.data(), s.values.data(), n, tables, *pool_);
    const auto q = Doubles(s.queries);
    const auto k = Doubles(s.keys);
    for (int64_t i = 0; i < n; i += 7) {
      for (int64_t j = 0; j <= i; ++j) {
        const auto b = plan.BandOf(i, j);
        ASSERT_TRUE(b.has_value());
        const auto& band = plan.bands[static_cast<size_t>(*b)];
        const RotationRows rows = tables.Get(band.query, plan.tables[0]);
        std::vector<float> turned(static_cast<size_t>(D));
        kernels::Rotate({.x = s.queries.data() + i * D,
                         .y = turned.data(),
                         .heads = 1,
                         .D = D,
                         .pairs = rows.pairs,
                         .cos = rows.cos + i * rows.stride,
                         .sin = rows.sin + i * rows.stride,
                         .scale = 0.125f});  // 1 / sqrt(64)
        std::vector<float> key(static_cast<size_t>(D));
        store.CopyKey(attention.StoreOf(*b), j, 0, key.data());
        float score = 0;
        for (size_t d = 0; d < key.size(); ++d) score += turned[d] * key[d];
        const double want = ReferenceScore(
            plan, shape, std::span(q).subspan(static_cast<size_t>(i * D), D), i,
            std::span(k).subspan(static_cast<size_t>(j * D), D), j);
        ASSERT_NEAR(score, want, 1e-5) << spelling << " " << i << " " << j;
      }
    }
  }
}

TEST_P(AttentionTest, StoredKeysHaveTheFarRotation) {
  const int64_t D = 16;
  const Sequence s = MakeSequence({2, 2, D}, 150, 12);
  for (const char* spelling :
       {"rope", "rerope:window=20", "leaky-rerope:window=20,k=16",
        "self-extend:window=20,group=3", "dca:chunk=24", "nope",
        "yarn:factor=8"}) {
    const position::Plan plan = MakePlan(spelling, D, s.n);
    KvStore store(plan, s.shape);
    RunChunks(plan, s, {64, 1}, *pool_, nullptr, &store);
    const position::KeyStore main = plan.KeyStores(nullptr).front();
    const auto& table = plan.tables[static_cast<size_t>(main.table)];
    for (int64_t j = 0; j < s.n; ++j) {
      for (int64_t g = 0; g < 2; ++g) {
        const float* raw = s.keys.data() + (j * 2 + g) * D;
        std::vector<float> got(static_cast<size_t>(D));
        store.CopyKey(0, j, g, got.data());
        std::vector<double> angles;
        for (const double f : table.frequencies) {
          angles.push_back(main.key(j) * f);
        }
        const std::vector<double> in(raw, raw + D);
        std::vector<double> want(in.size());
        kernels::reference::Rotate(in.data(), angles.data(),
                                   static_cast<int64_t>(angles.size()), D,
                                   want.data());
        for (size_t d = 0; d < got.size(); ++d) {
          if (main.key.IsZero() || table.frequencies.empty()) {
            ASSERT_EQ(got[d], raw[d]) << spelling;  // bit for bit
          } else {
            ASSERT_NEAR(got[d], table.magnitude * want[d],
                        8 * 0x1p-24 * table.magnitude * 5)
                << spelling;
          }
        }
      }
    }
  }
}

TEST_P(AttentionTest, BatchesWithPaddingEqualSingleSequences) {
  const HeadShape shape{4, 2, 16};
  for (const char* spelling :
       {"rope", "rerope:window=20+logn", "window:size=20", "dca:chunk=24",
        "sink-window:size=20,sinks=4"}) {
    const position::Plan plan = MakePlan(spelling, 16, 128);
    const BandedAttention attention(plan, shape);
    const std::vector<int64_t> lengths = {100, 1, 64, 37};
    const int64_t T = 100;  // the padded width
    struct Row {
      Sequence sequence;
      KvStore store;
      RotationTables tables;
      std::vector<float> queries;
      std::vector<float> output;
    };
    std::vector<std::unique_ptr<Row>> rows;
    for (size_t b = 0; b < lengths.size(); ++b) {
      rows.push_back(
          std::make_unique<Row>(Row{MakeSequence(shape, lengths[b], 20 + b),
                                    attention.NewStore(),
                                    {},
                                    {},
                                    {}}));
      Row& row = *rows.back();
      const int64_t padding = T - lengths[b];
      // Left padding has random rows that no query may see.
      row.queries.assign(static_cast<size_t>(T * 64), 1e6f);
      std::copy(row.sequence.queries.begin(), row.sequence.queries.end(),
                row.queries.begin() + padding * 64);
      row.output.assign(row.queries.size(), -1.0f);
      row.tables.Begin(-padding, T);
      row.store.Append(row.sequence.keys.data(), row.sequence.values.data(),
                       lengths[b], row.tables, *pool_);
    }
    std::vector<QuerySlice> slices;
    for (const auto& row : rows) {
      slices.push_back({.queries = row->queries.data(),
                        .output = row->output.data(),
                        .T = T,
                        .store = &row->store,
                        .tables = &row->tables});
    }
    AttentionScratch scratch;
    attention.Attend(slices, nullptr, *pool_, scratch);
    for (size_t b = 0; b < rows.size(); ++b) {
      const auto alone =
          RunChunks(plan, rows[b]->sequence, {lengths[b]}, *pool_);
      const auto padding = static_cast<size_t>((T - lengths[b]) * 64);
      for (size_t at = 0; at < rows[b]->output.size(); ++at) {
        ASSERT_EQ(rows[b]->output[at],
                  at < padding ? 0.0f : alone[at - padding])
            << spelling << " row " << b;
      }
    }
  }
}

TEST_P(AttentionTest, LearnedScalesMultiplyTheScoresOfTheirHead) {
  const Sequence s = MakeSequence({4, 2, 16}, 90, 13);
  const position::Plan plan = MakePlan("rope+logn-learned", 16, 90);
  const std::vector<float> scales = {0.2f, 0.4f, 0.1f, 0.3f};
  const auto got = RunChunks(plan, s, {90}, *pool_, scales.data());
  const auto want =
      ReferenceAttention(plan, s.shape, Doubles(s.queries), Doubles(s.keys),
                         Doubles(s.values), Doubles(scales));
  for (size_t at = 0; at < got.size(); ++at) {
    ASSERT_NEAR(got[at], want[at], 1e-5);
  }
}

TEST(RotationTablesTest, AnglesAreAccurateAtPositionOneMillion) {
  RotationTables tables;
  const position::Plan plan = MakePlan("rope", 128, 10);
  tables.Begin((1 << 20) - 1, 2);
  const RotationRows rows = tables.Get(position::Identity(), plan.tables[0]);
  for (int64_t m = 0; m < 64; ++m) {
    const double angle =
        0x1p20 * plan.tables[0].frequencies[static_cast<size_t>(m)];
    EXPECT_EQ(rows.cos[rows.stride + m], static_cast<float>(std::cos(angle)));
    EXPECT_EQ(rows.sin[rows.stride + m], static_cast<float>(std::sin(angle)));
  }
  // Two calls of Get for the same table share rows until Begin.
  EXPECT_EQ(tables.Get(position::Identity(), plan.tables[0]).cos, rows.cos);
  tables.Begin(0, 1);
  EXPECT_EQ(tables.Get(position::Identity(), plan.tables[0]).cos[0], 1.0f);
  EXPECT_EQ(tables.Get(position::Constant(0), plan.tables[0]).pairs, 0);
}

// Sinks small, like other scores, and so large that they take all weight; in
// strips, in rows, and in rows of a store that is cut into parts.
TEST_P(AttentionTest, SinksTakeTheirShareOfTheWeights) {
  const HeadShape shape{.H = 4, .G = 2, .D = 16};
  const std::vector<float> sinks = {-30, 0, 2, 200};
  for (const int64_t n : {int64_t{1}, kTile - 1, kTile, 3 * kTile + 5}) {
    const Sequence s = MakeSequence(shape, n, 70);
    for (const char* spelling :
         {"rope", "rerope:window=20", "window:size=20"}) {
      const position::Plan plan = MakePlan(spelling, shape.D, n);
      const auto want =
          ReferenceAttention(plan, shape, Doubles(s.queries), Doubles(s.keys),
                             Doubles(s.values), {}, Doubles(sinks));
      for (const std::vector<int64_t>& chunks :
           {std::vector<int64_t>{n}, {1}, {n - n / 3, 2}}) {
        const auto got = RunChunks(plan, s, chunks, *pool_, nullptr, nullptr,
                                   DType::kF32, sinks.data());
        for (int64_t i = 0; i < n; ++i) {
          for (int64_t h = 0; h < shape.H; ++h) {
            const double tolerance = Tolerance(plan, s, i, h);
            for (int64_t d = 0; d < shape.D; ++d) {
              const auto at =
                  static_cast<size_t>((i * shape.H + h) * shape.D + d);
              ASSERT_NEAR(got[at], want[at], tolerance)
                  << spelling << " n=" << n << " i=" << i << " h=" << h;
            }
          }
        }
      }
    }
  }
}

// 4000 tokens are more than a part of a store.
TEST_P(AttentionTest, SinksAreCountedOnceAcrossParts) {
  const HeadShape shape{.H = 2, .G = 1, .D = 16};
  const int64_t n = 4000;
  const Sequence s = MakeSequence(shape, n, 71);
  const position::Plan plan = MakePlan("rope", shape.D, n);
  const std::vector<float> sinks = {8, 10};
  const auto with = RunChunks(plan, s, {n - 1, 1}, *pool_, nullptr, nullptr,
                              DType::kF32, sinks.data());
  const std::vector<double> query = Doubles(s.queries);
  const std::vector<double> key = Doubles(s.keys);
  std::vector<double> weights(2);
  for (size_t h = 0; h < 2; ++h) {
    // The share that is left to the keys, from their scores.
    double keys = 0;
    for (int64_t j = 0; j < n; ++j) {
      keys += std::exp(ReferenceScore(
          plan, shape,
          std::span(query).subspan((static_cast<size_t>(n - 1) * 2 + h) * 16,
                                   16),
          n - 1, std::span(key).subspan(static_cast<size_t>(j) * 16, 16), j));
    }
    weights[h] = keys / (keys + std::exp(static_cast<double>(sinks[h])));
    EXPECT_GT(weights[h], 0.05);
    EXPECT_LT(weights[h], 0.95);
  }
  const auto without = RunChunks(plan, s, {n - 1, 1}, *pool_);
  for (size_t at = 0; at < 32; ++at) {
    const size_t last = static_cast<size_t>(n - 1) * 32 + at;
    EXPECT_NEAR(with[last], without[last] * weights[at / 16], 1e-5) << at;
  }
}

}  // namespace
}  // namespace ropewalk::attention
