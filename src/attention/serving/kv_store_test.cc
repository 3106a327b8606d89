// Trim, Evict, and the memory of stores.

#include "attention/serving/kv_store.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "attention/serving/attention_for_test.h"
#include "attention/serving/live_text_for_test.h"
#include "kernels/nibbles.h"

namespace ropewalk::attention {
namespace {

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBf16,
                            DType::kQ8_0, DType::kQ4_0};
constexpr HeadShape kShape{2, 1, 8};

const Sequence& Text() {
  static const Sequence kText = MakeSequence(kShape, 500, 30);
  return kText;
}

bool IsWindow(const std::string& spelling) {
  return spelling.find("window:") != std::string::npos;
}

// Calls body(spelling, type) for every spelling in f32 and some in other types.
template <typename Body>
void ForSpellingsAndTypes(const Body& body) {
  for (const DType type : kTypes) {
    for (const std::string& spelling : Spellings()) {
      if (type != DType::kF32 && spelling.find("w=20") == std::string::npos &&
          spelling.find("window=20") == std::string::npos &&
          spelling != "rope" && spelling != "dca:chunk=24") {
        continue;
      }
      SCOPED_TRACE(spelling + " " + std::string(InfoOf(type).name));
      body(spelling, type);
      if (testing::Test::HasFailure()) return;
    }
  }
}

// Sizes are around 0, the window, the ring's spare rows, and tiles.
TEST(TrimTest, ATrimmedTextContinuesLikeAShorterText) {
  ForSpellingsAndTypes([&](const std::string& spelling, DType type) {
    const position::Plan plan = MakePlan(spelling, kShape.D, 400);
    for (const int64_t size : {0, 1, 19, 20, 127, 128, 129, 236, 255, 256, 257,
                               281, 298, 299, 300}) {
      SCOPED_TRACE(size);
      LiveText text(plan, Text(), type);
      text.Append(0, 190);
      for (int64_t t = 190; t < 300; ++t) text.Append(t, 1);
      if (text.store().WhyNotTrim(size)) {
        ASSERT_TRUE(IsWindow(spelling));
        continue;
      }
      text.Trim(size);
      ASSERT_EQ(text.store().size(), size);
      text.ExpectStoredRows(2);
      LiveText fresh(plan, Text(), type);
      if (size > 0) fresh.Append(0, size);
      const auto prefilled = text.ReadAndCheck(300, 40);
      const auto decoded = text.ReadAndCheck(340, 1);
      // The bits are equal if no near key was computed again, or if it was
      // computed from an unrotated f32 key.
      if (plan.KeyStores(nullptr).size() == 1 ||
          (type == DType::kF32 && plan.KeyStores(nullptr)[0].key.IsZero())) {
        ASSERT_EQ(fresh.Read(300, 40), prefilled);
        ASSERT_EQ(fresh.Read(340, 1), decoded);
      }
      if (testing::Test::HasFailure()) return;
    }
  });
}

TEST(TrimTest, WindowsNameTheTokenThatIsGoneAndStayUnchanged) {
  for (const char* spelling :
       {"window:size=20", "sink-window:size=20,sinks=4"}) {
    LiveText text(MakePlan(spelling, kShape.D, 400), Text());
    for (int64_t t = 0; t < 300; ++t) text.Append(t, 1);
    const std::string before = BytesOf(text.store());
    for (const int64_t size : {-1, 301, 160, 256, 270}) {
      const auto reason = text.store().WhyNotTrim(size);
      ASSERT_TRUE(reason) << spelling << size;
      const bool none = size < 0 || size > 300;
      EXPECT_NE(reason->find(none ? "cannot be trimmed" : "is gone"),
                std::string::npos)
          << *reason;
      EXPECT_THROW(text.Trim(size), std::invalid_argument);
    }
    EXPECT_TRUE(BytesOf(text.store()) == before);
    EXPECT_FALSE(text.store().WhyNotTrim(290));
    EXPECT_FALSE(text.store().WhyNotTrim(0));
    text.Trim(0);
    text.ReadAndCheck(0, 60);
  }
}

// Trim computes tiles of the ring again; they must be dropped again later.
TEST(TrimTest, RingsStaySmallHoweverOftenTheTextIsTrimmed) {
  const Sequence s = MakeSequence({1, 1, 8}, 3000, 31);
  const int64_t row = 8 * 4;
  const auto rope_bytes = [&] {
    LiveText text(MakePlan("rope", 8, 3000), s);
    text.Append(0, 3000);
    return text.store().bytes();
  }();
  for (const char* spelling :
       {"rerope:window=100", "self-extend:window=100,group=9"}) {
    LiveText text(MakePlan(spelling, 8, 3000), s);
    for (int64_t size = 0; size < 2900; size += 150) {
      while (text.store().size() < size + 100) {
        text.Append(text.store().size(), 100);
      }
      text.Trim(std::max<int64_t>(0, size - 40));
    }
    text.Append(text.store().size(), 100);
    EXPECT_LE(text.store().bytes() - rope_bytes, (100 + 100 + 3 * kTile) * row)
        << spelling;
  }
}

TEST(TrimTest, FreedTilesAreUsedAgain) {
  LiveText text(MakePlan("rerope:window=20", kShape.D, 400), Text());
  text.Append(0, 500);
  const int64_t bytes = text.store().bytes();
  for (const int64_t size : {300, 20, 0, 128}) {
    text.Trim(size);
    for (int64_t t = size; t < 500; t += 20) {
      text.Append(t, std::min<int64_t>(20, 500 - t));
    }
    EXPECT_LE(text.store().bytes(), bytes) << size;
  }
}

TEST(EvictTest, RemainingTokensKeepTheirIdsAndScores) {
  ForSpellingsAndTypes([&](const std::string& spelling, DType type) {
    const position::Plan plan = MakePlan(spelling, kShape.D, 500);
    for (const int64_t keep : {0, 4, 128, 130}) {
      for (const int64_t count : {1, 60, 126, 128}) {
        SCOPED_TRACE(std::to_string(keep) + " " + std::to_string(count));
        LiveText text(plan, Text(), type);
        text.Append(0, 300);
        text.Evict(keep, count);
        text.ExpectStoredRows(1);
        text.ReadAndCheck(300, 30);
        text.Evict(keep, 30);  // the next oldest
        text.ReadAndCheck(330, 1);
        text.ReadAndCheck(331, 20);
        if (testing::Test::HasFailure()) return;
      }
    }
  });
}

TEST(EvictTest, AllButTheKeptTokensCanBeEvicted) {
  for (const char* spelling : {"rope", "rerope:window=20", "window:size=20"}) {
    for (const int64_t keep : {0, 4}) {
      for (const int64_t size : {100, 256}) {
        LiveText text(MakePlan(spelling, kShape.D, 500), Text());
        text.Append(0, size);
        text.Evict(keep, size - keep);
        text.ReadAndCheck(300, 1);
        text.ReadAndCheck(301, 40);
      }
    }
  }
}

TEST(EvictTest, RefusesTokensThatAreNotThere) {
  LiveText text(MakePlan("rope", kShape.D, 500), Text());
  text.Append(0, 100);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const auto& [keep, count] :
       std::vector<std::pair<int64_t, int64_t>>{{-1, 1},
                                                {0, -1},
                                                {0, 101},
                                                {50, 51},
                                                {101, 0},
                                                {100, 1},
                                                {1, kMost},
                                                {kMost, 1},
                                                {kMost, kMost}}) {
    EXPECT_TRUE(text.store().WhyNotEvict(keep, count)) << keep << " " << count;
    EXPECT_THROW(text.store().Evict(keep, count), std::invalid_argument);
  }
  text.Evict(4, 10);
  EXPECT_TRUE(text.store().WhyNotEvict(5, 1));
  EXPECT_FALSE(text.store().WhyNotEvict(4, 86));
  EXPECT_TRUE(text.store().WhyNotEvict(4, 87));
  EXPECT_TRUE(text.store().WhyNotEvict(4, kMost));
  // A text cannot end within the gap.
  EXPECT_TRUE(text.store().WhyNotTrim(5));
  EXPECT_TRUE(text.store().WhyNotTrim(13));
  EXPECT_FALSE(text.store().WhyNotTrim(14));
  EXPECT_FALSE(text.store().WhyNotTrim(4));
}

