// Memories of which a share was read again, with sight of others.

#include "memory/reread.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "memory/memory_for_test.h"

namespace ropewalk::memory {
namespace {

using attention::kTile;
using attention::MemoryPart;

constexpr int64_t kTokens = 300;

class RereadTest : public testing::Test {
 protected:
  RereadTest()
      : engine_(NewEngine("reread", {.train_length = 512})),
        memories_{Alone(1), Alone(2), Alone(3)} {}

  std::shared_ptr<const Memory> Alone(uint64_t seed) {
    return Read(*engine_, kTokens, seed,
                {.part = 512, .overlap = 0, .type = DType::kF32});
  }

  Memories Again(double share) {
    return Reread(*engine_, memories_, {}, share,
                  [&](int64_t tokens) { read_ += tokens; });
  }

  // The keys and values of a tile.
  std::vector<uint8_t> Tile(const Memory& memory, size_t tile) const {
    const TileSizes sizes = TileSizesOf(*engine_, DType::kF32);
    const MemoryPart& layer = memory.parts.front().layers.back();
    std::vector<uint8_t> bytes(layer.keys[tile].get(),
                               layer.keys[tile].get() + sizes.key);
    bytes.insert(bytes.end(), layer.values[tile].get(),
                 layer.values[tile].get() + sizes.value);
    return bytes;
  }

  std::shared_ptr<engine::Engine> engine_;
  Memories memories_;
  int64_t read_ = 0;
};

TEST_F(RereadTest, NoShareChangesNothing) {
  EXPECT_EQ(Again(0), memories_);
  EXPECT_EQ(read_, 0);
}

TEST_F(RereadTest, TheFirstMemoryHasNothingBeforeIt) {
  EXPECT_EQ(Again(1)[0], memories_[0]);
  EXPECT_EQ(read_, 2 * (1 + kTokens));
}

TEST_F(RereadTest, TheBeginningIsWhatReadingBesideTheOthersGives) {
  const Memories again = Again(0.2);  // 60 tokens, which are in one tile
  EXPECT_EQ(read_, 2 * kTile);
  for (const size_t m : {size_t{1}, size_t{2}}) {
    EXPECT_EQ(again[m]->tokens, memories_[m]->tokens);
    EXPECT_NE(again[m]->hash, memories_[m]->hash);
    EXPECT_NE(Tile(*again[m], 0), Tile(*memories_[m], 0));
    EXPECT_EQ(Tile(*again[m], 1), Tile(*memories_[m], 1));
    EXPECT_EQ(Tile(*again[m], 2), Tile(*memories_[m], 2));

    engine::Session session = Open(engine_, "rerope:window=512");
    session.Attach(Arrange(std::span(again).first(m), {}, *engine_,
                           session.sequence().stack()));
    std::vector<Token> ids = {1};
    ids.insert(ids.end(), memories_[m]->tokens.begin(),
               memories_[m]->tokens.begin() + kTile - 1);
    session.Read(ids);
    Memory beside = *memories_[m];
    beside.parts.front().layers.back() = session.sequence().store(1).ShareAll();
    EXPECT_EQ(Tile(*again[m], 0), Tile(beside, 0));
  }
}

TEST_F(RereadTest, AllOfAMemoryCanBeReadAgainAndAttached) {
  const Memories again = Again(1);
  EXPECT_NE(Tile(*again[2], 2), Tile(*memories_[2], 2));
  const auto question = RandomIds(20, 9);
  engine::Session alone = Open(engine_);
  Attach(alone, memories_, "far");
  engine::Session beside = Open(engine_);
  Attach(beside, again, "far");
  EXPECT_GT(LargestDifference(alone.Read(question), beside.Read(question)),
            1e-4);
}

TEST_F(RereadTest, EveryPartIsReadAgainBehindItsOverlap) {
  const ReadOptions options{.part = 200, .overlap = 40, .type = DType::kF32};
  memories_ = {memories_[0], Read(*engine_, 450, 4, options)};
  ASSERT_EQ(memories_[1]->parts.size(), 3u);
  const Memories again = Again(0.01);
  EXPECT_EQ(read_, 3 * kTile);
  for (size_t p = 0; p < 3; ++p) {
    const Part& part = again[1]->parts[p];
    const Part want =
        ReadPart(*engine_, memories_[1]->tokens, part.begin,
                 part.begin + kTile - part.layers[1].first, options,
                 [](int64_t) {}, {std::span(again).first(1)});
    const TileSizes sizes = TileSizesOf(*engine_, DType::kF32);
    EXPECT_EQ(part.layers[1].first, want.layers[1].first);
    EXPECT_TRUE(std::equal(part.layers[1].keys[0].get(),
                           part.layers[1].keys[0].get() + sizes.key,
                           want.layers[1].keys[0].get()));
  }
}

TEST_F(RereadTest, SharesOutOfRangeAreRefused) {
  for (const double share : {-0.1, 1.1, std::nan("")}) {
    ExpectOneLine(Refusal<std::invalid_argument>([&] { Again(share); }));
  }
}

}  // namespace
}  // namespace ropewalk::memory
