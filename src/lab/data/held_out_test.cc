#include "lab/data/held_out.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/data/tokens_for_test.h"

namespace ropewalk::lab::data {
namespace {

using testing::ElementsAre;

std::vector<Token> Firsts(const std::vector<std::vector<Token>>& pieces) {
  std::vector<Token> firsts;
  for (const auto& piece : pieces) firsts.push_back(piece.front());
  return firsts;
}

TEST(HeldOutTest, PiecesAreDealtToLongDocumentsInTurn) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {25, 9, 10, 40});
  const auto firsts = [&](int64_t count) {
    return Firsts(HeldOutPieces(tokens, {0, 1, 2, 3}, 10, count));
  };
  EXPECT_THAT(firsts(1), ElementsAre(15));
  EXPECT_THAT(firsts(3), ElementsAre(15, 2000, 3030));
  EXPECT_THAT(firsts(5), ElementsAre(0, 15, 2000, 3000, 3030));
  EXPECT_THAT(firsts(100), ElementsAre(0, 15, 2000, 3000, 3010, 3020, 3030));
  EXPECT_TRUE(firsts(0).empty());
  EXPECT_TRUE(HeldOutPieces(tokens, {0, 1}, 26, 5).empty());
  EXPECT_THAT(Firsts(HeldOutPieces(tokens, {2}, 10, 5)), ElementsAre(2000));
}

TEST(HeldOutTest, PiecesDoNotOverlap) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {97});
  for (int64_t size = 1; size < 40; ++size) {
    for (int64_t count = 1; count <= 97 / size; ++count) {
      const auto pieces = HeldOutPieces(tokens, {0}, size, count);
      ASSERT_EQ(static_cast<int64_t>(pieces.size()), count);
      for (size_t i = 1; i < pieces.size(); ++i) {
        EXPECT_GT(pieces[i].front(), pieces[i - 1].back());
      }
      EXPECT_EQ(pieces.back().back(), 96);
    }
  }
}

}  // namespace
}  // namespace ropewalk::lab::data
