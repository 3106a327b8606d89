#include "engine/engine.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "base/error.h"
#include "tests/model_logits.h"

namespace ropewalk::engine {
namespace {

TEST(EngineTest, TrainLengthIsTheFilesUnlessGiven) {
  const std::string path = model::TinyPath("engine.gguf");
  Engine plain({.path = path, .threads = 1});
  EXPECT_EQ(plain.positions().train_length, 64);
  EXPECT_EQ(plain.Describe(), "tiny, trained to 64");
  EXPECT_EQ(plain.tokenizer().VocabularySize(), 300);
  Engine told({.path = path, .train_length = 48, .threads = 1});
  EXPECT_EQ(told.positions().train_length, 48);
  EXPECT_EQ(told.model().config().positions.train_length, 64);
  EXPECT_EQ(told.Describe(), "tiny, trained to 48");
}

TEST(EngineTest, InterleavesBlockTypesUnlessExact) {
  const auto interleaved = [](DType type, bool exact) {
    const std::string path = model::TinyPath("products.gguf", {.type = type});
    return Engine({.path = path, .threads = 1, .exact = exact})
        .model()
        .interleaved();
  };
  EXPECT_TRUE(interleaved(DType::kQ8_0, false));
  EXPECT_FALSE(interleaved(DType::kQ8_0, true));
  EXPECT_FALSE(interleaved(DType::kBf16, false));
}

TEST(EngineTest, RefusesFilesThatAreNotModelsAndNegativeLengths) {
  EXPECT_THROW(Engine({.path = testing::TempDir() + "no-such-model.gguf"}),
               IoError);
  EXPECT_THROW(
      Engine({.path = model::TinyPath("engine_bad.gguf"), .train_length = -1}),
      std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::engine
