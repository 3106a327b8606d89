// Compares models of every architecture with their published implementations,
// and the fast pass with the definition in float64.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/architectures/architecture.h"
#include "model/context.h"
#include "model/reference.h"
#include "position/definition.h"
#include "tests/model_logits.h"
#include "tests/published_logits.h"
#include "tests/test_data.h"
#include "tests/tiny_architectures.h"

namespace ropewalk::model {
namespace {

std::string Write(
    const TinyArchitecture& tiny,
    const std::function<void(formats::Metadata&)>& change = [](auto&) {},
    const std::string& changed = "") {
  const std::string path = (std::filesystem::path(testing::TempDir()) /
                            ("ropewalk_" + tiny.name + ".gguf"))
                               .string();
  WriteTinyArchitecture(path, tiny, change, changed);
  return path;
}

TinyArchitecture Tiny(const std::string& name) {
  for (const TinyArchitecture& tiny : TinyArchitectures()) {
    if (tiny.name == name) return tiny;
  }
  ADD_FAILURE() << name;
  return {};
}

double Largest(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t at = 0; at < a.size(); ++at) {
    largest = std::max(largest, std::abs(double{a[at]} - double{b[at]}));
  }
  return largest;
}

TEST(ArchitecturesTest, EachHasATinyModel) {
  std::set<std::string> tested;
  for (const TinyArchitecture& tiny : TinyArchitectures()) {
    tested.insert(tiny.architecture);
  }
  tested.insert("ropewalk");  // gau_test.cc
  for (const Architecture* architecture : AllArchitectures()) {
    EXPECT_EQ(tested.count(std::string(architecture->name)), 1u)
        << architecture->name;
    EXPECT_FALSE(architecture->models.empty());
  }
}

TEST(ArchitecturesTest, FastPassMatchesFloat64) {
  for (const TinyArchitecture& tiny : TinyArchitectures()) {
    const auto model = Model::Load(Write(tiny));
    const auto tokens = RandomTokens(model, 100, 3);
    for (const char* spelling : {"rope", "rerope:window=20+logn-clip@all"}) {
      const auto want =
          ReferenceLogits(model, MakeStack(model, spelling, 100), tokens);
      for (const std::vector<int64_t>& chunks :
           {std::vector<int64_t>{100}, {1}, {33, 5}}) {
        const auto got = Logits(model, spelling, tokens, chunks);
        ASSERT_EQ(got.size(), want.size());
        double largest = 0;
        double size = 0;
        for (size_t at = 0; at < got.size(); ++at) {
          largest = std::max(largest, std::abs(got[at] - want[at]));
          size = std::max(size, std::abs(want[at]));
        }
        // Up to seven layers of float32 sums over 32 to 96 terms of size 1.
        EXPECT_LT(largest, 5e-4) << tiny.name << " " << spelling;
        EXPECT_GT(size, 0.1) << tiny.name;
      }
    }
  }
}

// A part that neither pass uses would not make the two differ, so each part is
// changed here. A result that only rounds differently moves by less than 1e-5.
TEST(ArchitecturesTest, EachTensorAndEachFactorChangesTheResult) {
  for (const TinyArchitecture& tiny : TinyArchitectures()) {
    const auto model = Model::Load(Write(tiny));
    const auto tokens = RandomTokens(model, 40, 3);
    const auto before = Logits(model, "rope", tokens, {40});
    for (const auto& [key, value] : tiny.numbers) {
      const std::string name = tiny.architecture + "." + key;
      if (key == "rope.freq_base_swa") continue;  // its default
      const auto changed = Model::Load(
          Write(tiny, [&, v = value](auto& m) { m.SetFloat(name, 1.5 * v); }));
      EXPECT_GT(Largest(before, Logits(changed, "rope", tokens, {40})), 1e-5)
          << tiny.name << " " << key;
    }
    std::vector<std::string> tensors;
    for (const auto& [name, shape] : tiny.ends) tensors.push_back(name);
    for (const auto& [name, shape] : tiny.layer) {
      tensors.push_back("blk.0." + name);
    }
    for (const std::string& name : tensors) {
      const auto changed = Model::Load(Write(
          tiny, [](auto&) {}, name));
      EXPECT_GT(Largest(before, Logits(changed, "rope", tokens, {40})), 1e-5)
          << tiny.name << " " << name;
    }
  }
}

TEST(ArchitecturesTest, KeysThatWouldChangeTheResultAreRefusedByName) {
  using Change = std::function<void(formats::Metadata&)>;
  const TinyArchitecture llama = Tiny("llama");
  const std::vector<std::pair<Change, std::string>> refused = {
      {[](auto& m) { m.SetBool("llama.attention.causal", false); },
       "llama.attention.causal"},
      {[](auto& m) { m.SetFloat("llama.attention.scale", 1); },
       "llama.attention.scale"},
      {[](auto& m) { m.SetFloat("llama.attention.clamp_kqv", 0.01); },
       "llama.attention.clamp_kqv"},
      {[](auto& m) { m.SetFloat("llama.attn_logit_softcapping", 1); },
       "llama.attn_logit_softcapping"},
      {[](auto& m) { m.SetFloat("llama.final_logit_softcapping", 1); },
       "llama.final_logit_softcapping"},
      {[](auto& m) { m.SetFloat("llama.logit_scale", 0.1); },
       "llama.logit_scale"},
      {[](auto& m) { m.SetFloat("llama.rope.scaling.yarn_log_multiplier", 1); },
       "llama.rope.scaling.yarn_log_multiplier"},
      {[](auto& m) { m.SetFloat("llama.rope.scaling.yarn_ext_factor", 0.5); },
       "llama.rope.scaling.yarn_ext_factor"},
      {[](auto& m) { m.SetInt("llama.some_new_thing", 3); },
       "llama.some_new_thing"},
      {[](auto& m) { m.SetString("llama.some_new_thing", "x"); },
       "llama.some_new_thing"},
      {[](auto& m) {
         m.SetInts("llama.attention.head_count_kv", std::vector<int64_t>{2, 4});
       },
       "layers that differ"},
      {[](auto& m) {
         m.SetInt("llama.expert_count", 4);
         m.SetInt("llama.expert_used_count", 5);
       },
       "llama.expert_used_count"},
      {[](auto& m) {
         m.SetInt("llama.expert_count", 4);
         m.SetInt("llama.expert_used_count", 2);
       },
       "no layer has a router"}};
  for (const auto& [change, reason] : refused) {
    try {
      Model::Load(Write(llama, change));
      ADD_FAILURE() << reason;
    } catch (const FormatError& error) {
      EXPECT_NE(std::string(error.what()).find(reason), std::string::npos)
          << error.what();
    }
  }
  const auto granite = [](auto& m) {
    m.SetInt("granite.attention.sliding_window", 20);
  };
  EXPECT_THROW(Model::Load(Write(Tiny("granite"), granite)), FormatError);
}

TEST(ArchitecturesTest, KeysThatChangeNothingAreTaken) {
  using Change = std::function<void(formats::Metadata&)>;
  const TinyArchitecture llama = Tiny("llama");
  const auto plain = Model::Load(Write(llama));
  const auto tokens = RandomTokens(plain, 30, 3);
  const auto want = Logits(plain, "rope", tokens, {30});
  for (const Change& change : std::vector<Change>{
           [](auto& m) { m.SetInt("llama.attention.sliding_window", 0); },
           [](auto& m) { m.SetInt("llama.attention.sliding_window", 4096); },
           [](auto& m) { m.SetInt("llama.attention.sliding_window", 64); },
           [](auto& m) { m.SetBool("llama.attention.causal", true); },
           [](auto& m) { m.SetInt("llama.vocab_size", 96); },
           [](auto& m) {
             m.SetFloat("llama.attention.layer_norm_epsilon", 1e-3);
           },
           [](auto& m) { m.SetInt("llama.expert_count", 0); },
           [](auto& m) { m.SetFloat("llama.attention.scale", 0); },
           [](auto& m) { m.SetFloat("llama.logit_scale", 1); },
           [](auto& m) { m.SetBool("llama.some_new_thing", false); },
           [](auto& m) {
             m.SetInts("llama.attention.head_count_kv",
                       std::vector<int64_t>{2, 2});
           }}) {
    EXPECT_EQ(Logits(Model::Load(Write(llama, change)), "rope", tokens, {30}),
              want);
  }
}

// Keys of the files of single models, and what the model makes of them.
TEST(ArchitecturesTest, KeysThatOnlySomeFilesHaveAreRead) {
  const auto layers = [](const std::string& name, const auto& change) {
    const auto model = Model::Load(Write(Tiny(name), change));
    return model.config().positions;
  };
  // If all layers of a Gemma 3 are global, all have one base.
  auto positions = layers("gemma3", [](auto& m) {
    m.Remove("gemma3.attention.sliding_window");
    m.Remove("gemma3.rope.freq_base_swa");
  });
  EXPECT_TRUE(positions.layers.empty());
  // With a window longer than the context local layers keep their base.
  positions = layers("gemma3", [](auto& m) {
    m.SetInt("gemma3.attention.sliding_window", 512);
  });
  EXPECT_EQ(positions.layers[0].window, 0);
  EXPECT_EQ(positions.layers[0].base, 10000);
  EXPECT_EQ(positions.layers[5].base, 0);
  positions = layers("granite", [](auto& m) {
    m.SetBool("granite.rope.scaling.finetuned", false);
    m.SetInt("granite.ssm.conv_kernel", 4);
    m.SetInt("granite.expert_shared_feed_forward_length", 96);
  });
  EXPECT_FALSE(positions.layers[0].rotates);
  // The tensors decide that the layers are serial.
  layers("stablelm",
         [](auto& m) { m.SetBool("stablelm.use_parallel_residual", true); });
  positions = layers(
      "gemma2", [](auto& m) { m.SetFloat("gemma2.rope.freq_base_swa", 5000); });
  EXPECT_EQ(positions.layers[0].base, 5000);
  EXPECT_TRUE(positions.layers[0].scaled);
  positions = layers("llama", [](auto& m) {
    m.SetString("llama.rope.scaling.type", "none");
    m.SetFloat("llama.rope.scaling.factor", 4);
  });
  EXPECT_EQ(positions.scaling, position::ModelPositions::Scaling::kNone);
  // A file may also state the magnitude of yarn.
  const auto yarn = [&](const std::string& key, double value) {
    return layers("llama", [&](auto& m) {
      m.SetString("llama.rope.scaling.type", "yarn");
      m.SetFloat("llama.rope.scaling.factor", 8);
      m.SetFloat("llama.rope.scaling." + key, value);
    });
  };
  EXPECT_EQ(yarn("yarn_attn_factor", 1.2079442).attention_factor, 1);
  EXPECT_EQ(yarn("attn_factor", 1.2079442).attention_factor, 1);
  EXPECT_EQ(yarn("attn_factor", 1.5).attention_factor, 1.5);
  EXPECT_THROW(yarn("yarn_attn_factor", 1.5), FormatError);
  EXPECT_THROW(yarn("attn_factor", 1e38), FormatError);
}

TEST(ArchitecturesTest, SchemesChangeTheLayersThatReadTheWholeText) {
  const auto model = Model::Load(Write(Tiny("gemma3")));
  const auto stack = MakeStack(model, "rerope:window=20", 100);
  const auto own = MakeStack(model, "rope", 100);
  const auto all = MakeStack(model, "rerope:window=20@all", 100);
  for (size_t l = 0; l < stack.size(); ++l) {
    const bool global = l == 5;
    EXPECT_EQ(stack[l] == own[l], !global) << l;
    EXPECT_EQ(stack[l].Reach() > 16, global) << l;
    EXPECT_GT(all[l].Reach(), 16) << l;
    // Each layer has its own base; the file's scaling is for global ones only.
    EXPECT_EQ(all[l].tables.front(), own[l].tables.front()) << l;
    EXPECT_EQ(own[l].tables.front() == own[0].tables.front(), !global) << l;
  }
  EXPECT_NE(Logits(model, "rerope:window=20", RandomTokens(model, 60, 3), {60}),
            Logits(model, "rope", RandomTokens(model, 60, 3), {60}));
}

TEST(ArchitecturesTest, EachRunsEverySchemeOrRefusesItWithAReason) {
  for (const TinyArchitecture& tiny : TinyArchitectures()) {
    const auto model = Model::Load(Write(tiny));
    const auto tokens = RandomTokens(model, 80, 3);
    for (const position::Definition* scheme : position::AllDefinitions()) {
      try {
        for (const float x :
             Logits(model, std::string(scheme->name), tokens, {80})) {
          ASSERT_TRUE(std::isfinite(x)) << tiny.name << " " << scheme->name;
        }
      } catch (const std::invalid_argument& error) {
        EXPECT_EQ(std::string(error.what()).find(scheme->name), 0u)
            << tiny.name << ": " << error.what();
      }
    }
  }
}

class PublishedTest : public testing::TestWithParam<const char*> {};

TEST_P(PublishedTest, LogitsMatchThePublishedImplementation) {
  ROPEWALK_NEED_DATA(path,
                     std::string("golden/hf/") + GetParam() + "/model.gguf");
  const std::filesystem::path folder =
      std::filesystem::path(path).parent_path();
  ExpectPublishedLogits(Model::Load(path), folder);
}

// The file is not from a converter; tests/golden/make_exaone4.py wrote it.
TEST(ArchitecturesTest, Exaone4MatchesThePublishedImplementation) {
  const std::filesystem::path folder =
      ROPEWALK_SOURCE_FOLDER "/tests/golden/exaone4";
  ExpectPublishedLogits(Model::Load((folder / "model.gguf").string()), folder);
}

INSTANTIATE_TEST_SUITE_P(
    Models, PublishedTest,
    testing::Values("cohere", "cohere2", "gemma", "gemma2", "gemma3", "glm4",
                    "gpt-neox", "gpt-neox-serial", "granite", "llama",
                    "llama-linear", "llama-tied", "llama-untied-bias",
                    "llama-yarn", "llama3", "mixtral", "olmo", "olmo2", "olmo3",
                    "olmoe", "phi", "phi3", "phi3-longrope", "qwen2",
                    "qwen2-moe", "qwen3", "qwen3-moe", "smollm3", "stablelm",
                    "starcoder2"),
    [](const auto& param) {
      std::string name = param.param;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace ropewalk::model
