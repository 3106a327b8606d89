#include "serve/prefix_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <vector>

namespace ropewalk::serve {
namespace {

using Text = std::vector<Token>;

int64_t Common(const Text& a, const Text& b) {
  const size_t most = std::min(a.size(), b.size());
  int64_t n = 0;
  while (static_cast<size_t>(n) < most &&
         a[static_cast<size_t>(n)] == b[static_cast<size_t>(n)]) {
    ++n;
  }
  return n;
}

TEST(PrefixTreeTest, FindsTheLongestCommonBeginning) {
  PrefixTree tree;
  tree.Insert(Text{1, 2, 3, 4}, 10);
  tree.Insert(Text{1, 2, 5}, 11);
  tree.Insert(Text{7}, 12);
  const auto found = tree.Find(Text{1, 2, 3, 9}, 1, 8);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].value, 10);
  EXPECT_EQ(found[0].common, 3);
  EXPECT_EQ(found[1].value, 11);
  EXPECT_EQ(found[1].common, 2);
  EXPECT_TRUE(tree.Find(Text{8}, 1, 8).empty());
  EXPECT_TRUE(tree.Find(Text{}, 1, 8).empty());
}

TEST(PrefixTreeTest, OfEqualTextsTheLastComesFirst) {
  PrefixTree tree;
  tree.Insert(Text{1, 2}, 1);
  tree.Insert(Text{1, 2}, 2);
  EXPECT_EQ(tree.Find(Text{1, 2, 3}, 1, 1).at(0).value, 2);
  tree.Erase(Text{1, 2}, 2);
  EXPECT_EQ(tree.Find(Text{1, 2, 3}, 1, 1).at(0).value, 1);
}

TEST(PrefixTreeTest, FindsTheTextsThatATextBeginsWith) {
  PrefixTree tree;
  tree.Insert(Text{1, 2}, 1);
  tree.Insert(Text{1, 2, 3}, 2);
  tree.Insert(Text{1, 2, 3, 4, 5}, 3);
  tree.Insert(Text{1, 4}, 4);
  const auto found = tree.Prefixes(Text{1, 2, 3, 4});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].value, 1);
  EXPECT_EQ(found[0].common, 2);
  EXPECT_EQ(found[1].value, 2);
  EXPECT_EQ(found[1].common, 3);
  EXPECT_TRUE(tree.Prefixes(Text{2}).empty());
}

// Against a plain list, over many insertions and erasures.
TEST(PrefixTreeTest, AgreesWithAPlainList) {
  std::mt19937 random(3);
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  PrefixTree tree;
  std::map<int64_t, Text> list;
  for (int64_t step = 0; step < 3000; ++step) {
    Text text;
    for (int64_t n = below(9); n > 0; --n) {
      text.push_back(static_cast<Token>(below(3)));
    }
    if (below(3) > 0 || list.empty()) {
      tree.Insert(text, step);
      list.emplace(step, text);
    } else {
      auto at = list.begin();
      std::advance(at, below(static_cast<int64_t>(list.size())));
      tree.Erase(at->second, at->first);
      list.erase(at);
    }
    const int64_t least = below(4);
    const auto found = tree.Find(text, least, 1'000'000);
    std::map<int64_t, int64_t> values;
    for (size_t i = 0; i < found.size(); ++i) {
      values.emplace(found[i].value, found[i].common);
      if (i > 0) {
        ASSERT_LE(found[i].common, found[i - 1].common);
      }
    }
    ASSERT_EQ(values.size(), found.size());
    std::map<int64_t, int64_t> expected;
    for (const auto& [value, stored] : list) {
      const int64_t common = Common(stored, text);
      if (common >= least) expected.emplace(value, common);
    }
    ASSERT_EQ(values, expected) << step;
  }
  for (const auto& [value, text] : list) tree.Erase(text, value);
  EXPECT_TRUE(tree.empty());
}

TEST(PrefixTreeTest, ManyTextsWithinEachOtherAreNoDeepRecursion) {
  PrefixTree tree;
  Text text(20'000, 1);
  for (size_t n = 1; n <= text.size(); n += 7) {
    tree.Insert(std::span<const Token>(text).first(n), static_cast<int64_t>(n));
  }
  EXPECT_EQ(tree.Find(text, 1, 1).size(), 1U);
}

}  // namespace
}  // namespace ropewalk::serve
