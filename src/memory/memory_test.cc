// Laws, reading documents, and where memories stand.

#include "memory/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attention/definition/memory_reference.h"
#include "attention/serving/attention.h"
#include "attention/serving/attention_for_test.h"
#include "base/error.h"
#include "kernels/stored.h"
#include "memory/memory_for_test.h"
#include "memory/rotated_keys.h"
#include "tests/model_logits.h"

namespace ropewalk::memory {
namespace {

using attention::kTile;
using attention::MemoryPart;
using model::kSameLogits;

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBf16,
                            DType::kQ8_0, DType::kQ4_0};

// What is stored of token `slot`: the keys, or the values, of all key heads.
std::vector<float> RowOf(const MemoryPart& part, bool keys, int64_t slot,
                         const attention::HeadShape& heads, DType type) {
  const int64_t D = heads.D;
  const int64_t panel = kernels::KeyPanelBytes(type, D);
  const int64_t values = kernels::ValueBytes(type, kTile, D);
  const auto& tiles = keys ? part.keys : part.values;
  const uint8_t* tile = tiles[static_cast<size_t>(slot / kTile)].get();
  const int64_t at = slot % kTile;
  std::vector<float> row(static_cast<size_t>(heads.G * D));
  for (int64_t g = 0; g < heads.G; ++g) {
    float* out = row.data() + g * D;
    if (keys) {
      const int64_t head = g * kTile / kernels::kKeyPanel * panel;
      kernels::UnpackKey(type, tile + head + at / kernels::kKeyPanel * panel, D,
                         at % kernels::kKeyPanel, out);
    } else {
      kernels::UnpackValue(type, tile + g * values, kTile, D, at, out);
    }
  }
  return row;
}

TEST(LawTest, SpellingsAreReadAndPrinted) {
  for (const auto& [spelling, printed] :
       std::vector<std::pair<std::string, std::string>>{
           {"far", "far:skip=4,alone=4"},
           {"far:distance=1k", "far:distance=1024,skip=4,alone=4"},
           {"place:skip=0", "place:skip=0,alone=4"},
           {"order:distance=0,skip=1,alone=0",
            "order:distance=0,skip=1,alone=0"},
           {"far:sharpness=1.25,bias=-0.5",
            "far:skip=4,alone=4,sharpness=1.25,bias=-0.5"}}) {
    EXPECT_EQ(ToString(ParseLaw(spelling)), printed);
    EXPECT_EQ(ToString(ParseLaw(printed)), printed);
  }
}

TEST(LawTest, WhatIsNoLawIsRefusedInOneLine) {
  for (const auto& [spelling, reason] :
       std::vector<std::pair<std::string, std::string>>{
           {"", "'' is none of far, place, order"},
           {"near", "'near' is none of far, place, order"},
           {"far\n", "is none of far"},
           {"far:", "'' is not KEY=VALUE"},
           {"far:skip", "'skip' is not KEY=VALUE"},
           {"far:skip=1,", "'' is not KEY=VALUE"},
           {"far:angle=3", "'angle' is none of distance, skip"},
           {"far:skip=-1", "skip must be a number of tokens, got '-1'"},
           {"far:skip=4000000000", "skip must be a number of tokens"},
           {"far:distance=x", "distance must be a number of tokens"},
           {"far:sharpness=0", "sharpness must be from 0.01 to 100, got '0'"},
           {"far:bias=nan", "bias must be from -100 to 100, got 'nan'"},
           {"far:bias=1e999", "bias must be from -100 to 100"}}) {
    const std::string message = Refusal<std::invalid_argument>(
        [spelling = spelling] { ParseLaw(spelling); });
    ExpectOneLine(message);
    EXPECT_NE(message.find(reason), std::string::npos) << message;
  }
}

TEST(LawTest, FarStandsAtAQuarterOfTheTrainedLength) {
  const position::ModelPositions positions{.train_length = 2048};
  EXPECT_EQ(LawFor({}, positions).distance, 512);
  EXPECT_EQ(LawFor({.distance = 7}, positions).distance, 7);
  EXPECT_EQ(LawFor({.kind = Law::Kind::kPlace}, positions).distance, 0);
  EXPECT_EQ(LawFor({}, positions).sharpness, 1.1);
  EXPECT_EQ(LawFor({}, positions).bias, -1);
  EXPECT_EQ(LawFor({.sharpness = 1.3}, positions).sharpness, 1.3);
  EXPECT_EQ(LawFor({.bias = 0.0}, positions).bias, 0);
  // Layers with a window of their own leave the others for what is far.
  position::ModelPositions windows = positions;
  windows.layers.resize(2);
  windows.layers[0].window = 64;
  EXPECT_EQ(LawFor({}, windows).sharpness, 1);
  EXPECT_EQ(LawFor({}, windows).bias, 0);
  EXPECT_EQ(LawFor({.bias = -2.0}, windows).bias, -2);
  // Those that a prompt chose stand in one place as long as they fit.
  EXPECT_EQ(LawForChosen(1000, 536, positions).kind, Law::Kind::kPlace);
  EXPECT_EQ(LawForChosen(1000, 537, positions).kind, Law::Kind::kFar);
  EXPECT_EQ(LawForChosen(1000, 537, positions).distance, 512);
}

TEST(CutPartsTest, PartsCoverTheDocumentAndHoldTheirOverlap) {
  for (const int64_t n : {1, 7, 8, 9, 40, 63, 64, 65, 500}) {
    for (const auto& [part, overlap] : std::vector<std::pair<int64_t, int64_t>>{
             {1, 0}, {8, 0}, {8, 7}, {48, 8}, {64, 63}}) {
      int64_t next = 0;
      for (const auto& [begin, end] :
           CutParts(n, {.part = part, .overlap = overlap})) {
        EXPECT_EQ(begin, next);
        EXPECT_LT(begin, end);
        EXPECT_LE(end - begin + std::min(overlap, begin), part);
        next = end;
      }
      EXPECT_EQ(next, n);
    }
  }
}

TEST(ReadMemoryTest, APartIsWhatReadingItAloneGives) {
  const auto engine = NewEngine("parts");
  const attention::HeadShape& heads = engine->model().config().heads;
  for (const DType type : kTypes) {
    const ReadOptions options{.part = 48, .overlap = 8, .type = type};
    const auto document = RandomIds(110, 1);
    const Memory memory =
        ReadMemory(*engine, "a", "", document, options, [](int64_t) {});
    ASSERT_EQ(memory.parts.size(), 3u);
    for (const memory::Part& part : memory.parts) {
      // The begin token, the overlap and the part, under the model's own
      // positions.
      const int64_t before = std::min<int64_t>(8, part.begin);
      std::vector<Token> ids = {1};
      ids.insert(ids.end(), document.begin() + part.begin - before,
                 document.begin() + part.begin + part.tokens());
      engine::Session session = Open(engine, "rerope:window=64", type);
      session.Read(ids);
      for (int64_t l = 0; l < 2; ++l) {
        const MemoryPart& layer = part.layers[static_cast<size_t>(l)];
        EXPECT_EQ(layer.first, 1 + before);
        EXPECT_EQ(layer.last, static_cast<int64_t>(ids.size()));
        const MemoryPart want = session.sequence().store(l).ShareAll();
        for (int64_t slot = layer.first; slot < layer.last; ++slot) {
          for (const bool keys : {true, false}) {
            ASSERT_EQ(RowOf(layer, keys, slot, heads, type),
                      RowOf(want, keys, slot, heads, type))
                << l << " " << slot;
          }
        }
      }
    }
  }
}

TEST(ReadMemoryTest, ReadersHearOfEveryTokenAndMayStop) {
  const auto engine = NewEngine("stop");
  const ReadOptions options{.part = 48, .overlap = 8};
  int64_t heard = 0;
  ReadMemory(*engine, "a", "", RandomIds(110, 1), options,
             [&](int64_t T) { heard += T; });
  EXPECT_EQ(heard, 110 + 2 * 8 + 3);
  const int64_t bytes = engine->workspace().pool()->bytes();
  EXPECT_THROW(ReadMemory(*engine, "a", "", RandomIds(110, 1), options,
                          [](int64_t) { throw Interrupted(); }),
               Interrupted);
  EXPECT_EQ(engine->workspace().pool()->bytes(), bytes);
}

TEST(ReadMemoryTest, DocumentsThatCannotBeReadAreRefusedInOneLine) {
  const auto engine = NewEngine("refused");
  const auto refusal = [&](const ReadOptions& options, int64_t tokens) {
    const std::string message = Refusal<std::invalid_argument>([&] {
      ReadMemory(*engine, "a\x1b[0m\nb", "", RandomIds(tokens, 1), options,
                 [](int64_t) {});
    });
    ExpectOneLine(message);
    return message;
  };
  EXPECT_NE(refusal({.part = 48, .overlap = 8}, 0).find("has no text"),
            std::string::npos);
  EXPECT_NE(refusal({.part = 65, .overlap = 8}, 9).find("1 to 64 tokens"),
            std::string::npos);
  EXPECT_NE(refusal({.part = 0, .overlap = 0}, 9).find("1 to 64 tokens"),
            std::string::npos);
  EXPECT_NE(refusal({.part = 8, .overlap = 8}, 9).find("from 0 to below 8"),
            std::string::npos);
  EXPECT_NE(refusal({.part = 8, .overlap = -1}, 9).find("from 0 to below 8"),
            std::string::npos);
  EXPECT_NE(Refusal<std::invalid_argument>([&] {
              ReadMemory(*engine, "a", "", {5, 300}, {.part = 48, .overlap = 8},
                         [](int64_t) {});
            }).find("token 300 is outside the vocabulary"),
            std::string::npos);
}

// A memory directly before a text is the beginning of that text: keys and
// values of both are the same, and so are all distances. The begin token has to
// go, because a memory has none.
TEST(ArrangeTest, AMemoryInOrderEqualsReadingBothTextsTogether) {
  for (const int64_t trained : {64, 1024}) {
    const auto engine = NewEngine(
        "joint",
        {.train_length = trained, .change_keys = [](formats::Metadata& keys) {
           keys.SetBool("tokenizer.ggml.add_bos_token", false);
         }});
    const int64_t n = trained == 64 ? 50 : 700;
    const auto document = RandomIds(n, 1);
    const auto ids = RandomIds(40, 2);
    const Memories memory = {std::make_shared<const Memory>(ReadMemory(
        *engine, "a", "", document,
        {.part = trained, .overlap = 0, .type = DType::kF32}, [](int64_t) {}))};
    const auto joint = [&](size_t count) {
      engine::Session session = Open(engine, "rope", DType::kF32, 2000);
      session.Read(document);
      return session.Read(Cut(ids, 0, count));
    };
    for (const std::string& law :
         std::vector<std::string>{"order:skip=0,alone=0,sharpness=1,bias=0",
                                  "place:skip=0,alone=0,sharpness=1,bias=0"}) {
      engine::Session beside = Open(engine, "rope", DType::kF32, 2000);
      Attach(beside, memory, law);
      EXPECT_LT(LargestDifference(beside.Read(Cut(ids, 0, 30)), joint(30)),
                kSameLogits)
          << law << " " << n;
      engine::Session one = Open(engine, "rope", DType::kF32, 2000);
      Attach(one, memory, law);
      EXPECT_LT(LargestDifference(one.Read(Cut(ids, 0, 1)), joint(1)),
                kSameLogits)
          << law << " " << n;
    }
    engine::Session apart = Open(engine, "rope", DType::kF32, 2000);
    Attach(apart, memory,
           "order:distance=20,skip=0,alone=0,sharpness=1,bias=0");
    EXPECT_GT(LargestDifference(apart.Read(Cut(ids, 0, 30)), joint(30)), 1e-2);
  }
}

// The largest norm of a row of 16 numbers, the width of the heads of tiny
// models.
double LargestNorm(const std::vector<double>& rows) {
  double most = 0;
  for (size_t at = 0; at < rows.size(); at += 16) {
    double sum = 0;
    for (size_t d = 0; d < 16; ++d) sum += rows[at + d] * rows[at + d];
    most = std::max(most, std::sqrt(sum));
  }
  return most;
}

// Attention of a layer to arranged memories against the definition, over the
// keys and values as they are stored without rotation.
void ExpectDefinition(engine::Engine& engine, const Memories& memories,
                      const std::string& law, int64_t skip,
                      const position::PositionMap& query,
                      const position::PositionMap& key) {
  constexpr int64_t n = 40;
  const attention::HeadShape shape = engine.model().config().heads;
  const attention::Sequence own = attention::MakeSequence(shape, n, 7);
  const position::Stack stack = position::BuildStack(
      position::Resolve(position::ParseScheme("rope"), engine.positions(), n),
      engine.positions(), n, 2);
  const auto arranged = Arrange(memories, ParseLaw(law), engine, stack);
  Memories sorted = memories;
  std::ranges::sort(sorted, {},
                    [](const auto& memory) { return memory->hash; });
  for (size_t l = 0; l < 2; ++l) {
    std::vector<double> keys;
    std::vector<double> values;
    for (const auto& memory : sorted) {
      for (const memory::Part& part : memory->parts) {
        const MemoryPart& layer = part.layers[l];
        for (int64_t slot = std::max(skip, layer.first); slot < layer.last;
             ++slot) {
          const auto k = RowOf(layer, true, slot, shape, DType::kF32);
          const auto v = RowOf(layer, false, slot, shape, DType::kF32);
          keys.insert(keys.end(), k.begin(), k.end());
          values.insert(values.end(), v.begin(), v.end());
        }
      }
    }
    const position::Plan& plan = stack[l];
    const attention::BandedAttention attention(plan, shape);
    attention::KvStore store = attention.NewStore(DType::kF32);
    attention::RotationTables tables;
    attention::AttentionScratch scratch;
    SerialFor threads;
    std::vector<float> got(own.queries.size());
    tables.Begin(0, n);
    store.Append(own.keys.data(), own.values.data(), n, tables, threads);
    const attention::QuerySlice slice{.queries = own.queries.data(),
                                      .output = got.data(),
                                      .T = n,
                                      .store = &store,
                                      .tables = &tables,
                                      .memories = &(*arranged)[l]};
    attention.Attend({&slice, 1}, nullptr, threads, scratch);
    const auto want = attention::ReferenceMemoryAttention(
        plan, shape, attention::Doubles(own.queries),
        attention::Doubles(own.keys), attention::Doubles(own.values), {},
        {.query = query,
         .key = key,
         .table = plan.tables.front(),
         .sharpness = (*arranged)[l].sharpness,
         .bias = (*arranged)[l].bias,
         .from = (*arranged)[l].from,
         .keys = keys,
         .values = values});
    // As attention::Tolerance, over both texts. Rotated keys are stored in
    // float32, which adds two half-ulps to each product.
    const double query_norm = LargestNorm(attention::Doubles(own.queries));
    const double key_norm =
        std::max(LargestNorm(keys), LargestNorm(attention::Doubles(own.keys)));
    double value = 0;
    for (const float v : own.values) {
      value = std::max(value, std::abs(static_cast<double>(v)));
    }
    for (const double v : values) value = std::max(value, std::abs(v));
    const double score = static_cast<double>(shape.D + 10) * 0x1p-24 *
                         query_norm * key_norm * shape.ScoreFactor() *
                         std::max(1.0, (*arranged)[l].sharpness);
    const double tolerance = (2 * score + 16 * 0x1p-24) * value;
    for (size_t at = 0; at < want.size(); ++at) {
      ASSERT_NEAR(got[at], want[at], tolerance) << law << " layer " << l;
    }
  }
}

TEST(ArrangeTest, EveryLawMatchesFloat64) {
  const auto engine = NewEngine("laws");
  // 39 tokens count of each, behind the begin token.
  const Memories two = {Read(*engine, 39, 1), Read(*engine, 39, 2)};
  ExpectDefinition(*engine, two, "far:distance=33", 4, position::Constant(33),
                   position::Constant(0));
  ExpectDefinition(*engine, two, "far:distance=7,skip=9,alone=0", 9,
                   position::Constant(7), position::Constant(0));
  // 36 behind the first four.
  ExpectDefinition(
      *engine, two, "place:distance=5", 4, {.offset = 36 + 5},
      {.kind = position::PositionMap::Kind::kModulo, .divisor = 36});
  ExpectDefinition(*engine, two, "order:distance=3,sharpness=1.2,bias=-1", 4,
                   {.offset = 72 + 3}, position::Identity());
  // Parts follow one another as memories do.
  const Memories parts = {Read(*engine, 110, 3)};
  ExpectDefinition(*engine, parts, "order:skip=0", 0, {.offset = 110},
                   position::Identity());
}

// A rotated copy is off by what its type rounds: half a step of each component
// (of q4_0, which has no +8, a whole one), and float32 rounding of the
// rotation.
TEST(RotateKeysTest, RotatedCopiesMatchFloat64InEveryType) {
  const auto engine = NewEngine("rotated");
  const attention::HeadShape& heads = engine->model().config().heads;
  const position::FrequencyTable table =
      position::OwnTable(engine->positions(), 64);
  for (const DType type : kTypes) {
    const auto memory =
        Read(*engine, 60, 1, {.part = 64, .overlap = 0, .type = type});
    const MemoryPart& stored = memory->parts.front().layers[1];
    MemoryPart part = stored;
    RotateKeys(part, 1000 - stored.first, table, type, heads,
               *engine->workspace().pool());
    EXPECT_NE(part.keys.front(), stored.keys.front());
    EXPECT_EQ(part.values.front(), stored.values.front());
    for (int64_t slot = part.first; slot < part.last; ++slot) {
      const auto before = RowOf(stored, true, slot, heads, type);
      const auto after = RowOf(part, true, slot, heads, type);
      const auto r = static_cast<double>(1000 + slot - stored.first);
      double largest = 0;
      for (const float x : before) {
        largest = std::max(largest, std::abs(static_cast<double>(x)));
      }
      largest *= std::sqrt(2.0);
      const double step = type == DType::kF32    ? 0
                          : type == DType::kF16  ? 0x1p-11
                          : type == DType::kBf16 ? 0x1p-8
                          : type == DType::kQ4_0 ? 1 / 7.9
                                                 : 0.51 / 127;
      const int64_t half = heads.D / 2;
      for (int64_t g = 0; g < heads.G; ++g) {
        for (int64_t m = 0; m < half; ++m) {
          const double angle = r * table.frequencies[static_cast<size_t>(m)];
          const auto a = static_cast<size_t>(g * heads.D + m);
          const auto b = a + static_cast<size_t>(half);
          const double x = before[a];
          const double y = before[b];
          const double tolerance = largest * (step + 4 * 0x1p-24);
          ASSERT_NEAR(after[a], x * std::cos(angle) - y * std::sin(angle),
                      tolerance);
          ASSERT_NEAR(after[b], x * std::sin(angle) + y * std::cos(angle),
                      tolerance);
        }
      }
    }
  }
}

TEST(ReadMemoryTest, BytesAreKnownBeforehand) {
  const auto engine = NewEngine("bytes");
  for (const DType type : kTypes) {
    const ReadOptions options{.part = 48, .overlap = 8, .type = type};
    const int64_t before = engine->workspace().pool()->bytes();
    const auto memory = Read(*engine, 110, 1, options);
    EXPECT_EQ(engine->workspace().pool()->bytes() - before,
              BytesFor(*engine, 110, options));
  }
}

}  // namespace
}  // namespace ropewalk::memory
