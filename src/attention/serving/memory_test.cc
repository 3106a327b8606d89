// Attention to memories beside a text, compared with float64: in strips and in
// rows, in every type and on every instruction set.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attention/definition/memory_reference.h"
#include "attention/serving/attention_for_test.h"
#include "attention/serving/memory_keys.h"
#include "kernels/cpu/isa.h"

namespace ropewalk::attention {
namespace {

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBf16,
                            DType::kQ8_0, DType::kQ4_0};

// A plan under which stored keys are not rotated.
position::Plan PlainKeys() {
  return {.bands = {{.key = position::Constant(0)}}, .tables = {{}}};
}

// A text that was read alone. Its store owns the tiles.
struct Read {
  Sequence text;
  std::shared_ptr<KvStore> store;

  Read(const HeadShape& shape, int64_t n, uint64_t seed, DType type)
      : text(MakeSequence(shape, n, seed)),
        store(std::make_shared<KvStore>(PlainKeys(), shape, type)) {
    RotationTables tables;
    SerialFor threads;
    tables.Begin(0, n);
    store->Append(text.keys.data(), text.values.data(), n, tables, threads);
  }

  MemoryPart Part(int64_t first) const {
    MemoryPart part{.first = first, .last = text.n};
    const auto tiles = [&](const std::vector<KvImage::Tile>& from,
                           std::vector<TileRef>& to) {
      to.resize(static_cast<size_t>(TilesFor(text.n)));
      for (const KvImage::Tile& tile : from) {
        // Tiles that hold nothing but what is left out are not there.
        if ((tile.number + 1) * kTile <= first) continue;
        to[static_cast<size_t>(tile.number)] =
            TileRef(store, const_cast<uint8_t*>(tile.data));
      }
    };
    const KvImage image = store->Image();
    tiles(image.keys.front(), part.keys);
    tiles(image.values, part.values);
    return part;
  }

  // Keys and values from `first` on, as stored, in float64.
  void AddTo(int64_t first, std::vector<double>& keys,
             std::vector<double>& values) const {
    const HeadShape& shape = text.shape;
    std::vector<float> row(
        static_cast<size_t>(std::max(shape.D, shape.ValueWidth())));
    for (int64_t j = first; j < text.n; ++j) {
      for (int64_t g = 0; g < shape.G; ++g) {
        store->CopyKey(0, j, g, row.data());
        keys.insert(keys.end(), row.begin(), row.begin() + shape.D);
        store->CopyValue(j, g, row.data());
        values.insert(values.end(), row.begin(),
                      row.begin() + shape.ValueWidth());
      }
    }
  }
};

struct Case {
  std::string scheme = "rerope:window=20";
  HeadShape shape{4, 2, 16};
  std::vector<int64_t> memories;  // tokens of each
  int64_t first = 0;              // left out of each
  double sharpness = 1;
  double bias = 0;
  int64_t from = 0;
};

class MemoryTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { kernels::ChooseIsa(GetParam()); }
  void TearDown() override { kernels::ChooseIsa(before_); }

  // Reads `chunks` of a text beside memories and compares outputs with the
  // definition over what is stored.
  static void Check(const Case& c, DType type,
                    const std::vector<int64_t>& chunks) {
    int64_t n = 0;
    for (const int64_t T : chunks) n += T;
    const HeadShape& shape = c.shape;
    Sequence own = MakeSequence(shape, n, 7);
    if (type == DType::kQ4_0) {
      // The definition takes own keys and values as they were before rounding,
      // and steps of 4 bits would hide what they are compared for.
      std::ranges::fill(own.keys, 0.0f);
      std::ranges::fill(own.values, 0.0f);
    }
    const position::Plan plan = MakePlan(c.scheme, shape.D, n);
    std::vector<Read> reads;
    LayerMemories memories{.type = type,
                           .query = position::Constant(33),
                           .table = plan.tables.front(),
                           .sharpness = c.sharpness,
                           .bias = c.bias,
                           .from = c.from};
    // Keys that are not rotated have no magnitude; queries have both.
    memories.table.magnitude *= memories.table.magnitude;
    std::vector<double> memory_keys;
    std::vector<double> memory_values;
    for (const int64_t m : c.memories) {
      reads.emplace_back(shape, m, 100 + reads.size(), type);
      memories.parts.push_back(reads.back().Part(c.first));
      memories.tokens += memories.parts.back().tokens();
      reads.back().AddTo(c.first, memory_keys, memory_values);
    }
    const BandedAttention attention(plan, shape);
    KvStore store = attention.NewStore(type);
    RotationTables tables;
    AttentionScratch scratch;
    SerialFor threads;
    std::vector<float> got(
        static_cast<size_t>(n * shape.H * shape.ValueWidth()));
    int64_t at = 0;
    for (const int64_t T : chunks) {
      tables.Begin(at, T);
      store.Append(own.keys.data() + at * shape.G * shape.D,
                   own.values.data() + at * shape.G * shape.ValueWidth(), T,
                   tables, threads);
      const QuerySlice slice{
          .queries = own.queries.data() + at * shape.H * shape.D,
          .output = got.data() + at * shape.H * shape.ValueWidth(),
          .T = T,
          .store = &store,
          .tables = &tables,
          .memories = &memories};
      attention.Attend({&slice, 1}, nullptr, threads, scratch);
      at += T;
    }
    // Own keys were rounded, so types of 16 and 8 bits are compared with their
    // steps.
    const std::vector<double> want =
        ReferenceMemoryAttention(plan, shape, Doubles(own.queries),
                                 Doubles(own.keys), Doubles(own.values), {},
                                 {.query = memories.query,
                                  .key = position::Constant(0),
                                  .table = plan.tables.front(),
                                  .sharpness = c.sharpness,
                                  .bias = c.bias,
                                  .from = c.from,
                                  .keys = memory_keys,
                                  .values = memory_values});
    const double tolerance = ToleranceFor(plan, own, reads, c, type);
    for (size_t o = 0; o < want.size(); ++o) {
      ASSERT_NEAR(got[o], want[o], tolerance)
          << c.scheme << " " << InfoOf(type).name << " output " << o;
    }
  }