TEST(EvictTest, TrimmingToTheKeptTokensRemovesTheGap) {
  for (const std::string& spelling : Spellings()) {
    for (const bool close : {false, true}) {
      for (const int64_t size : {4, 3, 0}) {
        SCOPED_TRACE(spelling + (close ? " closed " : " open ") +
                     std::to_string(size));
        const position::Plan plan = MakePlan(spelling, kShape.D, 500);
        LiveText text(plan, Text());
        text.Append(0, 180);
        text.Evict(4, 72);  // a multiple of 3 and 24
        if (close && text.store().WhyNotCloseGap()) continue;
        if (close) text.CloseGap();
        if (text.store().WhyNotTrim(size)) continue;
        text.Trim(size);
        EXPECT_EQ(text.frame(), 0);
        text.ExpectStoredRows(1);
        text.ReadAndCheck(200, 150);
        text.ReadAndCheck(350, 1);
        text.Evict(2, 20);  // another `keep` is allowed now
        text.ReadAndCheck(351, 1);
      }
    }
  }
}

TEST(EvictTest, AStreamTakesConstantMemory) {
  for (const DType type : kTypes) {
    for (const char* spelling : {"rope", "rerope:window=20"}) {
      LiveText text(MakePlan(spelling, kShape.D, 500), Text(), type);
      // See WhyNotCloseGap.
      const int64_t keep = kernels::StoresQuants(type) ? 0 : 4;
      text.Append(0, 400);
      const int64_t bytes = text.store().bytes();
      for (int64_t step = 0; step < 40; ++step) {
        text.Evict(keep, 100);
        if (step % 3 == 0) text.CloseGap();
        text.Append(step * 7, 100);
      }
      // The allowance is for tiles that are partly in the gap, at both ends.
      EXPECT_LE(text.store().bytes(), bytes * 6 / 4) << spelling;
      text.ReadAndCheck(400, 20);
    }
  }
}

