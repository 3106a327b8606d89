#include "huggingface/folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "formats/json_file.h"
#include "formats/safetensors.h"
#include "huggingface/family.h"
#include "huggingface/write_folder.h"
#include "kernels/blocks.h"
#include "tests/test_data.h"

namespace ropewalk::huggingface {
namespace {

namespace fs = std::filesystem;
using formats::GgufFile;
using formats::GgufTensor;
using formats::Json;
using formats::SafeType;

fs::path NewFolder(const std::string& name) {
  const fs::path folder =
      fs::path(testing::TempDir()) / ("ropewalk_hf_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

void WriteText(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::vector<float> Floats(const GgufTensor& tensor) {
  std::vector<float> floats;
  std::vector<float> row(static_cast<size_t>(tensor.Columns()));
  for (int64_t r = 0; r < tensor.Rows(); ++r) {
    const std::byte* from =
        tensor.shape.size() == 1 ? tensor.bytes.data() : tensor.Row(r);
    kernels::UnpackRow(*tensor.type, from, tensor.Columns(), row.data());
    floats.insert(floats.end(), row.begin(), row.end());
  }
  return floats;
}

// One row, which some files write as a matrix of one.
std::vector<int64_t> Squeezed(std::vector<int64_t> shape) {
  if (shape.size() == 2 && shape[0] == 1) shape.erase(shape.begin());
  return shape;
}

void ExpectSameTensors(const GgufFile& got, const GgufFile& want) {
  for (const GgufTensor& tensor : want.tensors()) {
    const GgufTensor* other = got.Find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_EQ(Squeezed(other->shape), Squeezed(tensor.shape)) << tensor.name;
    const std::vector<float> a = Floats(*other);
    const std::vector<float> b = Floats(tensor);
    ASSERT_EQ(a.size(), b.size()) << tensor.name;
    for (size_t i = 0; i < a.size(); ++i) {
      // Factors of frequencies are computed, all others copied.
      const float most = tensor.name.starts_with("rope_") ? 1e-5f * b[i] : 0.0f;
      ASSERT_LE(std::abs(a[i] - b[i]), most) << tensor.name << " " << i;
    }
  }
  EXPECT_EQ(got.tensors().size(), want.tensors().size());
}

// Keys that say nothing in the files that have them.
bool SaysNothing(const std::string& name, const formats::MetadataValue& value,
                 const formats::MetadataValue* base) {
  return name == "use_parallel_residual" ||
         (name == "rope.freq_base_swa" && base != nullptr && value == *base) ||
         (name == "rope.scaling.type" && value.bytes == "none") ||
         name == "rope.scaling.original_context_length" ||
         (name == "attention.sliding_window" &&
          value.bytes == std::string(4, '\0'));
}

void ExpectKeysOf(const GgufFile& want, const GgufFile& got) {
  const std::string architecture =
      *want.metadata().FindString("general.architecture");
  EXPECT_EQ(got.metadata().FindString("general.architecture"), architecture);
  for (const auto& entry : want.metadata().entries()) {
    if (!entry.key.starts_with(architecture + ".")) continue;
    const std::string name = entry.key.substr(architecture.size() + 1);
    const auto* value = got.metadata().Find(entry.key);
    if (value == nullptr) {
      EXPECT_TRUE(
          SaysNothing(name, entry.value,
                      want.metadata().Find(architecture + ".rope.freq_base")))
          << entry.key;
    } else if (entry.value.type == formats::GgufType::kFloat32) {
      EXPECT_NEAR(*got.metadata().FindFloat(entry.key),
                  *want.metadata().FindFloat(entry.key), 1e-6)
          << entry.key;
    } else {
      EXPECT_EQ(value->ShortValue(), entry.value.ShortValue()) << entry.key;
    }
  }
}

// The fixtures have a placeholder, of which no tokenizer.json can be made. The
// result borrows `file`.
GgufFile WithoutVocabulary(const GgufFile& file) {
  formats::GgufContents contents;
  contents.path = file.path();
  contents.file_bytes = file.file_bytes();
  contents.metadata = file.metadata();
  for (const auto& entry : file.metadata().entries()) {
    if (entry.key.starts_with("tokenizer.")) {
      contents.metadata.Remove(entry.key);
    }
  }
  contents.tensors = file.tensors();
  return GgufFile(std::move(contents));
}

// Calls test(folder, its GGUF) for every fixture that has one.
template <typename Test>
void ForFixtures(const std::string& readme, const Test& test) {
  int count = 0;
  for (const auto& entry :
       fs::directory_iterator(fs::path(readme).parent_path())) {
    const fs::path gguf = entry.path() / "model.gguf";
    if (!fs::exists(gguf)) continue;
    SCOPED_TRACE(entry.path().filename().string());
    try {
      test(entry.path(), GgufFile(gguf.string()));
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    ++count;
  }
  EXPECT_GE(count, 30);
}

// The files are those of llama.cpp's converter, in f32.
TEST(FolderTest, IsWhatLlamaCppMakesOfIt) {
  ROPEWALK_NEED_DATA(readme, "golden/hf/README.md");
  ForFixtures(readme, [](const fs::path& folder, const GgufFile& want) {
    const GgufFile got = OpenFolder(folder.string());
    ExpectKeysOf(want, got);
    ExpectSameTensors(got, want);
  });
}

TEST(FolderTest, AWrittenFolderReadsAsTheFile) {
  ROPEWALK_NEED_DATA(readme, "golden/hf/README.md");
  std::set<std::string> refused;
  ForFixtures(readme, [&](const fs::path& folder, const GgufFile& file) {
    const fs::path to = NewFolder("written");
    try {
      WriteFolder(WithoutVocabulary(file), to.string(), DType::kF32,
                  [](int64_t) {});
    } catch (const FormatError& error) {
      refused.insert(folder.filename().string());
      EXPECT_NE(std::string(error.what()).find("not written"),
                std::string::npos)
          << error.what();
      EXPECT_FALSE(fs::exists(to / "config.json"));
      return;
    }
    const GgufFile got = OpenFolder(to.string());
    ExpectKeysOf(file, got);
    ExpectSameTensors(got, file);
  });
  EXPECT_EQ(refused, (std::set<std::string>{"gpt-neox", "gpt-neox-serial"}));
}

// A folder of two layers of Llama, 4 wide with one head, which tests change.
struct Tiny {
  Json config = Json::parse(R"({
    "model_type": "llama", "hidden_size": 4, "intermediate_size": 6,
    "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 5,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": true})");
  std::map<std::string, std::vector<int64_t>> tensors = {
      {"model.embed_tokens.weight", {5, 4}},
      {"model.norm.weight", {4}},
      {"model.layers.0.input_layernorm.weight", {4}},
      {"model.layers.0.post_attention_layernorm.weight", {4}},
      {"model.layers.0.self_attn.q_proj.weight", {4, 4}},
      {"model.layers.0.self_attn.k_proj.weight", {4, 4}},
      {"model.layers.0.self_attn.v_proj.weight", {4, 4}},
      {"model.layers.0.self_attn.o_proj.weight", {4, 4}},
      {"model.layers.0.mlp.gate_proj.weight", {6, 4}},
      {"model.layers.0.mlp.up_proj.weight", {6, 4}},
      {"model.layers.0.mlp.down_proj.weight", {4, 6}}};
  SafeType type = SafeType::kF32;

  // Element i of every tensor is i.
  fs::path Write(const std::string& name,
                 const std::string& file = "model.safetensors") const {
    const fs::path folder = NewFolder(name);
    WriteText(folder / "config.json", config.dump());
    WriteWeights((folder / file).string());
    return folder;
  }
  void WriteWeights(const std::string& path) const {
    formats::SafetensorsWriter writer(path, {.checksum = false});
    for (const auto& [tensor, shape] : tensors) {
      writer.AddTensor(tensor, type, shape);
    }
    for (const auto& [tensor, shape] : tensors) {
      int64_t size = formats::InfoOf(type).bytes;
      for (const int64_t side : shape) size *= side;
      std::vector<float> values(static_cast<size_t>(size + 3) / 4);
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(i);
      }
      writer.WriteTensor(
          std::as_bytes(std::span(values)).first(static_cast<size_t>(size)));
    }
    writer.Finish();
  }
};

std::string Refusal(const fs::path& folder) {
  try {
    OpenModel(folder.string());
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

void ExpectRefused(const Tiny& tiny, const std::string& reason) {
  const std::string got = Refusal(tiny.Write("refused"));
  EXPECT_NE(got.find(reason), std::string::npos) << reason << "\n" << got;
}

TEST(FolderTest, HalvesOfHeadsBecomeNeighbours) {
  const GgufFile file = OpenFolder(Tiny().Write("tiny").string());
  // Rows 0 and 2 are the first pair.
  EXPECT_EQ(Floats(*file.Find("blk.0.attn_q.weight")),
            (std::vector<float>{0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13,
                                14, 15}));
  EXPECT_EQ(Floats(*file.Find("blk.0.attn_v.weight"))[4], 4);
  EXPECT_EQ(file.metadata().FindString("general.name"), "ropewalk_hf_tiny");
  EXPECT_EQ(file.version(), 0);
}

TEST(FolderTest, WeightsMayBeInSeveralFiles) {
  const fs::path folder = Tiny().Write("parts");
  fs::remove(folder / "model.safetensors");
  Json map = Json::object();
  Tiny first;
  Tiny second;
  first.tensors.clear();
  for (const auto& [name, shape] : Tiny().tensors) {
    const bool early = name < "model.layers.0.mlp";
    map[name] = early ? "model-1.safetensors" : "model-2.safetensors";
    if (early) {
      first.tensors[name] = shape;
      second.tensors.erase(name);
    }
  }
  first.WriteWeights((folder / "model-1.safetensors").string());
  second.WriteWeights((folder / "model-2.safetensors").string());
  EXPECT_NE(Refusal(folder).find("2 .safetensors files"), std::string::npos);
  const auto index = [&](const Json& names) {
    WriteText(folder / "model.safetensors.index.json",
              Json{{"weight_map", names}}.dump());
  };
  index(map);
  EXPECT_EQ(OpenFolder(folder.string()).tensors().size(), 11u);
  Json wrong = map;
  wrong["model.norm.weight"] = "model-1.safetensors";
  index(wrong);
  EXPECT_NE(Refusal(folder).find("does not have it"), std::string::npos);
  wrong["model.norm.weight"] = "../model-1.safetensors";
  index(wrong);
  EXPECT_NE(Refusal(folder).find("must name a file of this folder"),
            std::string::npos);
  index(Json::object());
  EXPECT_NE(Refusal(folder).find("names 0 files"), std::string::npos);
  WriteText(folder / "model.safetensors.index.json", "[]");
  EXPECT_NE(Refusal(folder).find("weight_map"), std::string::npos);
}

TEST(FolderTest, WhatIsNotUnderstoodIsRefusedByName) {
  const auto with = [](const char* name, const Json& value) {
    Tiny tiny;
    tiny.config[name] = value;
    return tiny;
  };
  ExpectRefused(with("model_type", "mamba"), "'mamba', which is not supported");
  ExpectRefused(with("clever_new_thing", 3), "'clever_new_thing'");
  ExpectRefused(with("hidden_size", "4"), "'hidden_size' must be an integer");
  ExpectRefused(with("hidden_size", 0), "'hidden_size' must be from 1");
  ExpectRefused(with("num_hidden_layers", int64_t{1} << 40),
                "'num_hidden_layers' must be from 1");
  ExpectRefused(with("hidden_act", "relu"), "'hidden_act' must be silu");
  ExpectRefused(with("tie_word_embeddings", false), "'lm_head.weight'");
  ExpectRefused(with("quantization_config", {{"quant_method", "gptq"}}),
                "'quantization_config'");
  ExpectRefused(with("rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}),
                "'dynamic', which is not known");
  ExpectRefused(with("rope_scaling",
                     {{"rope_type", "linear"}, {"factor", 2.0}, {"odd", 1}}),
                "'rope_scaling.odd'");
  ExpectRefused(with("partial_rotary_factor", 1.5), "at most 1");
  Tiny tiny;
  tiny.tensors["model.layers.0.mlp.surprise.weight"] = {4, 4};
  ExpectRefused(tiny, "surprise.weight' is not part of the family 'llama'");
  tiny = {};
  tiny.tensors["model.layers.1.input_layernorm.weight"] = {4};
  ExpectRefused(tiny, "beyond num_hidden_layers = 1");
  tiny = {};
  tiny.type = SafeType::kF64;
  ExpectRefused(tiny, "is of type F64");
  // What says nothing is no reason to refuse.
  tiny = with("clever_new_thing", nullptr);
  tiny.config["cleverer"] = false;
  tiny.config["attention_dropout"] = 0.1;
  EXPECT_EQ(Refusal(tiny.Write("fine")), "");
}

// A model that also sees: its text model stands in text_config, which leaves
// out what is the class's own, and its other tensors are passed over.
TEST(FolderTest, TheTextModelOfAModelThatSeesIsRead) {
  const fs::path folder = NewFolder("sees");
  WriteText(folder / "config.json", R"({
    "model_type": "gemma3", "image_token_index": 262144,
    "vision_config": {"hidden_size": 7},
    "text_config": {"model_type": "gemma3_text", "hidden_size": 4,
      "intermediate_size": 6, "num_hidden_layers": 1, "sliding_window": 16,
      "rope_scaling": {"rope_type": "linear", "factor": 8.0}}})");
  Tiny tiny;
  tiny.tensors = {{"language_model.model.embed_tokens.weight", {5, 4}},
                  {"language_model.model.norm.weight", {4}},
                  {"multi_modal_projector.mm_input_projection_weight", {2, 2}},
                  {"vision_tower.vision_model.post_layernorm.weight", {3}}};
  tiny.WriteWeights((folder / "model.safetensors").string());
  const GgufFile file = OpenFolder(folder.string());
  EXPECT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.metadata().FindInt("gemma3.attention.head_count"), 8);
  EXPECT_EQ(file.metadata().FindInt("gemma3.attention.key_length"), 256);
  EXPECT_EQ(file.metadata().FindInt("gemma3.attention.sliding_window"), 16);
  EXPECT_EQ(file.metadata().FindFloat("gemma3.rope.freq_base"), 1000000);
  EXPECT_EQ(file.metadata().FindFloat("gemma3.rope.freq_base_swa"), 10000);
  // Gemma's norms multiply by 1 + w.
  EXPECT_EQ(Floats(*file.Find("output_norm.weight")),
            (std::vector<float>{1, 2, 3, 4}));
}

TEST(FolderTest, BrokenFoldersAreRefused) {
  const fs::path folder = NewFolder("broken");
  EXPECT_NE(Refusal(folder).find("without config.json"), std::string::npos);
  WriteText(folder / "config.json", "{\"model_type\": ");
  EXPECT_NE(Refusal(folder).find("is not JSON"), std::string::npos);
  WriteText(folder / "config.json", "[]");
  EXPECT_NE(Refusal(folder).find("must be an object"), std::string::npos);
  WriteText(folder / "config.json", Tiny().config.dump());
  EXPECT_NE(Refusal(folder).find("no model.safetensors"), std::string::npos);
  WriteText(folder / "model.safetensors", "garbage");
  EXPECT_NE(Refusal(folder), "");
}

// Two rows of one block: the even row is the gate, the odd one up. Published
// bytes hold neighbours; GGUF's hold elements 16 apart.
TEST(FolderTest, BlocksOfMxfp4AreRearranged) {
  const fs::path folder = NewFolder("mxfp4");
  Json config = Tiny().config;
  config["model_type"] = "gpt_oss";
  config["num_local_experts"] = 1;
  config["num_experts_per_tok"] = 1;
  config["quantization_config"] = {{"quant_method", "mxfp4"}};
  config["hidden_size"] = 32;
  WriteText(folder / "config.json", config.dump());
  formats::SafetensorsWriter writer((folder / "model.safetensors").string(),
                                    {.checksum = false});
  const std::string name = "model.layers.0.mlp.experts.gate_up_proj";
  writer.AddTensor(name + "_blocks", SafeType::kU8, {1, 2, 1, 16});
  writer.AddTensor(name + "_scales", SafeType::kU8, {1, 2, 1});
  std::vector<std::byte> blocks(32);
  for (size_t at = 0; at < blocks.size(); ++at) {
    // Row 0 has the elements 0 to 15 twice, row 1 the same in reverse.
    const size_t low = 2 * at % 16;
    const auto pair = static_cast<unsigned>(low | ((low + 1) << 4));
    blocks[at] = static_cast<std::byte>(at < 16 ? pair : 255 - pair);
  }
  writer.WriteTensor(blocks);
  writer.WriteTensor(std::vector<std::byte>{std::byte{128}, std::byte{127}});
  writer.Finish();
  const GgufFile file = OpenFolder(folder.string());
  const std::vector<float> steps = {0, .5,  1,  1.5,  2,  3,  4,  6,
                                    0, -.5, -1, -1.5, -2, -3, -4, -6};
  const auto gate = Floats(*file.Find("blk.0.ffn_gate_exps.weight"));
  const auto up = Floats(*file.Find("blk.0.ffn_up_exps.weight"));
  ASSERT_EQ(gate.size(), 32u);
  for (size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(gate[i], 2 * steps[i % 16]) << i;
    EXPECT_EQ(up[i], steps[15 - i % 16]) << i;
  }
}

TEST(FolderTest, AFailedWriteLeavesNoFolderThatOpens) {
  const fs::path from = Tiny().Write("from");
  const GgufFile file = OpenFolder(from.string());
  const fs::path to = NewFolder("to");
  EXPECT_THROW(WriteFolder(file, to.string(), DType::kQ8_0, [](int64_t) {}),
               std::invalid_argument);
  EXPECT_THROW(WriteFolder(file, to.string(), DType::kF32,
                           [](int64_t) { throw std::runtime_error("stop"); }),
               std::runtime_error);
  EXPECT_FALSE(fs::exists(to / "config.json"));
  EXPECT_FALSE(fs::exists(to / "model.safetensors"));
}

}  // namespace
}  // namespace ropewalk::huggingface
