#include "cli/sampling_options.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/token.h"

namespace ropewalk::cli {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

SamplingOptions Parse(const std::vector<std::string>& arguments) {
  SamplingOptions options;
  CLI::App app;
  options.Add(app);
  // CLI11 takes them from the end.
  app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  return options;
}

std::string Refusal(const std::vector<std::string>& arguments,
                    bool escape = false) {
  try {
    const SamplingOptions options = Parse(arguments);
    options.ForSampler(escape);
    options.StopTexts(escape);
    options.LogProbabilities();
    options.Seed();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(SamplingOptionsTest, WithoutAnyTheyAreTheSamplersDefaults) {
  const SamplingOptions options = Parse({});
  const engine::SampleOptions sampling = options.ForSampler(false);
  const engine::SampleOptions defaults;
  EXPECT_EQ(sampling.temperature, defaults.temperature);
  EXPECT_EQ(sampling.typical_p, 1);
  EXPECT_TRUE(sampling.logit_bias.empty());
  EXPECT_EQ(sampling.penalties.last, defaults.penalties.last);
  EXPECT_EQ(sampling.dry.multiplier, 0);
  EXPECT_EQ(sampling.dry.breakers, defaults.dry.breakers);
  EXPECT_TRUE(options.StopTexts(false).empty());
  EXPECT_EQ(options.LogProbabilities(), std::nullopt);
  EXPECT_NE(options.Seed(), options.Seed());
}

TEST(SamplingOptionsTest, EachReachesItsField) {
  const SamplingOptions options = Parse({"--temp",
                                         "0.5",
                                         "--top-k",
                                         "7",
                                         "--top-p",
                                         "0.6",
                                         "--min-p",
                                         "0.1",
                                         "--typical-p",
                                         "0.7",
                                         "--repeat-penalty",
                                         "1.1",
                                         "--frequency-penalty",
                                         "-0.2",
                                         "--presence-penalty",
                                         "0.3",
                                         "--penalty-last",
                                         "-1",
                                         "--dry-multiplier",
                                         "0.8",
                                         "--dry-base",
                                         "1.5",
                                         "--dry-allowed-length",
                                         "4",
                                         "--dry-penalty-last",
                                         "100",
                                         "--dry-breaker",
                                         "|",
                                         "--dry-breaker",
                                         "<s>",
                                         "--logit-bias",
                                         "3=-1.5",
                                         "--logit-bias",
                                         "4=-inf",
                                         "--stop",
                                         "END",
                                         "--stop",
                                         "###",
                                         "--logprobs",
                                         "5",
                                         "--seed",
                                         "9"});
  const engine::SampleOptions sampling = options.ForSampler(false);
  EXPECT_EQ(sampling.temperature, 0.5);
  EXPECT_EQ(sampling.top_k, 7);
  EXPECT_EQ(sampling.top_p, 0.6);
  EXPECT_EQ(sampling.min_p, 0.1);
  EXPECT_EQ(sampling.typical_p, 0.7);
  EXPECT_EQ(sampling.penalties.repetition, 1.1);
  EXPECT_EQ(sampling.penalties.frequency, -0.2);
  EXPECT_EQ(sampling.penalties.presence, 0.3);
  EXPECT_EQ(sampling.penalties.last, -1);
  EXPECT_EQ(sampling.dry.multiplier, 0.8);
  EXPECT_EQ(sampling.dry.base, 1.5);
  EXPECT_EQ(sampling.dry.allowed_length, 4);
  EXPECT_EQ(sampling.dry.last, 100);
  EXPECT_EQ(sampling.dry.breakers, (std::vector<std::string>{"|", "<s>"}));
  EXPECT_EQ(sampling.logit_bias,
            (std::map<Token, double>{{3, -1.5}, {4, -kInf}}));
  EXPECT_EQ(options.StopTexts(false), (std::vector<std::string>{"END", "###"}));
  EXPECT_EQ(options.LogProbabilities(), 5);
  EXPECT_EQ(options.Seed(), 9u);
}

TEST(SamplingOptionsTest, TextsAreReadWithEscapesWhereAsked) {
  const SamplingOptions options =
      Parse({"--stop", "a\\n", "--dry-breaker", "\\t"});
  EXPECT_EQ(options.StopTexts(true), (std::vector<std::string>{"a\n"}));
  EXPECT_EQ(options.StopTexts(false), (std::vector<std::string>{"a\\n"}));
  EXPECT_EQ(options.ForSampler(true).dry.breakers,
            (std::vector<std::string>{"\t"}));
  EXPECT_NE(Refusal({"--stop", "\\q"}, true).find("--stop"), std::string::npos);
}

TEST(SamplingOptionsTest, NoneTakesTheBreakersAway) {
  EXPECT_TRUE(
      Parse({"--dry-breaker", "none"}).ForSampler(false).dry.breakers.empty());
  EXPECT_EQ(Parse({"--dry-breaker", "none", "--dry-breaker", "x"})
                .ForSampler(false)
                .dry.breakers,
            (std::vector<std::string>{"none", "x"}));
}

TEST(SamplingOptionsTest, BiasesMustBeIdAndNumber) {
  for (const std::string text :
       {"3", "3=", "=1", "x=1", "-1=2", "3=inf", "3=nan", "3=1=2", "3 =1",
        "2147483648=1", "3=1x", ""}) {
    EXPECT_NE(Refusal({"--logit-bias", text}).find("must be ID=BIAS"),
              std::string::npos)
        << text;
  }
  EXPECT_EQ(Refusal({"--logit-bias", "3=1", "--logit-bias", "3=2"}),
            "--logit-bias names token 3 twice");
  EXPECT_EQ(Refusal({"--logit-bias", "2147483647=1e3"}), "");
}

TEST(SamplingOptionsTest, NonsenseIsRefused) {
  EXPECT_EQ(Refusal({"--stop", ""}), "--stop must not be empty");
  EXPECT_EQ(Refusal({"--dry-breaker", ""}), "--dry-breaker must not be empty");
  EXPECT_EQ(Refusal({"--logprobs", "-1"}),
            "--logprobs must be at least 0, got -1");
  EXPECT_EQ(Refusal({"--seed", "-2"}),
            "--seed must be from 0 to 18446744073709551615, got -2");
  EXPECT_EQ(Refusal({"--typical-p", "0"}),
            "typical-p must be above 0 and at most 1, got 0");
  EXPECT_NE(Refusal({"--repeat-penalty", "0"}), "");
  EXPECT_NE(Refusal({"--dry-base", "0"}), "");
}

}  // namespace
}  // namespace ropewalk::cli
