// Exported models against the lab's formulas, and what export refuses.

#include "lab/train/export.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "lab/train/export_definition_for_test.h"
#include "model/model.h"
#include "tests/model_logits.h"

namespace ropewalk::lab::train {
namespace {

formats::Metadata TinyTokenizer(int64_t V) {
  formats::Metadata keys;
  SetTinyVocabulary(keys, V);
  return keys;
}

LabModel Lab(const ModelConfig& config, const Weights& weights) {
  return {.config = config,
          .tensor =
              [&weights](const std::string& name) {
                const auto at = weights.find(name);
                return at == weights.end() ? at::Tensor() : at->second;
              },
          .tokenizer = TinyTokenizer(config.V),
          .name = "a lab model",
          .notes = "made by a test"};
}

std::string Path(const std::string& name) {
  return (std::filesystem::path(testing::TempDir()) / ("ropewalk_" + name))
      .string();
}

constexpr int64_t kTokens = 100;  // far beyond the trained 40

// Exports, loads, and runs the file's own law; compares with the definition.
ExportResult ExpectSameLogits(const ModelConfig& c,
                              const std::function<Law(int64_t)>& law_of,
                              DType type = DType::kF32,
                              double tolerance = 1e-4) {
  const Weights weights = MakeWeights(c);
  const std::string path = Path("exported.gguf");
  const ExportResult result = ExportGguf(Lab(c, weights), path, type);
  const auto model = model::Model::Load(path);
  const auto tokens = model::RandomTokens(model, kTokens, 3);
  const auto got = model::Logits(model, "rope", tokens, {kTokens});
  const at::Tensor want = LabLogits(c, weights, tokens, law_of).contiguous();
  const at::Tensor difference =
      (at::tensor(got, at::kDouble).view({kTokens, c.V}) - want).abs();
  EXPECT_LE(difference.max().item<double>(), tolerance);
  EXPECT_GT(want.abs().mean().item<double>(), 0.01);
  return result;
}

const std::function<Law(int64_t)> kRope = [](int64_t) { return Law{}; };

TEST(ExportGgufTest, LlamaWithRopeIsLlama) {
  const ExportResult result = ExpectSameLogits(LlamaConfig(), kRope);
  EXPECT_EQ(result.architecture, "llama");
  EXPECT_EQ(result.why, "");
  EXPECT_EQ(result.notes, std::vector<std::string>{});
}

TEST(ExportGgufTest, HeadsOfAWidthOfTheirOwn) {
  ModelConfig c = LlamaConfig();
  c.D = 8;
  c.G = 1;
  c.rope_base = 500;
  EXPECT_EQ(ExpectSameLogits(c, kRope).architecture, "llama");
}

TEST(ExportGgufTest, LawsBeyondRopeMakeItOurs) {
  ModelConfig c = LlamaConfig();
  c.inference = "rerope:window=20+logn";
  const ExportResult result = ExpectSameLogits(
      c, [](int64_t) { return Law{.rerope = 20, .logn = true}; });
  EXPECT_EQ(result.architecture, "ropewalk");
  EXPECT_EQ(result.why, "its position law is rerope:window=20+logn");
  const auto keys = formats::GgufFile(Path("exported.gguf")).metadata();
  EXPECT_EQ(keys.FindString("ropewalk.position"), "rerope:window=20+logn");
  EXPECT_EQ(keys.FindString("ropewalk.position_trained"), "rope");
  EXPECT_EQ(keys.FindInt("ropewalk.train_length"), 40);
}

// The other way round, as InvLeaky ReRoPE is meant: trained under one law and
// run with plain RoPE.
TEST(ExportGgufTest, TheLawToInferWithDecides) {
  ModelConfig c = LlamaConfig();
  c.position = "leaky-rerope:window=20,k=1/4";
  c.inference = "rope";
  EXPECT_EQ(ExpectSameLogits(c, kRope).architecture, "llama");
  const auto keys = formats::GgufFile(Path("exported.gguf")).metadata();
  EXPECT_EQ(keys.FindString("ropewalk.position_trained"),
            "leaky-rerope:window=20,k=1/4");
}

TEST(ExportGgufTest, GauUnderHwfa) {
  ModelConfig c = GauConfig();
  c.position = "hwfa:window=8";
  const auto law = [](int64_t l) {
    return l < 2 ? Law{.window = 8} : Law{.rotates = false, .logn = true};
  };
  EXPECT_EQ(ExpectSameLogits(c, law).why,
            "its blocks are gated attention units");
  c.position = "rope";
  c.inference = "rerope:window=20+logn";
  ExpectSameLogits(c, [](int64_t) { return Law{.rerope = 20, .logn = true}; });
}

TEST(ExportGgufTest, EveryHead) {
  for (const Block block : {Block::kLlama, Block::kGau}) {
    for (const Head head :
         {Head::kTied, Head::kTiedSigma, Head::kUntied, Head::kTiedOrthogonal,
          Head::kTiedHalfSwap, Head::kTiedShuffle, Head::kTiedRootWidth}) {
      ModelConfig c = block == Block::kGau ? GauConfig() : LlamaConfig();
      c.head = head;
      SCOPED_TRACE(ToString(head));
      ExpectSameLogits(c, kRope);
      const formats::GgufFile file(Path("exported.gguf"));
      EXPECT_EQ(file.Find("output.weight") == nullptr,
                head == Head::kTied || head == Head::kTiedSigma);
    }
  }
}

TEST(ExportGgufTest, LearnedLogNAndNormedKeys) {
  for (const Block block : {Block::kLlama, Block::kGau}) {
    ModelConfig c = block == Block::kGau ? GauConfig() : LlamaConfig();
    c.position = "rope+logn-learned";
    EXPECT_EQ(ExpectSameLogits(c, kRope).architecture, "ropewalk");
    c.position = "rope";
    c.key_norm = true;
    EXPECT_EQ(ExpectSameLogits(c, kRope).architecture, "ropewalk");
  }
}

TEST(ExportGgufTest, ScalesThatTheLawDoesNotUseAreLeftOutAndSaid) {
  ModelConfig c = LlamaConfig();
  c.position = "rope+logn-learned";
  c.inference = "rope";
  const Weights weights = MakeWeights(c);
  const ExportResult result =
      ExportGguf(Lab(c, weights), Path("exported.gguf"), DType::kF32);
  EXPECT_EQ(result.architecture, "llama");
  ASSERT_EQ(result.notes.size(), 1u);
  EXPECT_NE(result.notes[0].find("were left out"), std::string::npos);
}

TEST(ExportGgufTest, OneLawALayerFromAStackFile) {
  const std::string stack = Path("stack.toml");
  std::ofstream(stack) << "layers = [\"window:size=8\", \"rope\"]\n";
  ModelConfig c = LlamaConfig();
  c.position = "@" + stack;
  const auto law = [](int64_t l) { return Law{.window = l == 0 ? 8 : 0}; };
  const ExportResult result = ExpectSameLogits(c, law);
  EXPECT_EQ(result.why, "its position law is one of its own for each layer");
  const auto keys = formats::GgufFile(Path("exported.gguf")).metadata();
  EXPECT_EQ(keys.FindStrings("ropewalk.position"),
            (std::vector<std::string>{"window:size=8", "rope"}));
}

TEST(ExportGgufTest, TypesOfMatricesVectorsAndOddRows) {
  ModelConfig c = LlamaConfig();
  c.F = 100;  // no multiple of 32
  ExpectSameLogits(c, kRope, DType::kF16, 0.02);
  const ExportResult result = ExpectSameLogits(c, kRope, DType::kQ8_0, 0.15);
  ASSERT_EQ(result.notes.size(), 2u);
  EXPECT_EQ(result.notes[0],
            "blk.0.ffn_down.weight: rows of 100 are not whole blocks of q8_0; "
            "kept f16");
  const formats::GgufFile file(Path("exported.gguf"));
  EXPECT_EQ(file.Find("blk.0.attn_q.weight")->type_name, "q8_0");
  EXPECT_EQ(file.Find("blk.0.ffn_down.weight")->type_name, "f16");
  EXPECT_EQ(file.Find("blk.0.attn_norm.weight")->type_name, "f32");
  EXPECT_EQ(file.metadata().FindInt("general.file_type"), 7);
  EXPECT_EQ(file.metadata().FindInt("general.quantization_version"), 2);
}

TEST(ExportGgufTest, KeysThatOtherEnginesNeed) {
  ModelConfig c = LlamaConfig();
  c.D = 8;
  const Weights weights = MakeWeights(c);
  ExportGguf(Lab(c, weights), Path("exported.gguf"), DType::kF16);
  const auto keys = formats::GgufFile(Path("exported.gguf")).metadata();
  const std::map<std::string, int64_t> want = {
      {"general.file_type", 1},          {"llama.vocab_size", 300},
      {"llama.context_length", 40},      {"llama.embedding_length", 64},
      {"llama.block_count", 2},          {"llama.feed_forward_length", 96},
      {"llama.attention.head_count", 4}, {"llama.attention.head_count_kv", 2},
      {"llama.attention.key_length", 8}, {"llama.attention.value_length", 8},
      {"llama.rope.dimension_count", 8}, {"tokenizer.ggml.bos_token_id", 1}};
  for (const auto& [key, value] : want) {
    EXPECT_EQ(keys.FindInt(key), value) << key;
  }
  EXPECT_EQ(keys.FindString("general.name"), "a lab model");
  EXPECT_EQ(keys.FindString("general.description"), "made by a test");
  EXPECT_EQ(keys.FindFloat("llama.rope.freq_base"), 10000);
  EXPECT_EQ(keys.FindString("tokenizer.ggml.model"), "llama");
}

TEST(ExportGgufTest, AShortVocabularyIsFilledUpAndALongOneRefused) {
  const ModelConfig c = LlamaConfig();
  const Weights weights = MakeWeights(c);
  LabModel lab = Lab(c, weights);
  lab.tokenizer = TinyTokenizer(290);
  const ExportResult result =
      ExportGguf(lab, Path("exported.gguf"), DType::kF32);
  ASSERT_EQ(result.notes.size(), 1u);
  EXPECT_NE(result.notes[0].find("10 unused tokens"), std::string::npos);
  const auto keys = formats::GgufFile(Path("exported.gguf")).metadata();
  EXPECT_EQ(keys.FindStrings("tokenizer.ggml.tokens")->size(), 300u);
  EXPECT_EQ(keys.FindInts("tokenizer.ggml.token_type")->at(299), 5);
  lab.tokenizer = TinyTokenizer(301);
  EXPECT_THROW(ExportGguf(lab, Path("exported.gguf"), DType::kF32),
               std::invalid_argument);
  lab.tokenizer = formats::Metadata();
  EXPECT_EQ(ExportGguf(lab, Path("exported.gguf"), DType::kF32).notes.size(),
            1u);
}

std::string Refusal(const ModelConfig& c,
                    const std::function<void(Weights&)>& change,
                    DType type = DType::kF32) {
  Weights weights = MakeWeights(c);
  change(weights);
  const std::string path = Path("refused.gguf");
  std::filesystem::remove(path);
  try {
    ExportGguf(Lab(c, weights), path, type);
  } catch (const std::invalid_argument& error) {
    EXPECT_FALSE(std::filesystem::exists(path));
    return error.what();
  }
  return "";
}

TEST(ExportGgufTest, WhatNoFileCanHoldIsRefused) {
  const auto nothing = [](Weights&) {};
  ModelConfig c = LlamaConfig();
  c.architecture = nn::Architecture::kEncoderDecoder;
  EXPECT_NE(Refusal(c, nothing).find("'encoder-decoder' stays a checkpoint"),
            std::string::npos);
  for (const nn::Mask mask : {nn::Mask::kPrefix, nn::Mask::kBidirectional,
                              nn::Mask::kMixedHeads, nn::Mask::kMixedLayers}) {
    c = LlamaConfig();
    c.mask = mask;
    EXPECT_NE(Refusal(c, nothing).find("'" + ToString(mask) + "' stays"),
              std::string::npos);
  }
  c = LlamaConfig();
  c.inference = "auto";
  EXPECT_NE(Refusal(c, nothing).find("got 'auto'"), std::string::npos);
}

TEST(ExportGgufTest, TensorsThatDoNotFitAreRefusedByName) {
  const ModelConfig c = LlamaConfig();
  EXPECT_NE(Refusal(c, [](Weights& w) { w.erase("layers.1.down.weight"); })
                .find("'layers.1.down.weight' is missing"),
            std::string::npos);
  EXPECT_NE(Refusal(c,
                    [](Weights& w) {
                      w["layers.0.qkv.weight"] = at::zeros({127, 64});
                    })
                .find("'layers.0.qkv.weight' must be [128, 64], got [127, 64]"),
            std::string::npos);
  EXPECT_NE(Refusal(c,
                    [](Weights& w) {
                      w["norm.weight"] = w["norm.weight"].to(at::kDouble);
                    })
                .find("'norm.weight' must be float32"),
            std::string::npos);
  const auto large = [](Weights& w) { w["embedding.weight"][0][0] = 1e5; };
  EXPECT_NE(Refusal(c, large, DType::kF16).find("beyond f16's 65504"),
            std::string::npos);
  EXPECT_EQ(Refusal(c, large), "");
}

// What transformers computes from the file, read back by name.
TEST(ExportHuggingFaceTest, TensorsAreTheLabsUnderTheirNames) {
  ModelConfig c = LlamaConfig();
  c.head = Head::kTiedHalfSwap;
  const Weights w = MakeWeights(c);
  const std::string folder = Path("hf/model");
  const ExportResult result = ExportHuggingFace(Lab(c, w), folder, DType::kF32);
  EXPECT_EQ(result.architecture, "llama");
  const formats::SafetensorsFile file(folder + "/model.safetensors");
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.tensors().size(), 3u + 2 * 9);
  const auto read = [&](const std::string& name) {
    const formats::SafeTensor& tensor = file.Get(name);
    EXPECT_EQ(tensor.type, formats::SafeType::kF32);
    at::Tensor out = at::empty(tensor.shape);
    std::memcpy(out.data_ptr(), tensor.bytes.data(), tensor.bytes.size());
    return out;
  };
  const at::Tensor qkv = w.at("layers.1.qkv.weight");
  const at::Tensor gate_up = w.at("layers.1.gate_up.weight");
  const std::string p = "model.layers.1.";
  const std::vector<std::pair<std::string, at::Tensor>> want = {
      {"model.embed_tokens.weight", w.at("embedding.weight")},
      {"model.norm.weight", w.at("norm.weight")},
      {p + "self_attn.q_proj.weight", qkv.narrow(0, 0, 64)},
      {p + "self_attn.k_proj.weight", qkv.narrow(0, 64, 32)},
      {p + "self_attn.v_proj.weight", qkv.narrow(0, 96, 32)},
      {p + "self_attn.o_proj.weight", w.at("layers.1.attention_output.weight")},
      {p + "input_layernorm.weight", w.at("layers.1.attention_norm.weight")},
      {p + "post_attention_layernorm.weight",
       w.at("layers.1.feed_norm.weight")},
      {p + "mlp.gate_proj.weight", gate_up.narrow(0, 0, 96)},
      {p + "mlp.up_proj.weight", gate_up.narrow(0, 96, 96)},
      {p + "mlp.down_proj.weight", w.at("layers.1.down.weight")},
      {"lm_head.weight", w.at("embedding.weight").roll(32, 1)}};
  for (const auto& [name, tensor] : want) {
    EXPECT_TRUE(read(name).equal(tensor)) << name;
  }
  std::ifstream in(folder + "/config.json");
  const auto json = nlohmann::json::parse(in);
  EXPECT_EQ(json["architectures"][0], "LlamaForCausalLM");
  EXPECT_EQ(json["num_key_value_heads"], 2);
  EXPECT_EQ(json["head_dim"], 16);
  EXPECT_EQ(json["tie_word_embeddings"], false);
  EXPECT_EQ(json["bos_token_id"], 1);
  EXPECT_EQ(json["rope_theta"], 10000.0);
}

TEST(ExportHuggingFaceTest, TiedHeadsHaveNoMatrixAndTypesAreKept) {
  const ModelConfig c = LlamaConfig();
  const Weights w = MakeWeights(c);
  const std::string folder = Path("hf/tied");
  ExportHuggingFace(Lab(c, w), folder, DType::kBf16);
  const formats::SafetensorsFile file(folder + "/model.safetensors");
  EXPECT_EQ(file.Find("lm_head.weight"), nullptr);
  const formats::SafeTensor& down =
      file.Get("model.layers.0.mlp.down_proj.weight");
  EXPECT_EQ(down.type, formats::SafeType::kBf16);
  const at::Tensor want = w.at("layers.0.down.weight").to(at::kBFloat16);
  EXPECT_EQ(std::memcmp(down.bytes.data(), want.data_ptr(), want.nbytes()), 0);
  std::ifstream in(folder + "/config.json");
  const auto json = nlohmann::json::parse(in);
  EXPECT_EQ(json["tie_word_embeddings"], true);
  EXPECT_EQ(json["torch_dtype"], "bfloat16");
}

TEST(ExportHuggingFaceTest, RefusesWithTheReason) {
  const auto refusal = [](const ModelConfig& c, DType type) -> std::string {
    const Weights weights = MakeWeights(c);
    try {
      ExportHuggingFace(Lab(c, weights), Path("hf/refused"), type);
    } catch (const std::invalid_argument& error) {
      EXPECT_FALSE(std::filesystem::exists(Path("hf/refused")));
      return error.what();
    }
    return "";
  };
  EXPECT_NE(refusal(GauConfig(), DType::kF32).find("gated attention units"),
            std::string::npos);
  ModelConfig c = LlamaConfig();
  EXPECT_NE(refusal(c, DType::kQ8_0).find("got q8_0"), std::string::npos);
  c.inference = "rerope";
  EXPECT_NE(refusal(c, DType::kF32).find("its position law is rerope"),
            std::string::npos);
  c = LlamaConfig();
  c.key_norm = true;
  EXPECT_NE(refusal(c, DType::kF32).find("its keys are normed"),
            std::string::npos);
}

}  // namespace
}  // namespace ropewalk::lab::train