TEST(KvStoreTest, WindowsHoldConstantMemoryAndRingsStaySmall) {
  SerialFor serial;
  const HeadShape shape{1, 1, 8};
  const Sequence s = MakeSequence(shape, 3000, 14);
  const auto bytes_after = [&](const char* spelling, int64_t n) {
    Sequence part = s;
    part.n = n;
    const position::Plan plan = MakePlan(spelling, 8, 4096);
    KvStore store(plan, shape);
    RunChunks(plan, part, {128}, serial, nullptr, &store);
    return store.bytes();
  };
  const int64_t row = 8 * 4;  // bytes of a key or a value
  const int64_t rope = bytes_after("rope", 3000);
  EXPECT_EQ(rope, (3000 + kTile - 1) / kTile * kTile * row * 2);
  for (const char* constant :
       {"window:size=100", "sink-window:size=100,sinks=4"}) {
    const int64_t held = bytes_after(constant, 1000);
    EXPECT_EQ(bytes_after(constant, 3000), held) << constant;
    // window + chunk + the tiles that straddle either end, and the sinks'
    EXPECT_LE(held, (100 + 128 + 3 * kTile) * row * 2) << constant;
  }
  for (const char* ring :
       {"rerope:window=100", "self-extend:window=100,group=99"}) {
    EXPECT_LE(bytes_after(ring, 3000) - rope, (100 + 128 + 2 * kTile) * row)
        << ring;
    EXPECT_GE(bytes_after(ring, 3000) - rope, 100 * row) << ring;
  }
}

TEST(KvStoreTest, ARingOf512CostsAFiftiethOf16k) {
  const HeadShape shape{1, 1, 32};
  const Sequence s = MakeSequence(shape, 1 << 14, 15);
  for (const DType type : kTypes) {
    const auto bytes = [&](const char* spelling) {
      LiveText text(MakePlan(spelling, 32, 1 << 14), s, type);
      for (int64_t t = 0; t < s.n; t += 512) text.Append(t, 512);
      return static_cast<double>(text.store().bytes());
    };
    EXPECT_LE(bytes("rerope:window=512"), 1.05 * bytes("rope"));
    EXPECT_LE(bytes("leaky-rerope:window=512,k=16"), 1.05 * bytes("rope"));
  }
}

TEST(KvStoreTest, RefusesInvalidShapes) {
  const position::Plan plan = MakePlan("rope", 8, 10);
  EXPECT_THROW(BandedAttention(plan, {3, 2, 8}), std::invalid_argument);
  EXPECT_THROW(BandedAttention(plan, {0, 1, 8}), std::invalid_argument);
  EXPECT_THROW(BandedAttention(plan, {2, 2, 6}), std::invalid_argument);
  EXPECT_THROW(BandedAttention(plan, {2, 2, 8, -1}), std::invalid_argument);
  EXPECT_THROW(KvStore(plan, {2, 2, 8}, DType::kQ4_1), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::attention