  // As Tolerance in attention_for_test.h, over keys and values of both texts.
  // Types but f32 round each component of a key by half a step of the type, so
  // that a score moves by sqrt(D) half-steps of the product of norms, and a
  // value by half a step; strips in integers round queries to half a step of
  // 127 (q8_0) or 8191, weights and values to half a step of 32767 for each of
  // kTile keys.
  static double ToleranceFor(const position::Plan& plan, const Sequence& own,
                             const std::vector<Read>& reads, const Case& c,
                             DType type) {
    double query = 0;
    double key = 0;
    double value = 0;
    const auto D = own.shape.D;
    const auto norms = [&](const std::vector<float>& x, double& most) {
      for (size_t at = 0; at < x.size(); at += static_cast<size_t>(D)) {
        double sum = 0;
        for (int64_t d = 0; d < D; ++d) {
          const double v = x[at + static_cast<size_t>(d)];
          sum += v * v;
        }
        most = std::max(most, std::sqrt(sum));
      }
    };
    const auto add = [&](const Sequence& s) {
      norms(s.keys, key);
      for (const float v : s.values) {
        value = std::max(value, std::abs(static_cast<double>(v)));
      }
    };
    norms(own.queries, query);
    add(own);
    for (const Read& read : reads) add(read.text);
    double scale = 1;
    int64_t tokens = own.n;
    for (const Read& read : reads) tokens += read.text.n;
    scale = std::max(scale, plan.scale(tokens));
    const double product = query * key * own.shape.ScoreFactor() * scale *
                           std::max(1.0, c.sharpness);
    const double step = type == DType::kF32    ? 0
                        : type == DType::kF16  ? 0x1p-12 + 2 * 0.51 / 8191
                        : type == DType::kBf16 ? 0x1p-9 + 2 * 0.51 / 8191
                                               : 2 * 0.51 / 127;
    const double score = (static_cast<double>(D + 8) * 0x1p-24 +
                          step * std::sqrt(static_cast<double>(D))) *
                             product +
                         CapError(own.shape, product);
    const double stored =
        type == DType::kF32
            ? 0
            : 0.51 * static_cast<double>(kTile + 1) / 32767 + step;
    return (2 * score + stored + 16 * 0x1p-24) * value;
  }

  const std::string before_ = kernels::ActiveIsa();
};

INSTANTIATE_TEST_SUITE_P(EveryIsa, MemoryTest,
                         testing::ValuesIn(kernels::AvailableIsas()),
                         [](const auto& info) { return info.param; });

// One strip, several, and rows of one, some and the most tokens.
const std::vector<int64_t> kChunks = {40, 1, 3, 8, 30, 1};

TEST_P(MemoryTest, TextsBesideMemoriesMatchFloat64) {
  for (const DType type : kTypes) {
    for (const int64_t m : {int64_t{1}, kTile - 1, kTile, kTile + 1}) {
      Check({.memories = {m}}, type, kChunks);
    }
    Check({.memories = {200, 3, 128}, .first = 2}, type, kChunks);
    if (HasFailure()) return;
  }
}

TEST_P(MemoryTest, TokensThatAreLeftOutMayFillWholeTiles) {
  for (const DType type : kTypes) {
    Check({.memories = {300, 257}, .first = 256}, type, kChunks);
  }
}

TEST_P(MemoryTest, AnySchemeOfTheTextMatchesFloat64) {
  for (const std::string& scheme : Spellings()) {
    Check({.scheme = scheme, .memories = {150, 20}, .first = 4}, DType::kF32,
          {40, 1, 30});
    if (HasFailure()) return;
  }
}

