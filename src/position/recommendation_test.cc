#include "position/recommendation.h"

#include <gtest/gtest.h>

#include <string>

#include "position/scheme.h"

namespace ropewalk::position {
namespace {

ModelPositions Model(int64_t N = 1024) {
  return {.head_width = 8,
          .rotary_width = 8,
          .train_length = N,
          .original_length = N};
}

bool Says(const Recommendation& advice, const std::string& part) {
  for (const std::string& reason : advice.reasons) {
    if (reason.find(part) != std::string::npos) return true;
  }
  return false;
}

std::string Auto(const ModelPositions& model, int64_t length) {
  return ToString(Resolve(ParseScheme("auto"), model, length));
}

TEST(RecommendationTest, IsWhatAutoTakesAndHolds) {
  ModelPositions yarn = Model();
  yarn.scaling = ModelPositions::Scaling::kYarn;
  yarn.scaling_factor = 4;
  yarn.train_length = 4096;
  ModelPositions layers = Model();
  layers.layers = {{.window = 256}, {}, {.rotates = false}, {.window = 256}};
  for (const ModelPositions& model : {Model(), yarn, layers}) {
    for (const int64_t times : {1, 2, 4, 32}) {
      const int64_t length = times * model.train_length;
      const Recommendation advice = Recommend(model, length, 4);
      ASSERT_TRUE(advice.spelling);
      EXPECT_EQ(*advice.spelling, Auto(model, length));
      EXPECT_FALSE(KnownToFail(ParseScheme(*advice.spelling), model, length));
      EXPECT_EQ(advice.is_own, times == 1);
    }
  }
}

TEST(RecommendationTest, SaysWhatOfTheFileItFollowsFrom) {
  ModelPositions model = Model();
  model.scaling = ModelPositions::Scaling::kYarn;
  model.scaling_factor = 4;
  model.original_length = 256;
  model.layers = {{.window = 128}, {}, {.rotates = false}, {.window = 128}};
  const Recommendation advice = Recommend(model, 2048, 4);
  EXPECT_TRUE(Says(advice, "trained to 1024 tokens, and 2048 are 2 times"));
  EXPECT_TRUE(Says(advice, "yarn scaling by 4 from 256 tokens"));
  EXPECT_TRUE(Says(advice, "2 of 4 layers see a window of 128 keys"));
  EXPECT_TRUE(Says(advice, "1 of 4 layers has no positions"));
  EXPECT_TRUE(Says(advice, "true within 960 keys"));
  EXPECT_TRUE(Says(advice, "at the distance 640"));
  EXPECT_TRUE(Says(Recommend(model, 512, 4), "which is enough"));
}

TEST(RecommendationTest, AModelWithoutDistancesReadsAnyLengthAsItIs) {
  ModelPositions model = Model();
  model.layers = {{.window = 128}, {.window = 128}};
  const Recommendation advice = Recommend(model, 65536, 2);
  ASSERT_TRUE(advice.spelling);
  EXPECT_TRUE(advice.is_own);
  EXPECT_TRUE(Says(advice, "no layer both reads the whole text and rotates"));
}

TEST(RecommendationTest, NothingIsAdvisedWhereNothingHolds) {
  ModelPositions model = Model();
  model.only_own_scheme = "it has learned sinks";
  const Recommendation advice = Recommend(model, 4096, 2);
  EXPECT_FALSE(advice.spelling);
  EXPECT_TRUE(Says(advice, "learned sinks"));
}

TEST(RecommendationTest, SchemesToTrainWithAreWarnedOfOnOtherModels) {
  const auto warning = [](const std::string& spelling,
                          const ModelPositions& model) {
    return NotTrainedFor(Resolve(ParseScheme(spelling), model, 256), model,
                         256);
  };
  const ModelPositions plain = Model(256);
  for (const char* spelling : {"hwfa", "hwfa2:window=32", "inv-leaky"}) {
    EXPECT_TRUE(warning(spelling, plain)) << spelling;
  }
  for (const char* spelling : {"rope", "rerope", "dca", "sink-window"}) {
    EXPECT_FALSE(warning(spelling, plain)) << spelling;
  }
  ModelPositions trained = plain;
  trained.own_spelling = {"hwfa:window=39"};
  EXPECT_FALSE(warning("hwfa", trained));
  EXPECT_TRUE(warning("hwfa2", trained));
  // Trained under one scheme and read under another.
  trained.own_spelling = {"rope"};
  trained.trained_spelling = {"inv-leaky:k=1/8"};
  EXPECT_FALSE(warning("inv-leaky", trained));
}

}  // namespace
}  // namespace ropewalk::position
