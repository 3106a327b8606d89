// Attention over stores of every type, compared with float64 over the stored
// numbers: prefill, chunks, decode, batches, threads and odd groups of heads.

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attention/definition/reference.h"
#include "attention/serving/attention_for_test.h"
#include "attention/serving/live_text_for_test.h"
#include "kernels/cpu/isa.h"

namespace ropewalk::attention {
namespace {

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBf16,
                            DType::kQ8_0, DType::kQ4_0};

class TypedAttentionTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { kernels::ChooseIsa(GetParam()); }
  void TearDown() override { kernels::ChooseIsa(before_); }

  const std::string before_ = kernels::ActiveIsa();
  // The definition is slow: one instruction set checks all cases, the others
  // check some.
  bool Best() const { return GetParam() == kernels::AvailableIsas().front(); }
  std::vector<std::string> Schemes() const {
    if (Best()) return Spellings();
    return {"rerope:window=20+logn", "dca:chunk=24",
            "sink-window:size=20,sinks=4"};
  }
};

INSTANTIATE_TEST_SUITE_P(EveryIsa, TypedAttentionTest,
                         testing::ValuesIn(kernels::AvailableIsas()),
                         [](const auto& info) { return info.param; });

// Reads chunks of the given sizes one after another and checks them.
void ReadChunks(const std::string& spelling, const Sequence& s, DType type,
                const std::vector<int64_t>& chunks) {
  SCOPED_TRACE(spelling + " " + std::string(InfoOf(type).name));
  LiveText text(MakePlan(spelling, s.shape.D, s.n), s, type);
  int64_t at = 0;
  for (const int64_t T : chunks) {
    text.ReadAndCheck(at, T);
    if (testing::Test::HasFailure()) return;
    at += T;
  }
  text.ExpectStoredRows(1);
}

TEST_P(TypedAttentionTest, PrefillChunksAndDecodeMatchFloat64) {
  const Sequence s = MakeSequence({4, 2, 16}, 300, 60);
  for (const DType type : kTypes) {
    for (const std::string& spelling : Schemes()) {
      // Chunks of 1, 3 and 8 tokens are computed in rows, the others in strips.
      ReadChunks(spelling, s, type, {150, 1, 9, 37, 8, 3, 64, 1, 1});
      ReadChunks(spelling, s, type, {1, 1, 127});
      if (HasFailure()) return;
    }
  }
}

TEST_P(TypedAttentionTest, OddGroupsAndWidthsMatchFloat64) {
  for (const HeadShape& shape :
       {HeadShape{71, 1, 8}, HeadShape{5, 1, 8}, HeadShape{3, 3, 8},
        HeadShape{2, 1, 80}, HeadShape{2, 2, 34}, HeadShape{2, 1, 8, 200},
        HeadShape{3, 1, 8, 129}, HeadShape{1, 1, 128, 33}, HeadShape{2, 1, 4},
        HeadShape{2, 1, 20}, HeadShape{2, 1, 24}, HeadShape{2, 1, 96},
        HeadShape{4, 1, 256}}) {
    const Sequence s = MakeSequence(shape, 150, 61);
    for (const DType type : kTypes) {
      ReadChunks("rerope:window=20", s, type, {70, 1, 3, 30, 1});
      if (Best()) ReadChunks("dca:chunk=24", s, type, {70, 1, 3, 30, 1});
      if (HasFailure()) return;
    }
  }
}

TEST_P(TypedAttentionTest, AFactorAndASoftCapMatchFloat64InEveryType) {
  for (const auto& [factor, cap] :
       std::vector<std::pair<double, double>>{{1.2, 3}, {2, 50}, {0.6, 0}}) {
    const HeadShape shape{
        .H = 4, .G = 2, .D = 20, .score_factor = factor, .softcap = cap};
    const Sequence s = MakeSequence(shape, 150, 73);
    for (const DType type : kTypes) {
      for (const std::string& spelling : Schemes()) {
        ReadChunks(spelling, s, type, {70, 1, 3, 30, 1});
        if (HasFailure()) return;
      }
    }
  }
}

