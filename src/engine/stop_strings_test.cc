#include "engine/stop_strings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/random.h"

namespace ropewalk::engine {
namespace {

using Pieces = std::vector<std::string>;

// The text that is shown for each piece and at the end.
Pieces Show(StopStrings& stops, const Pieces& pieces) {
  Pieces shown;
  for (const std::string& piece : pieces) shown.push_back(stops.Add(piece));
  shown.push_back(stops.Finish());
  return shown;
}

TEST(StopStringsTest, WithoutStopStringsAllTextIsShownAtOnce) {
  StopStrings stops({});
  EXPECT_EQ(Show(stops, {"a", "", "bc"}), (Pieces{"a", "", "bc", ""}));
  EXPECT_FALSE(stops.stop());
}

TEST(StopStringsTest, OnlyAPossibleBeginningIsHeldBack) {
  StopStrings stops({"END"});
  EXPECT_EQ(Show(stops, {"an E", "", "N", "X E", "ND"}),
            (Pieces{"an ", "", "", "ENX ", "", ""}));
  EXPECT_EQ(stops.stop(), "END");
}

TEST(StopStringsTest, FinishReturnsTheTextHeldBack) {
  StopStrings stops({"END"});
  EXPECT_EQ(Show(stops, {"an EN"}), (Pieces{"an ", "EN"}));
  EXPECT_FALSE(stops.stop());
  // Then another text begins.
  EXPECT_EQ(Show(stops, {"D", "END"}), (Pieces{"D", "", ""}));
}

TEST(StopStringsTest, AStopStringMayBeSplitOverThreePieces) {
  StopStrings stops({"</answer>"});
  EXPECT_EQ(Show(stops, {"42</", "answ", "er> and", " more"}),
            (Pieces{"42", "", "", "", ""}));
  EXPECT_EQ(stops.stop(), "</answer>");
}

TEST(StopStringsTest, AStopStringMayBeAtTheStartOrTheEnd) {
  StopStrings first({"ab"});
  EXPECT_EQ(Show(first, {"abc"}), (Pieces{"", ""}));
  EXPECT_EQ(first.stop(), "ab");
  StopStrings last({"ab"});
  EXPECT_EQ(Show(last, {"cab"}), (Pieces{"c", ""}));
  EXPECT_EQ(last.stop(), "ab");
}

TEST(StopStringsTest, TheStopStringThatIsCompleteFirstCounts) {
  StopStrings prefix({"stop it", "stop"});
  EXPECT_EQ(Show(prefix, {"please stop it"}), (Pieces{"please ", ""}));
  EXPECT_EQ(prefix.stop(), "stop");
  StopStrings inner({"abcd", "bc"});
  EXPECT_EQ(Show(inner, {"xabcd"}), (Pieces{"xa", ""}));
  EXPECT_EQ(inner.stop(), "bc");
  // Of two that are complete at the same byte the longest counts.
  StopStrings suffix({"bc", "abc", "c"});
  EXPECT_EQ(Show(suffix, {"xabc"}), (Pieces{"x", ""}));
  EXPECT_EQ(suffix.stop(), "abc");
}

TEST(StopStringsTest, ABeginningWithinABeginningIsFound) {
  StopStrings stops({"aab"});
  EXPECT_EQ(Show(stops, {"aaab"}), (Pieces{"a", ""}));
  EXPECT_EQ(stops.stop(), "aab");
}

TEST(StopStringsTest, CharactersMayBeCutAnywhere) {
  // U+00E9 is C3 A9; U+00E8, C3 A8, begins alike.
  StopStrings stops({"\xc3\xa9"});
  EXPECT_EQ(Show(stops, {"a\xc3", "\xa8", "b\xc3", "\xa9"}),
            (Pieces{"a", "\xc3\xa8", "b", "", ""}));
  EXPECT_EQ(stops.stop(), "\xc3\xa9");
}

TEST(StopStringsTest, BytesOfAnyValueAreText) {
  StopStrings stops({std::string("\0\xff", 2)});
  EXPECT_EQ(Show(stops, {std::string("a\0", 2), std::string("\0\xff", 2)}),
            (Pieces{"a", std::string("\0", 1), ""}));
}

TEST(StopStringsTest, AnEmptyStopStringIsRefused) {
  EXPECT_THROW(StopStrings({"a", ""}), std::invalid_argument);
}

// The definition, on the whole text.
std::optional<std::string> FirstStop(const std::string& text,
                                     const Pieces& stops, std::string& shown) {
  shown = text;
  for (size_t end = 1; end <= text.size(); ++end) {
    std::optional<std::string> longest;
    for (const std::string& stop : stops) {
      if (text.substr(0, end).ends_with(stop) &&
          (!longest || stop.size() > longest->size())) {
        longest = stop;
      }
    }
    if (longest) {
      shown = text.substr(0, end - longest->size());
      return longest;
    }
  }
  return std::nullopt;
}

// The longest end of `text` that begins one of `stops`.
size_t HeldBytes(const std::string& text, const Pieces& stops) {
  size_t held = 0;
  for (const std::string& stop : stops) {
    for (size_t n = 1; n < stop.size(); ++n) {
      if (text.ends_with(stop.substr(0, n))) held = std::max(held, n);
    }
  }
  return held;
}

TEST(StopStringsTest, EqualTheDefinitionHoweverTheTextIsCut) {
  Rng rng(9);
  const auto random_text = [&](int64_t length) {
    std::string text;
    for (int64_t i = 0; i < length; ++i) {
      text += static_cast<char>('a' + rng.Below(3));
    }
    return text;
  };
  int stopped = 0;
  for (int run = 0; run < 3000; ++run) {
    Pieces patterns(static_cast<size_t>(1 + rng.Below(3)));
    for (std::string& pattern : patterns) {
      pattern = random_text(1 + rng.Below(6));
    }
    const std::string text = random_text(rng.Below(40));
    std::string expected;
    const auto expected_stop = FirstStop(text, patterns, expected);

    StopStrings stops(patterns);
    std::string shown;
    for (size_t at = 0; at < text.size();) {
      const auto length =
          std::min(static_cast<size_t>(rng.Below(6)), text.size() - at);
      shown += stops.Add(text.substr(at, length));
      at += length;
      if (!stops.stop()) {
        const std::string so_far = text.substr(0, at);
        ASSERT_EQ(shown.size(), at - HeldBytes(so_far, patterns)) << run;
      }
    }
    shown += stops.Finish();
    ASSERT_EQ(shown, expected) << run;
    ASSERT_EQ(stops.stop(), expected_stop) << run;
    if (expected_stop) ++stopped;
  }
  EXPECT_GT(stopped, 500);
  EXPECT_LT(stopped, 2900);
}

}  // namespace
}  // namespace ropewalk::engine
