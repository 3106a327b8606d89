// CloseGap and ChangePlan: afterwards a live store gives the outputs of a store
// that was filled that way from the start.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "attention/serving/attention_for_test.h"
#include "attention/serving/kv_store.h"
#include "attention/serving/live_text_for_test.h"
#include "kernels/nibbles.h"

namespace ropewalk::attention {
namespace {

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBf16,
                            DType::kQ8_0, DType::kQ4_0};
constexpr HeadShape kShape{2, 1, 8};

const Sequence& Text() {
  static const Sequence kText = MakeSequence(kShape, 700, 40);
  return kText;
}

position::Plan PlanOf(const std::string& spelling, int64_t length = 700) {
  return MakePlan(spelling, kShape.D, length);
}

// Copies the bytes of a tile of the main store.
std::string MainKeys(const KvStore& store, int64_t tile) {
  const KvImage image = store.Image();
  for (const KvImage::Tile& at : image.keys[0]) {
    if (at.number != tile) continue;
    return {reinterpret_cast<const char*>(at.data),
            static_cast<size_t>(image.key_tile_bytes)};
  }
  return "";
}

// Gaps are multiples of 24, so that every plan can close them.
TEST(CloseGapTest, OutputsAreThoseOfTheTextWithoutTheGap) {
  for (const DType type : kTypes) {
    for (const char* spelling :
         {"rope", "pi:factor=8", "ntk-mixed:factor=4+logn", "yarn:factor=8",
          "rerope:window=20", "rerope:window=64+logn-clip",
          "leaky-rerope:window=20,k=16", "leaky-rerope:window=20,k=1/4",
          "self-extend:window=20,group=3", "dca:chunk=24", "nope", "cope"}) {
      for (const int64_t keep : {0, 4, 130}) {
        for (const int64_t count : {24, 72, 240}) {
          SCOPED_TRACE(std::string(spelling) + " " +
                       std::string(InfoOf(type).name) + " " +
                       std::to_string(keep) + " " + std::to_string(count));
          LiveText text(PlanOf(spelling), Text(), type);
          text.Append(0, 400);
          text.Evict(keep, count);
          if (text.store().WhyNotCloseGap()) {
            // Refused only because keys would be rounded a second time.
            ASSERT_TRUE(kernels::StoresQuants(type) && keep > 0);
            continue;
          }
          text.CloseGap();
          ASSERT_EQ(text.store().size(), 400 - count);
          ASSERT_EQ(text.frame(), count);
          text.ExpectStoredRows(2);
          text.ReadAndCheck(400, 30);
          // Does it again, after reading with an open gap.
          text.Evict(keep, 48);
          text.ReadAndCheck(430, 1);
          text.CloseGap();
          text.ReadAndCheck(431, 1);
          text.ReadAndCheck(432, 30);
          if (HasFailure()) return;
        }
      }
    }
  }
}

// The gap is closed until kept and other tokens lie within one window.
TEST(CloseGapTest, KeptTokensAreReadAsNearKeys) {
  for (const std::string& spelling : Spellings()) {
    for (const int64_t keep : {4, 70, 130, 190}) {
      SCOPED_TRACE(spelling + " " + std::to_string(keep));
      LiveText text(PlanOf(spelling), Text());
      for (int64_t t = 0; t < 400; t += 8) text.Append(t, 8);
      text.Evict(keep, (400 - keep - 3) / 72 * 72);
      if (const auto reason = text.store().WhyNotCloseGap()) {
        ASSERT_TRUE(spelling.find("window:size") != std::string::npos ||
                    spelling == "dca:chunk=63")
            << *reason;
        EXPECT_THROW(text.CloseGap(), std::invalid_argument);
        text.ReadAndCheck(400, 1);
        continue;
      }
      text.CloseGap();
      text.ExpectStoredRows(1);
      text.ReadAndCheck(400, 1);
      text.ReadAndCheck(401, 70);
      if (HasFailure()) return;
    }
  }
}

// A window has dropped the first tiles of the kept rows.
TEST(CloseGapTest, WindowsRotateTheKeptTokensThatTheyStillHave) {
  LiveText text(PlanOf("window:size=100"), Text());
  for (int64_t t = 0; t < 260; ++t) text.Append(t, 1);
  text.Evict(230, 5);
  text.CloseGap();
  text.ExpectStoredRows(1);
  text.ReadAndCheck(300, 1);
  text.ReadAndCheck(301, 20);
}

TEST(CloseGapTest, AWindowThatHasDroppedKeysItWouldSeeRefuses) {
  LiveText text(PlanOf("window:size=20"), Text());
  for (int64_t t = 0; t < 266; ++t) text.Append(t, 1);
  text.Evict(130, 130);
  const auto reason = text.store().WhyNotCloseGap();
  ASSERT_TRUE(reason);
  EXPECT_NE(reason->find("is gone"), std::string::npos) << *reason;
  EXPECT_THROW(text.CloseGap(), std::invalid_argument);
  text.ReadAndCheck(300, 30);
}

TEST(CloseGapTest, WindowsTrimBackIntoTheKeptTokensThatTheyStillHave) {
  LiveText text(PlanOf("window:size=100"), Text());
  for (int64_t t = 0; t < 260; ++t) text.Append(t, 1);
  text.Evict(230, 5);
  text.CloseGap();
  text.Trim(228);
  EXPECT_EQ(text.frame(), 0);
  text.ExpectStoredRows(1);
  text.ReadAndCheck(300, 30);
}

TEST(CloseGapTest, RefusesWithTheReason) {
  struct Case {
    const char* spelling;
    int64_t keep;
    int64_t count;
    DType type;
    const char* reason;
  };
  for (const Case& c :
       {Case{"self-extend:window=20,group=3", 4, 25, DType::kF32, "groups"},
        Case{"dca:chunk=24", 4, 25, DType::kF32, "chunks"},
        Case{"dca:chunk=24", 0, 36, DType::kF32, "chunks"},
        Case{"sink-window:size=20,sinks=4", 4, 24, DType::kF32,
             "fixed position"},
        Case{"sink-window:size=20,sinks=4", 2, 24, DType::kF32, "first 4"},
        Case{"sink-window:size=20,sinks=4,cache-positions=0", 2, 24,
             DType::kF32, "first 4"},
        Case{"rope", 4, 24, DType::kQ8_0, "rounded to q8_0 a second time"},
        Case{"rope", 4, 24, DType::kQ4_0, "rounded to q4_0 a second time"},
        Case{"leaky-rerope:window=20,k=16", 4, 24, DType::kQ8_0,
             "second time"}}) {
    LiveText text(PlanOf(c.spelling), Text(), c.type);
    text.Append(0, 300);
    text.Evict(c.keep, c.count);
    const auto reason = text.store().WhyNotCloseGap();
    ASSERT_TRUE(reason) << c.spelling;
    EXPECT_NE(reason->find(c.reason), std::string::npos) << *reason;
    EXPECT_THROW(text.CloseGap(), std::invalid_argument);
    EXPECT_EQ(text.store().size(), 300);
    EXPECT_EQ(text.frame(), 0);
    text.ReadAndCheck(300, 20);
  }
  // If the plan rotates no key, every type is allowed.
  for (const char* spelling : {"rerope:window=20", "dca:chunk=24", "nope"}) {
    LiveText text(PlanOf(spelling), Text(), DType::kQ8_0);
    text.Append(0, 300);
    text.Evict(4, 24);
    EXPECT_FALSE(text.store().WhyNotCloseGap());
  }
}

TEST(CloseGapTest, NoByteBehindTheGapChanges) {
  for (const DType type : kTypes) {
    LiveText text(PlanOf("rerope:window=20"), Text(), type);
    text.Append(0, 400);
    text.Evict(4, 100);
    std::vector<std::string> before;
    for (const int64_t tile : {0, 1, 2, 3}) {
      before.push_back(MainKeys(text.store(), tile));
    }
    text.CloseGap();
    for (const int64_t tile :
         {0, 1, 2, 3}) {  // kept keys have no rotation either
      EXPECT_TRUE(MainKeys(text.store(), tile) ==
                  before[static_cast<size_t>(tile)]);
    }
  }
  LiveText text(PlanOf("rope"), Text());
  text.Append(0, 400);
  text.Evict(4, 100);
  const std::string first = MainKeys(text.store(), 0);
  const std::string second = MainKeys(text.store(), 1);
  text.CloseGap();
  EXPECT_FALSE(MainKeys(text.store(), 0) == first);
  EXPECT_TRUE(MainKeys(text.store(), 1) == second);
}

struct Change {
  const char* from;
  const char* to;
  int64_t from_length = 700;
  int64_t to_length = 700;
};
constexpr Change kChanges[] = {
    {"rope", "rerope:window=20"},
    {"rerope:window=20", "rope"},
    {"rope", "yarn:factor=8"},
    {"yarn:factor=8", "rope"},
    {"dynamic-ntk", "dynamic-ntk", 64, 700},
    {"dynamic-ntk", "dynamic-ntk", 700, 1400},
    {"leaky-rerope:window=20,k=16", "rerope:window=20"},
    {"rerope:window=20", "rerope:window=64"},
    {"rerope:window=64", "rerope:window=20"},
    {"rerope:window=1", "rerope:window=20"},
    {"rope", "dca:chunk=24"},
    {"dca:chunk=24", "rope"},
    {"rope", "self-extend:window=20,group=3"},
    {"self-extend:window=20,group=3", "leaky-rerope:window=20,k=16"},
    {"rope", "window:size=20"},
    {"rerope:window=20", "sink-window:size=20,sinks=4,cache-positions=0"},
    {"sink-window:size=20,sinks=4", "window:size=20"},
    {"window:size=64", "window:size=20"},
    {"nope", "rope"},
    {"rope", "nope"},
    {"rope", "rope"},
};

TEST(ChangePlanTest, ScoresAreThoseOfAStoreFilledUnderTheNewPlan) {
  for (const DType type : kTypes) {
    for (const Change& change : kChanges) {
      for (const int64_t size : {100, 256, 300}) {
        for (const int gap : {0, 1, 2}) {  // none, open, closed
          SCOPED_TRACE(std::string(change.from) + " to " + change.to + " " +
                       std::string(InfoOf(type).name) + " gap " +
                       std::to_string(gap) + " size " + std::to_string(size));
          LiveText text(PlanOf(change.from, change.from_length), Text(), type);
          for (int64_t t = 0; t < size; t += 20) {  // so that rings drop keys
            text.Append(t, std::min<int64_t>(20, size - t));
          }
          if (gap > 0) text.Evict(4, 72);
          if (gap == 2 && !text.store().WhyNotCloseGap()) text.CloseGap();
          const auto plan = PlanOf(change.to, change.to_length);
          if (text.store().WhyNotChangePlan(plan)) {
            ASSERT_TRUE(gap == 2 && plan.WhyNotShift(72, 4));
            continue;
          }
          text.ChangePlan(plan);
          text.ExpectStoredRows(2);
          text.ReadAndCheck(size, 1);
          text.ReadAndCheck(size + 1, 40);
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST(ChangePlanTest, ManyChangesThereAndBackMatchTheDefinition) {
  LiveText text(PlanOf("rope"), Text());
  text.Append(0, 200);
  const std::vector<const char*> plans = {
      "rerope:window=20", "leaky-rerope:window=20,k=16",
      "rerope:window=64", "dca:chunk=24",
      "yarn:factor=8",    "rope"};
  for (size_t step = 0; step < plans.size(); ++step) {
    SCOPED_TRACE(plans[step]);
    text.ChangePlan(PlanOf(plans[step]));
    text.ReadAndCheck(200 + 30 * static_cast<int64_t>(step), 29);
    text.ReadAndCheck(229 + 30 * static_cast<int64_t>(step), 1);
  }
}

// A tile of the ring begins in its middle.
TEST(ChangePlanTest, ARingOfOneKeyGrowsAfterATrim) {
  LiveText text(PlanOf("rerope:window=1"), Text());
  for (int64_t t = 0; t < 300; ++t) text.Append(t, 1);
  text.Trim(127);
  text.Append(127, 1);
  text.ChangePlan(PlanOf("rerope:window=20"));
  text.ExpectStoredRows(1);
  text.ReadAndCheck(300, 20);
}

TEST(ChangePlanTest, RefusesPlansThatSeeTokensTheWindowHasDropped) {
  for (const char* to : {"rope", "rerope:window=20", "window:size=200"}) {
    LiveText text(PlanOf("window:size=20"), Text());
    for (int64_t t = 0; t < 300; ++t) text.Append(t, 1);
    const auto reason = text.store().WhyNotChangePlan(PlanOf(to));
    ASSERT_TRUE(reason) << to;
    EXPECT_NE(reason->find("is gone"), std::string::npos) << *reason;
    EXPECT_THROW(text.store().ChangePlan(PlanOf(to)), std::invalid_argument);
    text.ReadAndCheck(300, 20);  // as it was
  }
  // Before a token is dropped the change is allowed.
  LiveText text(PlanOf("window:size=20"), Text());
  text.Append(0, 100);
  text.ChangePlan(PlanOf("rope"));
  text.ReadAndCheck(100, 20);
  EXPECT_TRUE(text.store().WhyNotChangePlan(MakePlan("rope", 32, 100)));
}

// Both plans give all pairs so far the same distance.
TEST(ChangePlanTest, PlansThatAgreeSoFarGiveTheSameOutputs) {
  for (const auto& [from, to, size] :
       std::vector<std::tuple<const char*, const char*, int64_t>>{
           {"rope", "rerope:window=64", 60},
           {"rerope:window=64", "rope", 60},
           {"rope", "dca:chunk=63", 60},
           {"rope", "leaky-rerope:window=64,k=16", 60},
           {"rope", "window:size=64", 60}}) {
    LiveText before(PlanOf(from), Text());
    LiveText after(PlanOf(from), Text());
    before.Append(0, size - 20);
    after.Append(0, size - 20);
    after.ChangePlan(PlanOf(to));
    const auto want = before.Read(size - 20, 20);
    const auto got = after.ReadAndCheck(size - 20, 20);
    for (size_t at = 0; at < want.size(); ++at) {
      // The first keys were rotated once by other tables.
      ASSERT_NEAR(got[at], want[at], 64 * 0x1p-24 * 4) << from << " " << to;
    }
  }
}

TEST(ChangePlanTest, MemoryIsAtMostThatOfTheNewPlan) {
  const Sequence s = MakeSequence({1, 1, 8}, 4000, 41);
  const auto fresh = [&](const char* spelling) {
    LiveText text(MakePlan(spelling, 8, 4000), s);
    for (int64_t t = 0; t < 4000; t += 50) text.Append(t, 50);
    return text.store().bytes();
  };
  for (const char* to :
       {"rerope:window=100", "window:size=100", "leaky-rerope:window=64,k=16",
        "sink-window:size=64,sinks=4"}) {
    for (const char* from : {"rope", "rerope:window=300"}) {
      LiveText text(MakePlan(from, 8, 4000), s);
      for (int64_t t = 0; t < 3900; t += 50) text.Append(t, 50);
      text.ChangePlan(MakePlan(to, 8, 4000));
      for (int64_t t = 3900; t < 4000; t += 50) text.Append(t, 50);
      EXPECT_LE(text.store().bytes(), fresh(to)) << from << " " << to;
    }
  }
}

// Makes allowed changes in random order and checks outputs after each.
TEST(KvEditTest, AnyOrderOfEditsGivesTheOutputsOfTheRemainingText) {
  const std::vector<std::string> plans = {"rope",
                                          "rerope:window=20",
                                          "leaky-rerope:window=64,k=16",
                                          "dca:chunk=24",
                                          "window:size=20",
                                          "self-extend:window=20,group=3",
                                          "yarn:factor=8",
                                          "window:size=200",
                                          "rerope:window=1",
                                          "sink-window:size=20,sinks=4"};
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    const DType type = kTypes[seed % 4];
    const auto plan = [&] {
      return PlanOf(plans[static_cast<size_t>(
          rng.Below(static_cast<int64_t>(plans.size())))]);
    };
    LiveText text(plan(), Text(), type);
    int64_t keep = rng.Below(2) == 0 ? 0 : rng.Below(200);
    std::string log;
    for (int64_t step = 0; step < 25; ++step) {
      const int64_t size = text.store().size();
      // Edits are mostly small, so that texts grow.
      const int64_t a =
          size - rng.Below(1 + (rng.Below(3) == 0 ? size : size / 4));
      switch (rng.Below(8)) {
        case 0:
          if (text.store().WhyNotTrim(a)) break;
          log += " trim " + std::to_string(a);
          text.Trim(a);
          break;
        case 1: {
          const int64_t count = rng.Below(4) * 72;
          if (text.store().WhyNotEvict(keep, count)) break;
          log += " evict " + std::to_string(keep) + ":" + std::to_string(count);
          text.Evict(keep, count);
          break;
        }
        case 2:
          if (text.store().WhyNotCloseGap()) break;
          log += " close";
          text.CloseGap();
          break;
        case 3: {
          const position::Plan next = plan();
          if (text.store().WhyNotChangePlan(next)) break;
          log += " plan";
          text.ChangePlan(next);
          break;
        }
        case 4: {
          LiveText copy(text.plan(), Text(), type);
          copy.RestoreFrom(text);
          log += " restore";
          text = std::move(copy);
          break;
        }
        default: {
          const int64_t T = 1 + rng.Below(rng.Below(2) == 0 ? 180 : 9);
          log += " append " + std::to_string(T);
          text.Append(rng.Below(500), T);
        }
      }
      SCOPED_TRACE("seed " + std::to_string(seed) + log);
      text.ReadAndCheck(650, 1 + rng.Below(2) * 9);
      if (type == DType::kF32) text.ExpectStoredRows(1);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace ropewalk::attention
