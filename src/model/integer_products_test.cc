// Forward passes of interleaved models, whose weights of block types are
// multiplied in integers with activations in 8 bits.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "kernels/cpu/isa.h"
#include "model/forward.h"
#include "model/model.h"
#include "model/reference.h"
#include "tests/model_logits.h"

namespace ropewalk::model {
namespace {

constexpr int64_t kLength = 100;

struct BlockModel {
  std::string name;
  TinyModelOptions options;
};

// Models with a vocabulary and, where the type allows it, keys and values that
// do not fill their last group of 16 rows.
TinyModelOptions OptionsFor(DType type) {
  const bool super = InfoOf(type).block_elements == 256;
  return {.E = super ? 256 : 96,
          .H = 4,
          .G = 1,
          .F = super ? 256 : 160,
          .V = 301,
          .type = type};
}

std::vector<BlockModel> BlockModels() {
  std::vector<BlockModel> models;
  for (const DTypeInfo& info : AllDTypes()) {
    if (!info.packed || !kernels::CanInterleave(info.type)) continue;
    models.push_back({std::string(info.name), OptionsFor(info.type)});
  }
  const auto add = [&](const std::string& name, DType type,
                       const auto& change) {
    models.push_back({name, OptionsFor(type)});
    change(models.back().options);
  };
  add("experts", DType::kQ4_0, [](TinyModelOptions& o) {
    o.experts = 4;
    o.tied = false;
    o.types = {{"output.weight", DType::kQ8_0}};
  });
  add("fused", DType::kQ5_0, [](TinyModelOptions& o) { o.fused = true; });
  add("gau", DType::kQ5_1, [](TinyModelOptions& o) {
    o.gau = true;
    o.key_length = 18;
  });
  // The rows of these queries and keys are copied, and are not interleaved.
  add("mixed", DType::kQ8_0, [](TinyModelOptions& o) {
    o.tied = false;
    o.types = {{"blk.0.attn_q.weight", DType::kF16},
               {"blk.1.attn_k.weight", DType::kBf16},
               {"blk.1.ffn_down.weight", DType::kF32},
               {"output.weight", DType::kF16}};
  });
  return models;
}

struct Models {
  Model plain;
  Model integer;
};

Models LoadBoth(const BlockModel& model) {
  const std::string path =
      TinyPath("integer_" + model.name + ".gguf", model.options);
  Models both{Model::Load(path), Model::Load(path)};
  const auto threads = MakeThreadPool(2);
  both.integer.Interleave(*threads);
  return both;
}

// Attention of a token to itself alone: nothing that happens to a token, such
// as a rounding to another code, reaches the next one.
constexpr const char* kAlone = "window:size=1";

template <class A, class B>
std::vector<double> Differences(const A& a, const B& b) {
  EXPECT_EQ(a.size(), b.size());
  std::vector<double> all;
  for (size_t at = 0; at < a.size(); ++at) {
    all.push_back(std::abs(static_cast<double>(a[at]) - b[at]));
  }
  return all;
}

template <class A, class B>
double MedianDifference(const A& a, const B& b) {
  std::vector<double> all = Differences(a, b);
  std::nth_element(all.begin(),
                   all.begin() + static_cast<int64_t>(all.size() / 2),
                   all.end());
  return all[all.size() / 2];
}

// The share of tokens whose logits are the same but for the order of sums.
template <class A, class B>
double ShareOfSame(const A& a, const B& b, int64_t V) {
  const std::vector<double> all = Differences(a, b);
  int64_t same = 0;
  for (auto at = all.begin(); at != all.end(); at += V) {
    if (*std::max_element(at, at + V) < kSameLogits) ++same;
  }
  return static_cast<double>(same * V) / static_cast<double>(all.size());
}

// Two computations whose activations differ in their last bits round one to
// another code now and then, and the logits of its token then differ by a part
// of the error of 8 bits. An activation of magnitude 1 in 3 is within 2^-22 of
// a border of codes 3 / 127 apart with a probability of 2^-21 127 / 3 = 2e-5.
// A token of these models has at most 3000, so this happens to about one in 17.
constexpr double kMostlySame = 0.75;

TEST(IntegerProductsTest, LogitsAreThoseOfTheDefinitionIn8Bits) {
  for (const BlockModel& m : BlockModels()) {
    SCOPED_TRACE(m.name);
    const Models both = LoadBoth(m);
    const auto tokens = RandomTokens(both.plain, 40, 3);
    const auto stack = MakeStack(both.plain, kAlone, 40);
    const auto want =
        ReferenceLogits(both.plain, stack, tokens, Activations::k8Bits);
    for (const int64_t chunk : {1, 40}) {
      const auto got = Logits(both.integer, kAlone, tokens, {chunk});
      EXPECT_GE(ShareOfSame(got, want, both.plain.config().V), kMostlySame);
    }
  }
}

// Over a text another code of one token changes all later ones a little. What
// is left to say is that the error is that of 8 bits: medians, because a router
// may take another expert for a few tokens.
TEST(IntegerProductsTest, TheErrorOfATextIsThatOf8Bits) {
  for (const BlockModel& m : BlockModels()) {
    SCOPED_TRACE(m.name);
    const Models both = LoadBoth(m);
    const auto tokens = RandomTokens(both.plain, kLength, 4);
    const auto stack = MakeStack(both.plain, "rope", kLength);
    const auto exact = ReferenceLogits(both.plain, stack, tokens);
    const auto rounded =
        ReferenceLogits(both.plain, stack, tokens, Activations::k8Bits);
    const auto got = Logits(both.integer, "rope", tokens, {kLength});
    const double error = MedianDifference(rounded, exact);
    EXPECT_GT(error, 10 * kSameLogits);  // so the test can tell
    EXPECT_LT(MedianDifference(got, exact), 1.25 * error);
    EXPECT_LT(MedianDifference(got, rounded), error);
    // Without Interleave nothing is rounded.
    EXPECT_LT(
        MedianDifference(Logits(both.plain, "rope", tokens, {kLength}), exact),
        kSameLogits);
  }
}

TEST(IntegerProductsTest, ThreadsChangeNoBit) {
  for (const BlockModel& m : BlockModels()) {
    SCOPED_TRACE(m.name);
    const Models both = LoadBoth(m);
    const auto tokens = RandomTokens(both.plain, kLength, 5);
    for (const int64_t chunk : {int64_t{1}, int64_t{33}, kLength}) {
      const auto one = Logits(both.integer, "rope", tokens, {chunk}, 1);
      for (const int64_t threads : {2, 3}) {
        EXPECT_EQ(Logits(both.integer, "rope", tokens, {chunk}, threads), one)
            << threads << " threads, chunks of " << chunk;
      }
    }
  }
}

// Attention has one order of sums for up to four tokens and another for more,
// so bits are equal on either side. Up to four tokens stream weights, more
// unpack them; ABatchHasTheBitsOfItsSequencesAlone crosses that border.
TEST(IntegerProductsTest, ChunksOnOneSideOfAttentionChangeNoBit) {
  for (const BlockModel& m : BlockModels()) {
    SCOPED_TRACE(m.name);
    const Models both = LoadBoth(m);
    const auto tokens = RandomTokens(both.plain, kLength, 6);
    const auto read = [&](const char* scheme, int64_t first, int64_t chunk) {
      return Logits(both.integer, scheme, tokens, {first, chunk});
    };
    const auto ones = read(kAlone, 1, 1);
    EXPECT_EQ(read(kAlone, 3, 3), ones);
    const auto whole = read(kAlone, kLength, 1);
    EXPECT_EQ(read(kAlone, 34, 33), whole);
    EXPECT_GE(ShareOfSame(ones, whole, both.plain.config().V), kMostlySame);
    // With a longer past, sums over keys begin at other places as well.
    const auto exact = Logits(both.plain, "rope", tokens, {kLength});
    const auto text = read("rope", kLength, 1);
    const double error = MedianDifference(text, exact);
    for (const int64_t chunk : {1, 3, 33}) {
      EXPECT_LT(MedianDifference(read("rope", chunk, chunk), text), error);
    }
  }
}

TEST(IntegerProductsTest, ABatchHasTheBitsOfItsSequencesAlone) {
  for (const BlockModel& m : BlockModels()) {
    SCOPED_TRACE(m.name);
    const Models both = LoadBoth(m);
    const Model& model = both.integer;
    const auto threads = MakeThreadPool(2);
    Workspace together(*threads);
    Workspace alone(*threads);
    const std::vector<int64_t> counts = {1, 1, 3, 1, 4, 33, 1, 5, 1, 2};
    const auto make = [&](Workspace& workspace) {
      return Sequence(model, MakeStack(model, "rope", kLength),
                      {.length = kLength}, workspace.pool());
    };
    std::vector<Sequence> batch;
    std::vector<Sequence> single;
    for (size_t s = 0; s < counts.size(); ++s) {
      batch.push_back(make(together));
      single.push_back(make(alone));
    }
    for (uint64_t step = 0; step < 3; ++step) {
      std::vector<std::vector<Token>> tokens;
      std::vector<Slice> slices;
      for (size_t s = 0; s < counts.size(); ++s) {
        tokens.push_back(RandomTokens(model, counts[s], 100 * step + s));
      }
      for (size_t s = 0; s < counts.size(); ++s) {
        slices.push_back(
            {.sequence = &batch[s], .tokens = tokens[s], .logits = 1});
      }
      Forward(model, slices, together);
      for (size_t s = 0; s < counts.size(); ++s) {
        const Slice slice{
            .sequence = &single[s], .tokens = tokens[s], .logits = 1};
        Forward(model, {&slice, 1}, alone);
        const auto got = together.Logits(static_cast<int64_t>(s), 1);
        const auto want = alone.Logits(0, 1);
        EXPECT_TRUE(std::equal(want.begin(), want.end(), got.begin()))
            << counts[s] << " tokens, step " << step;
      }
    }
  }
}

// Sets with the instructions for products of bytes compute the same integers as
// those without; other sets differ by fused multiply-adds.
TEST(IntegerProductsTest, InstructionSetsAgree) {
  const std::string best = kernels::ActiveIsa();
  for (const BlockModel& m : BlockModels()) {
    SCOPED_TRACE(m.name);
    const Models both = LoadBoth(m);
    const auto tokens = RandomTokens(both.plain, 40, 7);
    std::map<std::string, std::vector<float>> logits;
    for (const std::string& isa : kernels::AvailableIsas()) {
      kernels::ChooseIsa(isa);
      logits[isa] = Logits(both.integer, kAlone, tokens, {40});
    }
    kernels::ChooseIsa(best);
    for (const auto& [isa, got] : logits) {
      EXPECT_GE(ShareOfSame(got, logits[best], both.plain.config().V),
                kMostlySame)
          << isa;
      for (const char* suffix : {"_vnni", "_dot"}) {
        const auto with = logits.find(isa + suffix);
        if (with != logits.end()) {
          EXPECT_EQ(got, with->second) << isa;
        }
      }
    }
  }
}

TEST(IntegerProductsTest, EveryWeightOfABlockTypeIsInterleavedOnce) {
  for (const BlockModel& m : BlockModels()) {
    SCOPED_TRACE(m.name);
    Models both = LoadBoth(m);
    const auto check = [](const Linear& linear) {
      EXPECT_EQ(linear.interleaved.exists(),
                kernels::CanInterleave(linear.weights.type));
    };
    check(both.integer.output());
    for (const Layer& layer : both.integer.layers()) {
      check(layer.attention.query);
      check(layer.attention.output);
      if (layer.feed) check(layer.feed->down);
    }
    const uint8_t* before = both.integer.output().interleaved.data;
    SerialFor serial;
    both.integer.Interleave(serial);
    EXPECT_EQ(both.integer.output().interleaved.data, before);
  }
}

}  // namespace
}  // namespace ropewalk::model
