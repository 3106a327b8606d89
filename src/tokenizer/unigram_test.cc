#include "tokenizer/unigram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/random.h"
#include "base/text.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary_for_test.h"

namespace ropewalk::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kMap = "tokenizer.ggml.precompiled_charsmap";

formats::Metadata MetadataOf(const nlohmann::json& model) {
  formats::Metadata metadata("test.gguf");
  metadata.SetString("tokenizer.ggml.model", "t5");
  metadata.SetStrings("tokenizer.ggml.tokens",
                      model["pieces"].get<std::vector<std::string>>());
  metadata.SetFloats("tokenizer.ggml.scores",
                     model["scores"].get<std::vector<float>>());
  metadata.SetInts("tokenizer.ggml.token_type",
                   model["types"].get<std::vector<int64_t>>());
  metadata.SetInt("tokenizer.ggml.unknown_token_id", model["unknown"]);
  metadata.SetInt("tokenizer.ggml.eos_token_id", 2);
  for (const char* key : {"add_space_prefix", "remove_extra_whitespaces"}) {
    metadata.SetBool("tokenizer.ggml." + std::string(key), model[key]);
  }
  metadata.SetInts(kMap, model["charsmap"].get<std::vector<int64_t>>(),
                   formats::GgufType::kUint8);
  return metadata;
}

// tests/golden/make_unigram.py makes the file.
nlohmann::json Models() {
  std::ifstream file(ROPEWALK_SOURCE_FOLDER "/tests/golden/unigram.json");
  EXPECT_TRUE(file.good());
  return nlohmann::json::parse(file);
}

formats::Metadata SmallModel() {
  formats::Metadata metadata = VocabularyBuilder()
                                   .Add("▁", -3)   // 3
                                   .Add("a", -2)   // 4
                                   .Add("b", -2)   // 5
                                   .Add("ab", -3)  // 6
                                   .Add("abb", -6)
                                   .Build();
  metadata.SetString("tokenizer.ggml.model", "t5");
  metadata.SetInt("tokenizer.ggml.unknown_token_id", 0);
  return metadata;
}

TEST(UnigramTest, EncodesAsSentencePieceDoes) {
  for (const nlohmann::json& model : Models()) {
    const Tokenizer tokenizer = Tokenizer::FromMetadata(MetadataOf(model));
    for (size_t i = 0; i < model["texts"].size(); ++i) {
      const std::string text = model["texts"][i];
      EXPECT_EQ(tokenizer.Encode(text, {.add_eos = false}),
                model["ids"][i].get<std::vector<Token>>())
          << Printable(text);
    }
  }
}

TEST(UnigramTest, TakesTheCutWithTheGreatestSum) {
  const Tokenizer tokenizer = Tokenizer::FromMetadata(SmallModel());
  const EncodeOptions plain = {.add_bos = false, .add_eos = false};
  // ab + b: -5; abb: -6; a + b + b: -6.
  EXPECT_THAT(tokenizer.Encode("abb", plain), ElementsAre(6, 5));
  // A run of unknown characters is one token.
  EXPECT_THAT(tokenizer.Encode("a文文b", plain), ElementsAre(4, 0, 5));
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode("ab ba")), "ab ba");
}

TEST(UnigramTest, AddsTheEndTokenUnlessTheFileSaysOtherwise) {
  formats::Metadata metadata = SmallModel();
  metadata.SetInt("tokenizer.ggml.eos_token_id", 2);
  EXPECT_THAT(Tokenizer::FromMetadata(metadata).Encode("a"), ElementsAre(4, 2));
  metadata.SetBool("tokenizer.ggml.add_eos_token", false);
  EXPECT_THAT(Tokenizer::FromMetadata(metadata).Encode("a"), ElementsAre(4));
}

TEST(UnigramTest, LongTextsOfOneLetterTakeLinearTime) {
  const Tokenizer tokenizer = Tokenizer::FromMetadata(SmallModel());
  for (const char c : {'a', ' ', 'z'}) {
    const std::string text(1 << 20, c);
    EXPECT_FALSE(tokenizer.Encode(text).empty());
  }
}

TEST(UnigramTest, DamagedCharacterMapsAreRefusedOrHarmless) {
  const nlohmann::json model = Models()[0];
  const std::vector<int64_t> good =
      model["charsmap"].get<std::vector<int64_t>>();
  formats::Metadata metadata = MetadataOf(model);
  const auto set = [&](const std::vector<int64_t>& map) {
    metadata.SetInts(kMap, map, formats::GgufType::kUint8);
  };
  set({1, 2});
  EXPECT_THROW(Tokenizer::FromMetadata(metadata), FormatError);
  set({255, 255, 255, 127, 0});
  EXPECT_THROW(Tokenizer::FromMetadata(metadata), FormatError);
  std::vector<int64_t> open = good;
  open.back() = 'x';
  set(open);
  EXPECT_THROW(Tokenizer::FromMetadata(metadata), FormatError);
  metadata.SetString(kMap, "x");
  EXPECT_THROW(Tokenizer::FromMetadata(metadata), FormatError);
  Rng rng(9);
  for (int round = 0; round < 300; ++round) {
    std::vector<int64_t> map = good;
    for (int i = 0; i < 8; ++i) {
      map[static_cast<size_t>(4 + rng.Below(std::ssize(map) - 5))] =
          rng.Below(256);
    }
    set(map);
    Tokenizer::FromMetadata(metadata).Encode("ﬁle ﬃx A①é\u00adz the");
  }
}

}  // namespace
}  // namespace ropewalk::tokenizer
