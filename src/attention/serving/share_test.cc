#include "attention/serving/share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace ropewalk::attention {
namespace {

using testing::ElementsAre;

std::vector<Share> SharesThatRead(const std::vector<const void*>& values) {
  std::vector<Share> shares;
  for (const void* reads : values) {
    shares.push_back({.reads = reads});
  }
  return shares;
}

TEST(TasksOfTest, SharesThatReadTheSameTilesAreOneTask) {
  const char tiles[2] = {};
  const auto shares = SharesThatRead({&tiles[0], &tiles[1], &tiles[0], nullptr,
                                      &tiles[1], nullptr, &tiles[0]});
  EXPECT_THAT(TasksOf(shares, 1),
              ElementsAre(ElementsAre(0, 2, 6), ElementsAre(1, 4),
                          ElementsAre(3), ElementsAre(5)));
}

TEST(TasksOfTest, ATaskIsDividedWhereThereAreTooFewOfThem) {
  const char tile = 0;
  const auto shares = SharesThatRead(std::vector<const void*>(8, &tile));
  EXPECT_THAT(TasksOf(shares, 4),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3),
                          ElementsAre(4, 5), ElementsAre(6, 7)));
  EXPECT_EQ(TasksOf(shares, 100).size(), 8U);
}

}  // namespace
}  // namespace ropewalk::attention
