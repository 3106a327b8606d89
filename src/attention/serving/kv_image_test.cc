// Images of stores, as files hold them: Restore gives the same bits or refuses.

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "attention/serving/attention_for_test.h"
#include "attention/serving/kv_store.h"
#include "attention/serving/live_text_for_test.h"
#include "kernels/nibbles.h"

namespace ropewalk::attention {
namespace {

constexpr HeadShape kShape{2, 1, 8};
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

const Sequence& Text() {
  static const Sequence kText = MakeSequence(kShape, 700, 50);
  return kText;
}

// A text with a closed gap, if the plan allows that, and an open gap.
LiveText Edited(const std::string& spelling, DType type, bool edits = true) {
  LiveText text(MakePlan(spelling, kShape.D, 700), Text(), type);
  for (int64_t t = 0; t < 440; t += 40) text.Append(t, 40);
  if (!edits) return text;
  const int64_t keep = kernels::StoresQuants(type) ? 0 : 4;
  text.Evict(keep, 144);
  if (!text.store().WhyNotCloseGap()) text.CloseGap();
  text.Append(440, 50);
  text.Evict(keep, 72);
  return text;
}

TEST(KvImageTest, ARestoredStoreContinuesWithTheSameBits) {
  for (const DType type :
       {DType::kF32, DType::kF16, DType::kBf16, DType::kQ8_0, DType::kQ4_0}) {
    for (const std::string& spelling : Spellings()) {
      for (const bool edits : {false, true}) {
        SCOPED_TRACE(spelling + (edits ? " edited" : ""));
        LiveText text = Edited(spelling, type, edits);
        LiveText copy(text.plan(), Text(), type);
        copy.Append(0, 300);  // Restore replaces this text
        copy.RestoreFrom(text);
        ASSERT_TRUE(BytesOf(copy.store()) == BytesOf(text.store()));
        ASSERT_EQ(copy.Read(500, 40), text.ReadAndCheck(500, 40));
        for (int64_t t = 540; t < 680; t += 20) {
          ASSERT_EQ(copy.Read(t, 20), text.Read(t, 20));
        }
        ASSERT_EQ(copy.Read(680, 1), text.ReadAndCheck(680, 1));
      }
    }
  }
}

TEST(KvImageTest, EmptyAndFullyEvictedStoresAreRestored) {
  for (const char* spelling :
       {"rope", "rerope:window=20", "window:size=20", "window:size=1"}) {
    for (const int64_t size : {0, 100, 256}) {
      LiveText text(MakePlan(spelling, kShape.D, 700), Text());
      if (size > 0) text.Append(0, size);
      text.Evict(0, size);
      LiveText copy(text.plan(), Text());
      copy.RestoreFrom(text);
      copy.ReadAndCheck(500, 1);
      copy.ReadAndCheck(501, 60);
    }
  }
}

using Change = std::function<void(KvImage&)>;

void ExpectRefused(const std::string& spelling, const std::string& what,
                   const Change& change) {
  SCOPED_TRACE(spelling + " " + what);
  LiveText text = Edited(spelling, DType::kF32);
  KvImage image = text.store().Image();
  change(image);
  LiveText other(text.plan(), Text());
  other.Append(0, 150);
  const std::string before = BytesOf(other.store());
  EXPECT_THROW(other.store().Restore(image), std::invalid_argument);
  EXPECT_TRUE(BytesOf(other.store()) == before);
  other.ReadAndCheck(150, 20);
}

TEST(KvImageTest, CountsThatContradictEachOtherAreRefused) {
  for (const char* spelling :
       {"rope", "rerope:window=20", "dca:chunk=24", "window:size=20",
        "self-extend:window=20,group=3", "sink-window:size=20,sinks=4"}) {
    for (const int64_t bad : {int64_t{-1}, kMost, kMost - 1, -kMost - 1,
                              int64_t{1} << 40, int64_t{1} << 61}) {
      const std::string value = std::to_string(bad);
      ExpectRefused(spelling, "size " + value,
                    [&](KvImage& image) { image.size = bad; });
      ExpectRefused(spelling, "keep " + value,
                    [&](KvImage& image) { image.keep = bad; });
      ExpectRefused(spelling, "taken out " + value,
                    [&](KvImage& image) { image.taken_out = bad; });
      ExpectRefused(spelling, "frame " + value,
                    [&](KvImage& image) { image.frame = bad; });
      ExpectRefused(spelling, "key bytes " + value,
                    [&](KvImage& image) { image.key_tile_bytes = bad; });
      ExpectRefused(spelling, "value bytes " + value,
                    [&](KvImage& image) { image.value_tile_bytes = bad; });
    }
    ExpectRefused(spelling, "a tile too long",
                  [](KvImage& image) { image.size += kTile; });
    ExpectRefused(spelling, "kept beyond the end",
                  [](KvImage& image) { image.keep = image.size + 1; });
    ExpectRefused(spelling, "more closed up than taken out",
                  [](KvImage& image) { image.frame = image.taken_out + 1; });
    ExpectRefused(spelling, "kept, and nothing taken out", [](KvImage& image) {
      image.size += image.frame;
      image.taken_out = image.frame = 0;
    });
  }
  // This plan does not allow a shift by that frame.
  for (const char* spelling :
       {"dca:chunk=24", "self-extend:window=20,group=3"}) {
    ExpectRefused(spelling, "a frame between chunks", [](KvImage& image) {
      ++image.frame;
      ++image.taken_out;
    });
  }
}

TEST(KvImageTest, TilesThatDoNotFitAreRefused) {
  using Tiles = std::vector<KvImage::Tile>;
  const std::vector<std::pair<const char*, std::function<void(Tiles&)>>> bad = {
      {"twice", [](Tiles& tiles) { tiles.push_back(tiles.front()); }},
      {"number -1", [](Tiles& tiles) { tiles.front().number = -1; }},
      {"behind the end", [](Tiles& tiles) { tiles.back().number += 1; }},
      {"huge", [](Tiles& tiles) { tiles.back().number = kMost; }},
      {"far", [](Tiles& tiles) { tiles.back().number = int64_t{1} << 50; }},
      {"no data", [](Tiles& tiles) { tiles.back().data = nullptr; }},
      {"last one gone", [](Tiles& tiles) { tiles.pop_back(); }},
      {"all gone", [](Tiles& tiles) { tiles.clear(); }}};
  for (const char* spelling : {"rope", "rerope:window=20", "window:size=20"}) {
    for (const auto& [what, change] : bad) {
      ExpectRefused(spelling, std::string("values ") + what,
                    [&](KvImage& image) { change(image.values); });
      ExpectRefused(spelling, std::string("keys ") + what,
                    [&](KvImage& image) { change(image.keys.front()); });
      ExpectRefused(spelling, std::string("last keys ") + what,
                    [&](KvImage& image) { change(image.keys.back()); });
    }
    ExpectRefused(spelling, "a key store less",
                  [](KvImage& image) { image.keys.pop_back(); });
    ExpectRefused(spelling, "a key store more", [](KvImage& image) {
      image.keys.push_back(image.keys.back());
    });
  }
}

// An image without a tile is refused, unless no query reads the tile.
TEST(KvImageTest, AnImageWithoutATileIsRefusedIfTheTileIsRead) {
  for (const std::string& spelling : Spellings()) {
    LiveText text = Edited(spelling, DType::kF32);
    const KvImage whole = text.store().Image();
    int64_t refused = 0;
    for (size_t s = 0; s <= whole.keys.size(); ++s) {
      const auto& all = s < whole.keys.size() ? whole.keys[s] : whole.values;
      for (size_t k = 0; k < all.size(); ++k) {
        SCOPED_TRACE(spelling + " " + std::to_string(s) + " " +
                     std::to_string(k));
        KvImage image = whole;
        auto& tiles = s < image.keys.size() ? image.keys[s] : image.values;
        tiles.erase(tiles.begin() + static_cast<int64_t>(k));
        LiveText copy(text.plan(), Text());
        try {
          copy.RestoreFrom(text, image);
        } catch (const std::invalid_argument&) {
          ++refused;
          continue;
        }
        copy.ReadAndCheck(500, 1);
        copy.ReadAndCheck(501, 40);
      }
    }
    EXPECT_GE(refused, static_cast<int64_t>(whole.keys.size()) + 1) << spelling;
  }
}

TEST(KvImageTest, ImagesOfOtherStoresAreRefused) {
  const auto plan = [](const char* spelling) {
    return MakePlan(spelling, kShape.D, 700);
  };
  LiveText rope(plan("rope"), Text());
  rope.Append(0, 400);
  LiveText window(plan("window:size=20"), Text());
  for (int64_t t = 0; t < 400; t += 10) window.Append(t, 10);
  const auto refuses = [&](const char* spelling, const HeadShape& shape,
                           DType type) {
    KvStore store(plan(spelling), shape, type);
    EXPECT_THROW(store.Restore(rope.store().Image()), std::invalid_argument);
  };
  refuses("rope", {2, 1, 16}, DType::kF32);
  refuses("rope", {2, 2, 8}, DType::kF32);
  refuses("rope", {2, 1, 8, 16}, DType::kF32);
  refuses("rope", kShape, DType::kF16);
  refuses("rope", kShape, DType::kQ8_0);
  refuses("rerope:window=20", kShape, DType::kF32);
  KvStore store(plan("rope"), kShape);
  EXPECT_THROW(store.Restore(window.store().Image()), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::attention
