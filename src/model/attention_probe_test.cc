#include "model/attention_probe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/blocks.h"
#include "model/context.h"
#include "tests/model_logits.h"

namespace ropewalk::model {
namespace {

// Copies all inputs that it is shown.
struct Notes : AttentionProbe {
  explicit Notes(const Config& of) : config(of) {}
  void See(const AttentionInputs& inputs) override {
    const attention::HeadShape& heads = config.heads;
    calls.push_back(inputs);
    queries.emplace_back(inputs.queries,
                         inputs.queries + inputs.T * heads.H * heads.D);
    keys.emplace_back(inputs.keys, inputs.keys + inputs.T * heads.G * heads.D);
    scales.emplace_back();
    if (inputs.head_scale != nullptr) {
      scales.back().assign(inputs.head_scale, inputs.head_scale + heads.H);
    }
  }
  Config config;
  std::vector<AttentionInputs> calls;
  std::vector<std::vector<float>> queries, keys, scales;
};

std::vector<float> Row(const kernels::Matrix& matrix, int64_t r) {
  std::vector<float> row(static_cast<size_t>(matrix.columns));
  kernels::UnpackRow(matrix.type, matrix.Row(r), matrix.columns, row.data());
  return row;
}

TEST(AttentionProbeTest, SeesEveryLayerOfEveryChunkAndChangesNothing) {
  const Model model = Model::Load(TinyPath("probe.gguf"));
  const std::vector<Token> tokens = RandomTokens(model, 50, 7);
  SerialFor serial;
  const position::Stack stack = MakeStack(model, "rerope:window=20", 50);
  Context plain(model, stack, {.length = 50}, serial);
  Context watched(model, stack, {.length = 50}, serial);
  Notes notes(model.config());
  watched.workspace().SetProbe(&notes);
  for (const int64_t T : {30, 1, 18}) {
    const auto chunk = std::span(tokens).subspan(
        static_cast<size_t>(plain.size()), static_cast<size_t>(T));
    plain.Forward(chunk);
    watched.Forward(chunk);
    const auto want = plain.Logits(0, T);
    const auto got = watched.Logits(0, T);
    ASSERT_TRUE(std::equal(want.begin(), want.end(), got.begin()));
  }
  ASSERT_EQ(notes.calls.size(), 6u);
  const int64_t firsts[] = {0, 0, 30, 30, 31, 31};
  const int64_t sizes[] = {30, 30, 1, 1, 18, 18};
  for (size_t call = 0; call < 6; ++call) {
    EXPECT_EQ(notes.calls[call].layer, static_cast<int64_t>(call % 2));
    EXPECT_EQ(notes.calls[call].first, firsts[call]);
    EXPECT_EQ(notes.calls[call].T, sizes[call]);
    EXPECT_EQ(notes.calls[call].head_scale, nullptr);
  }
  watched.sequence().Trim(49);
  watched.workspace().SetProbe(nullptr);
  watched.Forward(std::span(tokens).last(1));
  EXPECT_EQ(notes.calls.size(), 6u);
}

// The inputs of the first layer are the normed embedding times the projections,
// without rotation at any position.
TEST(AttentionProbeTest, QueriesAndKeysAreTheProjections) {
  const Model model = Model::Load(TinyPath("probe_rows.gguf"));
  const Config& config = model.config();
  const std::vector<Token> tokens = RandomTokens(model, 9, 8);
  SerialFor serial;
  Context context(model, MakeStack(model, "rope", 9), {.length = 9}, serial);
  Notes notes(config);
  context.workspace().SetProbe(&notes);
  context.Forward(tokens);
  const Layer& layer = model.layers().front();
  for (size_t t = 0; t < tokens.size(); ++t) {
    const std::vector<float> x = Row(model.embedding(), tokens[t]);
    double square = 0;
    for (const double c : x) square += c * c;
    const double norm = std::sqrt(square / static_cast<double>(config.E) +
                                  layer.attention_norm.epsilon);
    const auto expect = [&](const kernels::Matrix& weights,
                            const std::vector<float>& got) {
      for (int64_t r = 0; r < weights.rows; ++r) {
        const std::vector<float> w = Row(weights, r);
        double sum = 0;
        for (size_t c = 0; c < x.size(); ++c) {
          sum += x[c] / norm *
                 layer.attention_norm.weight[static_cast<int64_t>(c)] * w[c];
        }
        // A float32 sum of 64 products of size 1: at most 64^2 half-ulps, 2e-4;
        // rounding errors mostly cancel.
        ASSERT_NEAR(
            got[t * static_cast<size_t>(weights.rows) + static_cast<size_t>(r)],
            sum, 1e-4)
            << t << " " << r;
      }
    };
    expect(layer.attention.query.weights, notes.queries.front());
    expect(layer.attention.key.weights, notes.keys.front());
  }
}

TEST(AttentionProbeTest, KeysAreShownAfterTheirNorm) {
  // The epsilon is so small that it does not change short keys.
  const auto change = [](formats::Metadata& keys) {
    keys.SetBool("ropewalk.attention.key_norm", true);
    keys.SetFloat("ropewalk.attention.layer_norm_rms_epsilon", 1e-12);
  };
  const Model model = Model::Load(
      TinyPath("probe_norm.gguf", {.gau = true, .change_keys = change}));
  ASSERT_TRUE(model.layers().front().attention.key_norm.exists());
  SerialFor serial;
  Context context(model, MakeStack(model, "rope", 9), {.length = 9}, serial);
  Notes notes(model.config());
  context.workspace().SetProbe(&notes);
  context.Forward(RandomTokens(model, 9, 8));
  const auto D = static_cast<size_t>(model.config().heads.D);
  for (size_t t = 0; t < 9; ++t) {
    double square = 0;
    for (size_t d = 0; d < D; ++d) {
      const double k = notes.keys.front()[t * D + d];
      square += k * k;
    }
    EXPECT_NEAR(square, static_cast<double>(D), 1e-4);
  }
}

TEST(AttentionProbeTest, ShowsTheLearnedScaleOnlyWhereItIsUsed) {
  const Model model = Model::Load(TinyPath(
      "probe_logn.gguf", {.extra_tensors = {{"blk.0.attn_logn.weight", {4}},
                                            {"blk.1.attn_logn.weight", {4}}}}));
  for (const bool learned : {false, true}) {
    SerialFor serial;
    Context context(model,
                    MakeStack(model, learned ? "rope+logn-learned" : "rope", 9),
                    {.length = 9}, serial);
    Notes notes(model.config());
    context.workspace().SetProbe(&notes);
    context.Forward(RandomTokens(model, 9, 8));
    for (size_t l = 0; l < 2; ++l) {
      const auto& scale = model.layers()[l].attention.logn_scale;
      const std::vector<float> want =
          learned ? std::vector<float>(scale.data(), scale.data() + 4)
                  : std::vector<float>();
      EXPECT_EQ(notes.scales[l], want);
    }
  }
}

}  // namespace
}  // namespace ropewalk::model