// Beyond 1024 tokens a decode step is computed in parts.
TEST_P(TypedAttentionTest, DecodingALongTextMatchesFloat64) {
  const Sequence s = MakeSequence({4, 2, 16}, 2600, 62);
  for (const DType type : kTypes) {
    for (const char* spelling :
         {"rope", "rerope:window=20", "rerope:window=1500", "window:size=1500",
          "sink-window:size=1100,sinks=4"}) {
      LiveText text(MakePlan(spelling, 16, 2600), s, type);
      SCOPED_TRACE(spelling);
      text.Append(0, 1023);
      text.ReadAndCheck(1023, 1);
      text.ReadAndCheck(1024, 1);
      text.Append(1025, 1500);
      text.ReadAndCheck(2525, 1);
      text.ReadAndCheck(2526, 8);
      if (HasFailure()) return;
      text.Evict(4, 1500);  // whole parts without a key
      if (type == DType::kF32 || Best()) text.ReadAndCheck(2534, 1);
      if (HasFailure()) return;
    }
  }
}

// A batch of texts of several lengths.
TEST_P(TypedAttentionTest, BatchesDecodeWithTheBitsOfEachAlone) {
  const HeadShape shape{4, 2, 16};
  const auto pool = MakeThreadPool(3);
  const std::vector<int64_t> lengths = {1, 100, 1500, 128, 40};
  for (const DType type : kTypes) {
    for (const char* spelling : {"rerope:window=20+logn", "window:size=20"}) {
      const position::Plan plan = MakePlan(spelling, 16, 1600);
      const BandedAttention attention(plan, shape);
      for (const int64_t T : {1, 7, 30}) {
        std::vector<Sequence> sequences;
        std::vector<KvStore> stores;
        std::vector<RotationTables> tables(lengths.size());
        std::vector<std::vector<float>> outputs;
        std::vector<QuerySlice> slices;
        for (size_t b = 0; b < lengths.size(); ++b) {
          const int64_t n = lengths[b] + T;
          sequences.push_back(MakeSequence(shape, n, 70 + b));
          outputs.emplace_back(static_cast<size_t>(T * 4 * 16));
          stores.push_back(attention.NewStore(type));
          for (const auto& [first, count] :
               {std::pair{int64_t{0}, lengths[b]}, std::pair{lengths[b], T}}) {
            tables[b].Begin(first, count);
            stores[b].Append(sequences[b].keys.data() + first * 32,
                             sequences[b].values.data() + first * 32, count,
                             tables[b], *pool);
          }
        }
        for (size_t b = 0; b < lengths.size(); ++b) {
          slices.push_back(
              {.queries = sequences[b].queries.data() + lengths[b] * 64,
               .output = outputs[b].data(),
               .T = T,
               .store = &stores[b],
               .tables = &tables[b]});
        }
        AttentionScratch scratch;
        attention.Attend(slices, nullptr, *pool, scratch);
        for (size_t b = 0; b < lengths.size(); ++b) {
          LiveText alone(plan, sequences[b], type);
          alone.Append(0, lengths[b]);
          ASSERT_EQ(alone.Read(lengths[b], T), outputs[b])
              << spelling << " " << lengths[b] << " " << T;
        }
      }
    }
  }
}

TEST_P(TypedAttentionTest, TheNumberOfThreadsChangesNoBit) {
  const Sequence s = MakeSequence({6, 2, 16}, Best() ? 2100 : 1100, 63);
  SerialFor serial;
  for (const DType type : kTypes) {
    for (const char* spelling : {"rope", "rerope:window=20"}) {
      const position::Plan plan = MakePlan(spelling, 16, s.n);
      const std::vector<int64_t> chunks = {s.n - 10, 1, 1, 5, 1};
      const auto alone =
          RunChunks(plan, s, chunks, serial, nullptr, nullptr, type);
      for (const int64_t workers : {2, 3, 8}) {
        if (workers == 2 && !Best()) continue;
        const auto pool = MakeThreadPool(workers);
        ASSERT_EQ(RunChunks(plan, s, chunks, *pool, nullptr, nullptr, type),
                  alone)
            << spelling << " " << workers;
      }
      if (!Best()) break;
    }
  }
}

TEST_P(TypedAttentionTest, ChunksGiveTheSameBitsAsOnePrefill) {
  const Sequence s = MakeSequence({4, 2, 16}, 300, 64);
  SerialFor serial;
  for (const DType type : kTypes) {
    for (const std::string& spelling : Schemes()) {
      const position::Plan plan = MakePlan(spelling, 16, s.n);
      const auto run = [&](const std::vector<int64_t>& chunks) {
        return RunChunks(plan, s, chunks, serial, nullptr, nullptr, type);
      };
      const auto whole = run({300});
      ASSERT_TRUE(run({64}) == whole) << spelling;
      ASSERT_TRUE(run({37, 11, 90}) == whole) << spelling;
    }
  }
}

