#include "model/model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/context.h"
#include "model/layer_reader.h"
#include "model/reference.h"
#include "position/scheme.h"
#include "tests/model_logits.h"
#include "tests/test_data.h"

namespace ropewalk::model {
namespace {

TEST(ContextTest, MatchesFloat64ForEveryTypeAndScheme) {
  for (const DTypeInfo& info : AllDTypes()) {
    if (!info.packed || info.block_elements > 32) continue;
    const auto model = Model::Load(TinyPath(
        "forward.gguf", {.tied = info.type != DType::kF16, .type = info.type}));
    const auto tokens = RandomTokens(model, 100, 3);
    for (const char* spelling :
         {"rope", "rerope:window=20+logn-clip", "dca:chunk=24", "hwfa",
          "sink-window:size=20"}) {
      const auto got = Logits(model, spelling, tokens, {100});
      const auto want =
          ReferenceLogits(model, MakeStack(model, spelling, 100), tokens);
      for (size_t at = 0; at < got.size(); ++at) {
        ASSERT_NEAR(got[at], want[at], kSameLogits)
            << info.name << " " << spelling << " " << at;
      }
    }
  }
}

TEST(ContextTest, DecodeEqualsPrefill) {
  const auto model = Model::Load(TinyPath("decode.gguf"));
  const auto tokens = RandomTokens(model, 90, 4);
  for (const char* spelling :
       {"rope", "pi:factor=2", "ntk-mixed:factor=2", "yarn", "cope",
        "rerope:window=20+logn-clip", "leaky-rerope:window=20,k=8",
        "self-extend:window=20,group=4", "dca:chunk=24", "window:size=20",
        "sink-window:size=20,sinks=4", "nope+logn", "dynamic-ntk", "hwfa"}) {
    const auto whole = Logits(model, spelling, tokens, {90});
    for (const std::vector<int64_t>& chunks :
         {std::vector<int64_t>{1}, {19, 1}, {20, 1}, {21, 1}, {40, 7}}) {
      const auto parts = Logits(model, spelling, tokens, chunks);
      for (size_t at = 0; at < whole.size(); ++at) {
        ASSERT_NEAR(parts[at], whole[at], kSameLogits)
            << spelling << " prompt " << chunks.front();
      }
    }
  }
}

TEST(ContextTest, FutureTokensDoNotChangeLogits) {
  const auto model = Model::Load(TinyPath("causal.gguf"));
  auto tokens = RandomTokens(model, 80, 5);
  const auto before = Logits(model, "rerope:window=20", tokens, {80});
  const size_t changed = 50;
  tokens[changed] = (tokens[changed] + 1) % 300;
  const auto after = Logits(model, "rerope:window=20", tokens, {80});
  for (size_t at = 0; at < changed * 300; ++at) {
    ASSERT_EQ(before[at], after[at]);
  }
  double difference = 0;
  for (size_t at = changed * 300; at < after.size(); ++at) {
    difference += std::abs(before[at] - after[at]);
  }
  EXPECT_GT(difference, 1);
}

TEST(ContextTest, RefusesTooManyTokensAndUnknownIds) {
  const auto model = Model::Load(TinyPath("refuse.gguf"));
  SerialFor serial;
  Context context(model, MakeStack(model, "rope", 10),
                  {.length = 10, .chunk = 8}, serial);
  const std::vector<Token> nine(9, 1);
  EXPECT_THROW(context.Forward(nine), std::invalid_argument);  // the chunk
  EXPECT_THROW(context.Forward(std::vector<Token>{300}), std::invalid_argument);
  EXPECT_THROW(context.Forward(std::vector<Token>{-1}), std::invalid_argument);
  context.Forward(std::span(nine).first(8));
  EXPECT_THROW(context.Forward(std::span(nine).first(3)),
               std::invalid_argument);  // the context
  EXPECT_EQ(context.size(), 8);
  context.Forward(std::vector<Token>{});
  EXPECT_EQ(context.size(), 8);
  EXPECT_THROW(Context(model, position::Stack{}, {.length = 1}, serial),
               std::invalid_argument);
}

TEST(ContextTest, LearnedLogNComesFromTheFile) {
  TinyModelOptions options;
  options.extra_tensors = {{"blk.0.attn_logn.weight", {4}},
                           {"blk.1.attn_logn.weight", {4}}};
  const auto model = Model::Load(TinyPath("learned.gguf", options));
  const auto tokens = RandomTokens(model, 70, 6);
  const auto got = Logits(model, "rope+logn-learned", tokens, {70});
  const auto want =
      ReferenceLogits(model, MakeStack(model, "rope+logn-learned", 70), tokens);
  for (size_t at = 0; at < got.size(); ++at) {
    ASSERT_NEAR(got[at], want[at], 5e-4);
  }
}

TEST(LlamaTest, InterleavedRowsBecomeHalfSplit) {
  // D = 8, d = 6: pairs (0,1) (2,3) (4,5) become (0,3) (1,4) (2,5).
  const std::vector<int64_t> want = {0, 2, 4, 1, 3, 5, 6, 7};
  for (int64_t r = 0; r < 8; ++r) {
    EXPECT_EQ(InterleavedRow(r, 8, 6), want[static_cast<size_t>(r)]);
    EXPECT_EQ(InterleavedRow(r + 16, 8, 6), want[static_cast<size_t>(r)] + 16);
  }
}

std::string LoadFailure(const TinyModelOptions& options) {
  try {
    Model::Load(TinyPath("broken.gguf", options));
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

TEST(LlamaTest, BrokenModelsAreFormatErrorsThatNameTheProblem) {
  using Change = std::function<void(formats::Metadata&)>;
  const std::vector<std::pair<Change, std::string>> keys = {
      {[](auto& m) { m.SetString("general.architecture", "gpt2"); },
       "architecture 'gpt2'"},
      {[](auto& m) { m.Remove("general.architecture"); }, "architecture ''"},
      {[](auto& m) { m.Remove("llama.block_count"); },
       "'llama.block_count' is missing"},
      {[](auto& m) { m.SetInt("llama.block_count", 0); }, "between 1 and"},
      {[](auto& m) { m.SetInt("llama.block_count", 3); },
       "'blk.2.attn_norm.weight' is missing"},
      {[](auto& m) { m.SetInt("llama.block_count", 1); },
       "'blk.1.attn_norm.weight' is not part"},
      {[](auto& m) { m.SetInt("llama.embedding_length", 128); }, "shape"},
      {[](auto& m) {
         m.SetInt("llama.embedding_length", INT64_MAX,
                  formats::GgufType::kInt64);
       },
       "between 1 and"},
      {[](auto& m) { m.SetInt("llama.attention.head_count", 3); },
       "must divide"},
      {[](auto& m) { m.SetInt("llama.attention.head_count_kv", 3); },
       "must divide"},
      {[](auto& m) { m.SetInt("llama.attention.key_length", 32); }, "shape"},
      {[](auto& m) { m.SetInt("llama.attention.value_length", 8); },
       "another width"},
      {[](auto& m) { m.SetInt("llama.context_length", 0); }, "between 1 and"},
      {[](auto& m) { m.SetFloat("llama.rope.freq_base", 0); }, "base"},
      {[](auto& m) {
         m.SetFloat("llama.attention.layer_norm_rms_epsilon", -1);
       },
       "[0, 1)"},
      {[](auto& m) { m.SetInt("llama.rope.dimension_count", 7); },
       "rotary width"},
      {[](auto& m) { m.SetInt("llama.rope.dimension_count", 18); },
       "rotary width"},
      {[](auto& m) { m.SetString("llama.rope.scaling.type", "magic"); },
       "'magic' is not known"},
      {[](auto& m) { m.SetString("llama.rope.scaling.type", "longrope"); },
       "one factor is needed for each"},
      {[](auto& m) {
         m.SetString("llama.rope.scaling.type", "yarn");
         m.SetFloat("llama.rope.scaling.factor", -2);
       },
       "must be above 0"},
      {[](auto& m) { m.SetString("ropewalk.block", "gau"); },
       "belongs to the architecture 'ropewalk'"},
      {[](auto& m) { m.SetString("ropewalk.block", "rnn"); }, "'rnn'"},
      {[](auto& m) { m.SetInt("ropewalk.attention.key_norm", 1); },
       "ropewalk.attention.key_norm"},
      {[](auto& m) {
         m.SetStrings("ropewalk.position", {"rope", "rope", "rope"});
       },
       "3 entries for 2 layers"}};
  for (const auto& [change, reason] : keys) {
    const std::string failure = LoadFailure({.change_keys = change});
    EXPECT_NE(failure.find(reason), std::string::npos)
        << "wanted: " << reason << ", got: " << failure;
  }
  for (const char* name :
       {"token_embd.weight", "output_norm.weight", "blk.1.ffn_up.weight"}) {
    const std::string failure = LoadFailure(
        {.keep_tensor = [&](const std::string& t) { return t != name; }});
    EXPECT_NE(failure.find(std::string("'") + name + "' is missing"),
              std::string::npos)
        << failure;
  }
  const std::string bias =
      LoadFailure({.extra_tensors = {{"blk.0.attn_norm.bias", {64}}}});
  EXPECT_NE(bias.find("'blk.0.attn_norm.bias' is not part"), std::string::npos);
}

TEST(LlamaTest, RopeScalingComesFromTheFile) {
  TinyModelOptions options;
  options.change_keys = [](formats::Metadata& m) {
    m.SetString("llama.rope.scaling.type", "yarn");
    m.SetFloat("llama.rope.scaling.factor", 4);
    m.SetInt("llama.rope.scaling.original_context_length", 16);
    m.SetString("ropewalk.position", "rerope:window=8");
  };
  const auto model = Model::Load(TinyPath("yarn.gguf", options));
  const auto& positions = model.config().positions;
  EXPECT_EQ(positions.original_length, 16);
  EXPECT_EQ(positions.scaling, position::ModelPositions::Scaling::kYarn);
  EXPECT_EQ(positions.own_spelling,
            std::vector<std::string>{"rerope:window=8"});
  options.change_keys = [](formats::Metadata&) {};
  options.extra_tensors = {{"rope_freqs.weight", {8}}};
  const auto llama3 = Model::Load(TinyPath("llama3.gguf", options));
  EXPECT_EQ(llama3.config().positions.frequency_divisors.size(), 8u);
}

// Compares with the logits of the models' original program.

void ExpectGoldenLogits(const std::string& folder) {
  ROPEWALK_NEED_DATA(model_path, "models/" + folder + "/" + folder + ".gguf");
  const auto read = [&](const std::string& name, auto& values) {
    std::ifstream in(TestDataPath("models/" + folder + "/" + name),
                     std::ios::binary);
    in.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(values[0])));
    ASSERT_TRUE(in.good());
  };
  std::vector<int32_t> tokens(129);
  std::vector<float> want(128 * 512);
  read("golden_tokens.i32", tokens);
  read("golden_logits.f32", want);
  tokens.pop_back();
  const auto model = Model::Load(model_path);
  for (const std::vector<int64_t>& chunks :
       {std::vector<int64_t>{128}, {1}, {50, 13}}) {
    const auto got = Logits(model, "rope", tokens, chunks);
    for (size_t at = 0; at < want.size(); ++at) {
      ASSERT_NEAR(got[at], want[at], kSameLogits) << at;
    }
  }
}

TEST(GoldenTest, LogitsOfLlama2xs) { ExpectGoldenLogits("llama2xs270K"); }
TEST(GoldenTest, LogitsOfStories) { ExpectGoldenLogits("stories260K"); }

}  // namespace
}  // namespace ropewalk::model