TEST_P(MemoryTest, SharpnessAndBiasMatchFloat64) {
  for (const DType type : kTypes) {
    Check({.memories = {150, 40}, .sharpness = 1.25, .bias = -1.5}, type,
          kChunks);
    Check({.memories = {150}, .sharpness = 0.8, .bias = 2}, type, kChunks);
  }
  HeadShape capped{4, 2, 16};
  capped.softcap = 2;
  Check({.shape = capped, .memories = {150}, .bias = 1}, DType::kF32, kChunks);
}

// The first tokens of a text may read it alone.
TEST_P(MemoryTest, TokensBeforeTheFirstThatAttendsMatchFloat64) {
  for (const DType type : kTypes) {
    for (const int64_t from : {1, 4, 41, 60}) {
      Check({.scheme = "rerope:window=20+logn",
             .memories = {150, 20},
             .from = from},
            type, kChunks);
    }
    Check({.memories = {150}, .from = 4}, type, {1, 2, 3, 30});
  }
}

TEST_P(MemoryTest, WideValuesAndManyHeadsMatchFloat64) {
  for (const HeadShape& shape :
       {HeadShape{5, 1, 8}, HeadShape{71, 1, 8}, HeadShape{2, 1, 8, 200}}) {
    for (const DType type : kTypes) {
      Check({.shape = shape, .memories = {140, 9}, .first = 4}, type,
            {30, 1, 2});
    }
  }
}

// The output of one token behind `n` others, of which `taken` are taken out
// before. The bias leaves nothing of the attention to the text itself.
std::vector<float> OutputBehind(int64_t n, int64_t taken) {
  const HeadShape shape{4, 2, 16};
  const Sequence own = MakeSequence(shape, n, 8);
  const Sequence last = MakeSequence(shape, 1, 9);
  const Read read(shape, 20, 10, DType::kF32);
  const position::Plan plan = MakePlan("rope", shape.D, 64);
  const LayerMemories memories{.type = DType::kF32,
                               .query = {.offset = 20},
                               .table = plan.tables.front(),
                               .bias = 80,
                               .tokens = 20,
                               .parts = {read.Part(0)}};
  const BandedAttention attention(plan, shape);
  KvStore store = attention.NewStore(DType::kF32);
  RotationTables tables;
  AttentionScratch scratch;
  SerialFor threads;
  tables.Begin(0, n);
  store.Append(own.keys.data(), own.values.data(), n, tables, threads);
  if (taken > 0) {
    store.Evict(4, taken);
    store.CloseGap();
  }
  tables.Begin(store.size() + store.frame(), 1);
  store.Append(last.keys.data(), last.values.data(), 1, tables, threads);
  std::vector<float> out(last.queries.size());
  const QuerySlice slice{.queries = last.queries.data(),
                         .output = out.data(),
                         .T = 1,
                         .store = &store,
                         .tables = &tables,
                         .memories = &memories};
  attention.Attend({&slice, 1}, nullptr, threads, scratch);
  return out;
}

TEST_P(MemoryTest, TokensThatAreTakenOutBringTheTextNearerToMemories) {
  const std::vector<float> shifted = OutputBehind(40, 16);
  const std::vector<float> fresh = OutputBehind(24, 0);
  for (size_t o = 0; o < fresh.size(); ++o) {
    EXPECT_NEAR(shifted[o], fresh[o], 1e-5);
  }
}

// A long memory is divided among workers.
TEST_P(MemoryTest, ThreadsChangeNoBit) {
  const HeadShape shape{4, 2, 64};
  const DType type = DType::kF16;
  const Read read(shape, 5000, 3, type);
  const Sequence own = MakeSequence(shape, 70, 4);
  const position::Plan plan = MakePlan("rerope:window=20", 64, 70);
  const LayerMemories memories{.type = type,
                               .query = position::Constant(20),
                               .table = plan.tables.front(),
                               .tokens = 4996,
                               .parts = {read.Part(4)}};
  const BandedAttention attention(plan, shape);
  std::vector<std::vector<float>> outputs;
  for (const int64_t workers : {1, 3}) {
    const std::unique_ptr<ParallelFor> threads = MakeThreadPool(workers);
    KvStore store = attention.NewStore(type);
    RotationTables tables;
    AttentionScratch scratch;
    std::vector<float>& out = outputs.emplace_back(own.queries.size());
    int64_t at = 0;
    for (const int64_t T : {int64_t{69}, int64_t{1}}) {
      tables.Begin(at, T);
      store.Append(own.keys.data() + at * shape.G * shape.D,
                   own.values.data() + at * shape.G * shape.D, T, tables,
                   *threads);
      const QuerySlice slice{
          .queries = own.queries.data() + at * shape.H * shape.D,
          .output = out.data() + at * shape.H * shape.D,
          .T = T,
          .store = &store,
          .tables = &tables,
          .memories = &memories};
      attention.Attend({&slice, 1}, nullptr, *threads, scratch);
      at += T;
    }
  }
  EXPECT_EQ(outputs[0], outputs[1]);
}

}  // namespace
}  // namespace ropewalk::attention