TEST_P(TypedAttentionTest, LearnedScalesMultiplyDecodedScoresToo) {
  const Sequence s = MakeSequence({4, 2, 16}, 60, 66);
  const position::Plan plan = MakePlan("rope+logn-learned", 16, 60);
  const std::vector<float> scales = {0.2f, 0.4f, 0.1f, 0.3f};
  SerialFor serial;
  const auto want =
      ReferenceAttention(plan, s.shape, Doubles(s.queries), Doubles(s.keys),
                         Doubles(s.values), Doubles(scales));
  for (const int64_t T : {1, 3, 60}) {
    const auto got = RunChunks(plan, s, {T}, serial, scales.data());
    for (size_t at = 0; at < got.size(); ++at) {
      ASSERT_NEAR(got[at], want[at], 1e-5) << T;
    }
  }
}

// No scheme has bands that overlap and differ, but a plan may have them.
TEST_P(TypedAttentionTest, TheFirstBandThatContainsAPairDecidesIt) {
  const Sequence s = MakeSequence({4, 2, 16}, 300, 68);
  position::Plan plan = MakePlan("rope", 16, 300);
  plan.bands.front().selector.high = 60;
  plan.bands.push_back(
      {.query = position::Constant(5), .key = position::Constant(0)});
  plan.bands.push_back(plan.bands.front());
  plan.bands[0].selector = {.low = 10, .high = 30};
  for (const DType type : kTypes) {
    LiveText text(plan, s, type);
    text.ReadAndCheck(0, 170);
    text.ReadAndCheck(170, 1);
    text.ReadAndCheck(171, 100);
    text.ReadAndCheck(271, 3);
  }
}

// Tokens that were trimmed are still in memory behind the end.
TEST_P(TypedAttentionTest, RowsBehindTheEndAreNotRead) {
  for (const DType type : kTypes) {
    Sequence s = MakeSequence({2, 1, 8}, 300, 69);
    for (int64_t at = 200 * 8; at < 300 * 8; ++at) {
      s.keys[static_cast<size_t>(at)] = std::nanf("");
      s.values[static_cast<size_t>(at)] = std::nanf("");
    }
    for (const int64_t T : {1, 9, 43}) {
      LiveText text(MakePlan("rerope:window=20", 8, 300), s, type);
      text.Append(0, 300);
      text.Trim(200);
      text.ReadAndCheck(100, T);
    }
  }
}

// A slice of a batch may have no tokens, and then needs no tables.
TEST_P(TypedAttentionTest, ASliceWithoutTokensIsSkipped) {
  const Sequence s = MakeSequence({2, 1, 8}, 40, 67);
  const BandedAttention attention(MakePlan("rerope:window=20", 8, 40), s.shape);
  SerialFor serial;
  const KvStore empty = attention.NewStore();
  KvStore store = attention.NewStore();
  RotationTables tables;
  tables.Begin(0, 40);
  store.Append(s.keys.data(), s.values.data(), 40, tables, serial);
  std::vector<float> output(40 * 16);
  const std::vector<QuerySlice> slices = {{.store = &empty},
                                          {.queries = s.queries.data(),
                                           .output = output.data(),
                                           .T = 40,
                                           .store = &store,
                                           .tables = &tables}};
  AttentionScratch scratch;
  attention.Attend(slices, nullptr, serial, scratch);
  EXPECT_EQ(output, RunChunks(attention.plan(), s, {40}, serial));
}

// A NaN in a key reaches exactly the queries that see the key. A NaN in a value
// reaches at least these (in a strip, other queries multiply it by 0).
TEST_P(TypedAttentionTest, ANanReachesTheQueriesThatSeeIt) {
  SerialFor serial;
  for (const DType type : kTypes) {
    for (const int64_t T : {1, 40}) {
      for (const bool key : {true, false}) {
        Sequence s = MakeSequence({2, 1, 16}, 200, 65);
        (key ? s.keys : s.values)[16 * 60 + 3] = std::nanf("");
        s.queries[32 * 150 + 1] = std::nanf("");  // head 0 of one token
        const auto got = RunChunks(MakePlan("window:size=64", 16, 200), s, {T},
                                   serial, nullptr, nullptr, type);
        for (int64_t i = 0; i < 200; ++i) {
          for (int64_t h = 0; h < 2; ++h) {
            const bool nan =
                std::isnan(got[static_cast<size_t>((i * 2 + h) * 16 + 3)]);
            const bool sees = (i >= 60 && i < 60 + 64) || (i == 150 && h == 0);
            const bool may = !key && T > 1 && i >= 40 && i < 160;
            ASSERT_TRUE(nan == sees || (nan && may))
                << i << " " << h << " " << T << " " << InfoOf(type).name;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::attention
