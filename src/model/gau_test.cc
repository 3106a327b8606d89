// Models of gated attention units, and parts that both families may have:
// normed keys and a learned log n.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/context.h"
#include "model/model.h"
#include "model/reference.h"
#include "tests/model_logits.h"

namespace ropewalk::model {
namespace {

TinyModelOptions Gau(int64_t L = 3) {
  return {.gau = true, .L = L, .F = 160, .train_length = 40};
}

void ExpectMatchesReference(const Model& model, const std::string& spelling,
                            int64_t n) {
  const auto tokens = RandomTokens(model, n, 3);
  const auto got = Logits(model, spelling, tokens, {n});
  const auto want =
      ReferenceLogits(model, MakeStack(model, spelling, n), tokens);
  ASSERT_EQ(got.size(), want.size());
  double size = 0;
  for (size_t at = 0; at < got.size(); ++at) {
    ASSERT_NEAR(got[at], want[at], kSameLogits) << spelling << " " << at;
    size += std::abs(want[at]);
  }
  EXPECT_GT(size / static_cast<double>(got.size()), 0.1);
}

TEST(GauTest, MatchesFloat64UnderEveryKindOfScheme) {
  const auto model = Model::Load(TinyPath("gau.gguf", Gau()));
  for (const char* spelling :
       {"rope", "rope+logn", "hwfa:window=8", "hwfa2:window=16,full=2",
        "rerope:window=20", "rerope:window=20+logn", "leaky-rerope:window=9",
        "ntk-mixed:factor=4+logn-clip", "window:size=20", "nope"}) {
    ExpectMatchesReference(model, spelling, 100);
  }
}

TEST(GauTest, MatchesFloat64ForEveryTypeAndAnOutputOfItsOwn) {
  for (const DTypeInfo& info : AllDTypes()) {
    if (!info.packed || info.block_elements > 32) continue;
    TinyModelOptions options = Gau(2);
    options.type = info.type;
    options.tied = info.type == DType::kF32;
    ExpectMatchesReference(Model::Load(TinyPath("gau_type.gguf", options)),
                           "rerope:window=20+logn", 70);
  }
}

TEST(GauTest, DecodeEqualsPrefill) {
  const auto model = Model::Load(TinyPath("gau_decode.gguf", Gau()));
  const auto tokens = RandomTokens(model, 90, 4);
  for (const char* spelling :
       {"rope", "hwfa:window=8", "rerope:window=20+logn-clip",
        "self-extend:window=20,group=4", "window:size=20"}) {
    const auto whole = Logits(model, spelling, tokens, {90});
    for (const std::vector<int64_t>& chunks :
         {std::vector<int64_t>{1}, {20, 1}, {40, 7}}) {
      const auto parts = Logits(model, spelling, tokens, chunks);
      for (size_t at = 0; at < whole.size(); ++at) {
        ASSERT_NEAR(parts[at], whole[at], kSameLogits)
            << spelling << " prompt " << chunks.front();
      }
    }
  }
}

TEST(GauTest, FutureTokensDoNotChangeLogits) {
  const auto model = Model::Load(TinyPath("gau_causal.gguf", Gau()));
  auto tokens = RandomTokens(model, 80, 5);
  const auto before = Logits(model, "rope", tokens, {80});
  tokens[50] = (tokens[50] + 1) % 300;
  const auto after = Logits(model, "rope", tokens, {80});
  for (size_t at = 0; at < size_t{50} * 300; ++at) {
    ASSERT_EQ(before[at], after[at]);
  }
  EXPECT_NE(before, after);
}

// One layer and one token, by hand: attention over one token returns v, so
// logits = W norm(x + W_out (silu(u) silu(v))), and q and k do not matter.
TEST(GauTest, OneTokenMatchesTheFormula) {
  const auto model = Model::Load(TinyPath("gau_one.gguf", Gau(1)));
  const Attention& layer = model.layers().front().attention;
  const auto row = [](const kernels::Matrix& m, int64_t r) {
    const auto* data = static_cast<const float*>(m.Row(r));
    return std::vector<double>(data, data + m.columns);
  };
  const auto times = [&](const kernels::Matrix& m,
                         const std::vector<double>& x) {
    std::vector<double> y;
    for (int64_t r = 0; r < m.rows; ++r) {
      const auto w = row(m, r);
      double sum = 0;
      for (size_t c = 0; c < w.size(); ++c) sum += w[c] * x[c];
      y.push_back(sum);
    }
    return y;
  };
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  auto x = row(model.embedding(), 7);
  const auto u = times(layer.gate.weights, x);
  auto gated = times(layer.value.weights, x);
  for (size_t e = 0; e < u.size(); ++e) gated[e] = silu(gated[e]) * silu(u[e]);
  const auto o = times(layer.output.weights, gated);
  double squares = 0;
  for (size_t c = 0; c < x.size(); ++c) {
    x[c] += o[c];
    squares += x[c] * x[c];
  }
  for (double& value : x) {
    value /= std::sqrt(squares / static_cast<double>(x.size()) + 1e-5);
  }
  const auto want = times(model.output().weights, x);
  const auto got = Logits(model, "rope", {7}, {1});
  for (size_t at = 0; at < got.size(); ++at) {
    // Sums of 160 products have magnitudes of about 8; sqrt(160) half-ulps of
    // that are 6e-6.
    ASSERT_NEAR(got[at], want[at], 1e-5);
  }
}

TEST(GauTest, ConfigHasTheKeysOfTheFile) {
  TinyModelOptions options = Gau();
  options.change_keys = [](formats::Metadata& m) {
    m.SetString("ropewalk.position", "hwfa:window=8");
    m.SetString("ropewalk.position_trained", "hwfa:window=8");
    m.SetInt("ropewalk.train_length", 24);
  };
  const auto model = Model::Load(TinyPath("gau_config.gguf", options));
  const Config& config = model.config();
  EXPECT_TRUE(config.gau);
  EXPECT_EQ(config.F, 160);
  EXPECT_EQ(config.heads.H, 1);
  EXPECT_EQ(config.heads.G, 1);
  EXPECT_EQ(config.heads.D, 16);
  EXPECT_EQ(config.heads.ValueWidth(), 160);
  EXPECT_EQ(config.positions.rotary_width, 16);
  EXPECT_EQ(config.positions.train_length, 24);
  EXPECT_EQ(model.MatrixElements(), 3 * (64 * (2 * 160 + 16) + 160 * 64));
  EXPECT_EQ(config.positions.own_spelling,
            std::vector<std::string>{"hwfa:window=8"});
  // `rope` means the file's own scheme.
  const auto tokens = RandomTokens(model, 60, 6);
  EXPECT_EQ(Logits(model, "rope", tokens, {60}),
            Logits(model, "hwfa:window=8", tokens, {60}));
}

TEST(GauTest, LearnedLogNComesFromTheFile) {
  TinyModelOptions options = Gau();
  options.extra_tensors = {{"blk.0.attn_logn.weight", {1}},
                           {"blk.1.attn_logn.weight", {1}},
                           {"blk.2.attn_logn.weight", {1}}};
  ExpectMatchesReference(Model::Load(TinyPath("gau_learned.gguf", options)),
                         "rope+logn-learned", 70);
}

// A stack may have a learned scale in some layers only; a layer without the
// tensor is refused if its plan needs it.
TEST(GauTest, LayersWithoutALearnedScaleAreRefusedIfTheirPlanNeedsIt) {
  TinyModelOptions options = Gau();
  options.extra_tensors = {{"blk.2.attn_logn.weight", {1}}};
  const auto model = Model::Load(TinyPath("gau_some.gguf", options));
  const auto tokens = RandomTokens(model, 10, 3);
  try {
    Logits(model, "rope+logn-learned", tokens, {10});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("layer 0 of this model has no"),
              std::string::npos);
  }
}

TEST(KeyNormTest, BothFamiliesMatchFloat64AndDecode) {
  for (const bool gau : {false, true}) {
    TinyModelOptions options = gau ? Gau() : TinyModelOptions{};
    const auto plain = Model::Load(TinyPath("key_plain.gguf", options));
    options.change_keys = [](formats::Metadata& m) {
      m.SetBool("ropewalk.attention.key_norm", true);
    };
    const auto model = Model::Load(TinyPath("key_norm.gguf", options));
    ExpectMatchesReference(model, "rope", 70);
    ExpectMatchesReference(model, "rerope:window=20+logn", 70);
    const auto tokens = RandomTokens(model, 70, 8);
    const auto whole = Logits(model, "rerope:window=20", tokens, {70});
    const auto parts = Logits(model, "rerope:window=20", tokens, {33, 1});
    const auto without = Logits(plain, "rerope:window=20", tokens, {70});
    double difference = 0;
    for (size_t at = 0; at < whole.size(); ++at) {
      ASSERT_NEAR(parts[at], whole[at], kSameLogits);
      difference = std::max(
          difference, static_cast<double>(std::abs(whole[at] - without[at])));
    }
    EXPECT_GT(difference, 1e-2);
  }
}

std::string LoadFailure(TinyModelOptions options,
                        const std::function<void(formats::Metadata&)>& change) {
  options.change_keys = change;
  try {
    Model::Load(TinyPath("gau_broken.gguf", options));
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

TEST(GauTest, BrokenModelsAreFormatErrorsThatNameTheProblem) {
  using Change = std::function<void(formats::Metadata&)>;
  const auto set = [](const char* key, int64_t value) -> Change {
    return [=](formats::Metadata& m) {
      m.SetInt(key, value, formats::GgufType::kInt64);
    };
  };
  const auto without = [](const char* key) -> Change {
    return [=](formats::Metadata& m) { m.Remove(key); };
  };
  const std::string e = "ropewalk.gau.expansion";
  const std::string s = "ropewalk.gau.key_length";
  const std::vector<std::pair<Change, std::string>> keys = {
      {without(e.c_str()), "'" + e + "' is missing"},
      {without(s.c_str()), "'" + s + "' is missing"},
      {without("ropewalk.block"), "'ropewalk.feed_forward_length' is missing"},
      {set(e.c_str(), 0), "between 1 and"},
      {set(e.c_str(), -5), "between 1 and"},
      {set(e.c_str(), INT64_MAX), "between 1 and"},
      {set(e.c_str(), 1 << 24), "has the shape [336, 64], expected [33554448"},
      {set(e.c_str(), 161), "expected [338, 64]"},
      {set(s.c_str(), 0), "between 1 and"},
      {set(s.c_str(), INT64_MAX), "between 1 and"},
      {set(s.c_str(), 1 << 14), "has the shape [336, 64]"},
      {set(s.c_str(), 15), "rotary width must be even"},
      {set("ropewalk.rope.dimension_count", 18), "at most the head width 16"},
      {set("ropewalk.attention.head_count", 2), "has one head"},
      {set("ropewalk.attention.head_count_kv", 2), "has one head"},
      {set("ropewalk.block_count", 4), "'blk.3.gau_in.weight' is missing"},
      {set("ropewalk.block_count", 2), "is not part of"},
      {set("ropewalk.embedding_length", 32), "has the shape"}};
  for (const auto& [change, reason] : keys) {
    const std::string failure = LoadFailure(Gau(), change);
    EXPECT_NE(failure.find(reason), std::string::npos)
        << "wanted: " << reason << ", got: " << failure;
  }
  for (const char* name :
       {"token_embd.weight", "blk.1.gau_in.weight", "blk.0.gau_gamma_q",
        "blk.2.gau_gamma_k", "blk.2.gau_out.weight"}) {
    TinyModelOptions options = Gau();
    options.keep_tensor = [&](const std::string& t) { return t != name; };
    const std::string failure = LoadFailure(options, [](auto&) {});
    EXPECT_NE(failure.find(std::string("'") + name + "' is missing"),
              std::string::npos)
        << failure;
  }
  for (const auto& [name, shape] : TinyTensors{{"output_norm.weight", {64}},
                                               {"blk.0.attn_norm.weight", {64}},
                                               {"blk.0.gau_in.bias", {336}}}) {
    TinyModelOptions options = Gau();
    options.extra_tensors = {{name, shape}};
    const std::string failure = LoadFailure(options, [](auto&) {});
    EXPECT_NE(failure.find("'" + name + "' is not part of"), std::string::npos)
        << failure;
  }
}

}  // namespace
}  // namespace ropewalk::model
