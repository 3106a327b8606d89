// The two wings hold the same model: what the lab computes, the runtime
// computes from the exported file.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <filesystem>
#include <string>
#include <vector>

#include "lab/nn/model.h"
#include "lab/train/export.h"
#include "lab/train/export_definition_for_test.h"
#include "position/scheme.h"
#include "tests/model_logits.h"

namespace ropewalk::lab::train {
namespace {

// A fresh model's gains are all ones and its scales all equal; moved apart, a
// mistaken order shows.
void Shake(const nn::Model& lab) {
  at::manual_seed(9);
  for (const nn::Parameter& parameter : lab.parameters()) {
    at::Tensor value = parameter.value.detach();
    value.mul_(1 + 0.2 * at::randn_like(value));
  }
}

void ExpectTheSameLogits(const ModelConfig& config) {
  const at::NoGradGuard no_gradients;
  const nn::Model lab(config, 4);
  Shake(lab);
  const auto find = [&](const std::string& name) {
    for (const nn::Parameter& parameter : lab.parameters()) {
      if (parameter.name == name) return parameter.value.detach();
    }
    return at::Tensor();
  };
  const std::string path =
      (std::filesystem::path(testing::TempDir()) / "ropewalk_two_wings.gguf")
          .string();
  ExportGguf({.config = config, .tensor = find, .name = "crossing"}, path,
             DType::kF32);
  const auto runtime = model::Model::Load(path);
  constexpr int64_t kTokens = 90;
  const auto tokens = model::RandomTokens(runtime, kTokens, 2);
  const position::Stack stack = model::MakeStack(runtime, "rope", kTokens);
  const std::vector<int64_t> ids(tokens.begin(), tokens.end());
  const at::Tensor want = lab.Logits(lab.Hidden(
      {.ids = at::tensor(ids, at::kLong).view({1, kTokens})}, stack));
  const auto got = model::Logits(runtime, "rope", tokens, {50, 1});
  const at::Tensor difference =
      (at::tensor(got).view({kTokens, config.V}) - want).abs();
  EXPECT_LE(difference.max().item<double>(),
            1e-4 * std::max(1.0, want.abs().max().item<double>()));
  EXPECT_GT(want.std().item<double>(), 1e-3);
}

TEST(TwoWingsTest, LlamaBlocks) {
  for (const char* law :
       {"rope", "rerope:window=20", "hwfa:window=8", "rope+logn-learned",
        "dca:chunk=24", "hwfa:window=8+logn-learned",
        "hwfa2:window=8,full=1+logn-learned"}) {
    SCOPED_TRACE(law);
    ModelConfig config = LlamaConfig();
    config.position = law;
    ExpectTheSameLogits(config);
  }
}

TEST(TwoWingsTest, GatedAttentionUnits) {
  for (const char* law : {"rope", "rerope:window=20+logn", "hwfa:window=8",
                          "rope+logn-learned", "hwfa:window=8+logn-learned"}) {
    SCOPED_TRACE(law);
    ModelConfig config = GauConfig();
    config.init = nn::Init::kDeepNorm;
    config.position = law;
    ExpectTheSameLogits(config);
  }
}

// Read under a law that learns no log n, its scales are left out on both sides.
TEST(TwoWingsTest, LearnedScalesUnderAnotherLaw) {
  ModelConfig config = LlamaConfig();
  config.position = "rope+logn-learned";
  config.inference = "rerope:window=20";
  ExpectTheSameLogits(config);
}

TEST(TwoWingsTest, EveryHeadAndNormedKeys) {
  for (const Head head :
       {Head::kTiedSigma, Head::kUntied, Head::kTiedOrthogonal,
        Head::kTiedHalfSwap, Head::kTiedShuffle, Head::kTiedRootWidth}) {
    SCOPED_TRACE(ToString(head));
    ModelConfig config = LlamaConfig();
    config.head = head;
    config.key_norm = true;
    config.inference = "rerope:window=20";
    ExpectTheSameLogits(config);
  }
}

}  // namespace
}  // namespace ropewalk::lab::train
