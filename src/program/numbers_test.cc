#include "program/numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ropewalk::program {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

// What ParseInteger says of `text`; empty where it takes it.
template <typename T>
std::string Complaint(const std::string& text, Range<T> range = {}) {
  try {
    ParseInteger<T>(text, "--seed", range);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(ParseIntegerTest, ALeadingZeroIsDecimal) {
  EXPECT_EQ(ParseInteger<int64_t>("010", "-n", {}), 10);
  EXPECT_EQ(ParseInteger<int64_t>("08", "-n", {}), 8);
  EXPECT_EQ(ParseInteger<int64_t>("-010", "-n", {}), -10);
  EXPECT_EQ(ParseInteger<uint64_t>("00", "-n", {}), 0u);
}

TEST(ParseIntegerTest, TheWholeRangeOfATypeIsReadAndNoMore) {
  EXPECT_EQ(ParseInteger<int64_t>("9223372036854775807", "-n", {}), kMost);
  EXPECT_EQ(ParseInteger<int64_t>("-9223372036854775808", "-n", {}), kLeast);
  EXPECT_EQ(ParseInteger<uint64_t>("18446744073709551615", "-n", {}),
            std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(Complaint<int64_t>("9223372036854775808"),
            "--seed must be from -9223372036854775808 to 9223372036854775807, "
            "got 9223372036854775808");
  EXPECT_EQ(Complaint<int64_t>("-9223372036854775809", {.least = 0}),
            "--seed must be at least 0, got -9223372036854775809");
  EXPECT_EQ(Complaint<uint64_t>("18446744073709551616"),
            "--seed must be from 0 to 18446744073709551615, got "
            "18446744073709551616");
  EXPECT_EQ(Complaint<uint64_t>("-1"),
            "--seed must be from 0 to 18446744073709551615, got -1");
  EXPECT_NE(Complaint<int>("4294967297"), "");  // would wrap to 1
}

TEST(ParseIntegerTest, BothEndsOfARangeAreAllowed) {
  const Range<int64_t> range{.least = 1, .most = 1024};
  for (const char* text : {"1", "1024"}) {
    EXPECT_EQ(Complaint<int64_t>(text, range), "") << text;
  }
  for (const char* text : {"0", "1025", "-1"}) {
    EXPECT_EQ(Complaint<int64_t>(text, range),
              std::string("--seed must be from 1 to 1024, got ") + text);
  }
}

TEST(ParseIntegerTest, OtherTextIsRefused) {
  for (const char* text : {"", "-", "0x10", "0b1", "1e3", "1.0", "1 ", " 1",
                           "+1", "--1", "12x", "ten", "1,000", "1_000", "4k"}) {
    EXPECT_EQ(Complaint<int64_t>(text, {.least = 0, .most = 9}),
              std::string("--seed must be a decimal integer from 0 to 9, got "
                          "'") +
                  text + "'");
  }
  EXPECT_NE(Complaint<int64_t>(std::string("1\0", 2)), "");
}

TEST(ParseFloatTest, FiniteDecimalNumbersAreRead) {
  EXPECT_EQ(ParseFloat<double>("0.25", "--temp", {}), 0.25);
  EXPECT_EQ(ParseFloat<double>("1e-3", "--temp", {}), 1e-3);
  EXPECT_EQ(ParseFloat<double>("-4", "--temp", {}), -4);
  EXPECT_EQ(ParseFloat<double>("010", "--temp", {}), 10);
  EXPECT_EQ(ParseFloat<float>("1e-60", "--temp", {}), 0.0F);
}

TEST(ParseFloatTest, OtherTextAndOtherValuesAreRefused) {
  const auto refused = [](const std::string& text) {
    try {
      ParseFloat<float>(text, "--temp", {.least = 0, .most = 2});
    } catch (const std::invalid_argument& error) {
      return std::string(error.what()).starts_with("--temp must be ");
    }
    return false;
  };
  for (const char* text :
       {"", "nan", "NaN", "inf", "-inf", "infinity", "0x1p3", "0x1", "1x", "1 ",
        " 1", "+1", "1e999", "1,5", "2.1", "-0.1", "1e39", "hot"}) {
    EXPECT_TRUE(refused(text)) << text;
  }
  EXPECT_FALSE(refused("0"));
  EXPECT_FALSE(refused("2"));
}

TEST(NumberOptionsTest, AreReadCheckedAndShown) {
  CLI::App app("test", "test");
  int64_t count = 5;
  double share = 0.5;
  std::vector<double> places = {0, 50};
  std::optional<uint64_t> seed = 7;
  AddInteger(app, "-n,--count", count, "how many", {.least = 1, .most = 9})
      ->capture_default_str();
  AddFloat(app, "--share", share, "how much")->capture_default_str();
  AddFloats(app, "--at", places, "where", {.least = 0, .most = 100})
      ->capture_default_str();
  AddSeed(app, "--seed", seed, "which");
  const std::string help = app.help();
  for (const char* part :
       {"-n,--count N=5", "--share X=0.5", "--at X=0,50", "--seed SEED"}) {
    EXPECT_THAT(help, testing::HasSubstr(part));
  }
  app.parse("-n 08 --share 1e-1 --at 25,075 --seed 18446744073709551615");
  EXPECT_EQ(count, 8);
  EXPECT_EQ(share, 0.1);
  EXPECT_EQ(places, (std::vector<double>{25, 75}));
  EXPECT_EQ(seed, std::numeric_limits<uint64_t>::max());
  app.parse("--seed -1");
  EXPECT_EQ(seed, std::nullopt);
  for (const char* call : {"--count 10", "--share nan", "--at 1,101",
                           "--seed -2", "--seed 0x10"}) {
    EXPECT_THROW(app.parse(call), std::invalid_argument) << call;
  }
  try {
    app.parse("--count 0");
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "-n must be from 1 to 9, got 0");
  }
}

}  // namespace
}  // namespace ropewalk::program
