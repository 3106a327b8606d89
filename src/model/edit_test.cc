// Changes of a live sequence of a whole model: trimming, shifting, and changing
// to other positions.
//
// "Same" means below kSameLogits; "different" means above kOtherLogits, with a
// gap between the two.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "model/context.h"
#include "position/scheme.h"
#include "tests/model_logits.h"

namespace ropewalk::model {
namespace {

constexpr int64_t kLength = 400;
constexpr double kOtherLogits = 1e-2;

// A context that returns the logits after the last token of each Read.
class ContextReader {
 public:
  ContextReader(const Model& model, const std::string& spelling,
                DType kv_type = DType::kF32, int64_t length = kLength)
      : context(model, MakeStack(model, spelling, length),
                {.length = length, .kv_type = kv_type}, threads) {}

  std::vector<float> Read(std::span<const Token> tokens) {
    context.Forward(tokens);
    const auto logits =
        context.Logits(static_cast<int64_t>(tokens.size()) - 1, 1);
    return {logits.begin(), logits.end()};
  }

  SerialFor threads;
  Context context;
};

double LargestDifference(const std::vector<float>& a,
                         const std::vector<float>& b) {
  double most = 0;
  for (size_t at = 0; at < a.size(); ++at) {
    most = std::max(most, std::abs(static_cast<double>(a[at]) - b[at]));
  }
  return most;
}

std::span<const Token> Part(const std::vector<Token>& tokens, size_t first,
                            size_t count) {
  return std::span(tokens).subspan(first, count);
}

TEST(ContextEditTest, AReusedPrefixContinuesLikeAFreshText) {
  const auto model = Model::Load(TinyPath("reuse.gguf"));
  const auto first = RandomTokens(model, 300, 1);
  auto second = first;
  for (size_t at = 200; at < 300; ++at) second[at] = (second[at] + 7) % 300;
  for (const char* spelling :
       {"rope", "rerope:window=20", "leaky-rerope:window=20,k=4",
        "self-extend:window=20,group=4", "dca:chunk=24", "hwfa:window=16"}) {
    ContextReader reader(model, spelling);
    reader.Read(first);
    const int64_t kept = reader.context.sequence().ReusePrefix(second);
    EXPECT_EQ(kept, 200) << spelling;
    const auto got = reader.Read(Part(second, static_cast<size_t>(kept),
                                      300 - static_cast<size_t>(kept)));
    ContextReader fresh(model, spelling);
    // Both read the same chunk of 100 tokens after 200.
    fresh.Read(Part(second, 0, 200));
    EXPECT_LT(LargestDifference(got, fresh.Read(Part(second, 200, 100))),
              kSameLogits)
        << spelling;
  }
}

// A window has dropped keys that the prefix needs, so all is read again.
TEST(ContextEditTest, AWindowBeyondThePrefixReadsAllAgain) {
  const auto model = Model::Load(TinyPath("gone.gguf"));
  const auto tokens = RandomTokens(model, 400, 11);
  ContextReader reader(model, "window:size=16");
  reader.Read(Part(tokens, 0, 300));
  reader.Read(Part(tokens, 300, 50));
  reader.Read(Part(tokens, 350, 1));
  ASSERT_TRUE(reader.context.sequence().WhyNotTrim(200).has_value());
  EXPECT_EQ(reader.context.sequence().ReusePrefix(Part(tokens, 0, 201)), 0);
  EXPECT_EQ(reader.context.size(), 0);
}

TEST(ContextEditTest, TheSamePromptLeavesOneTokenToRead) {
  const auto model = Model::Load(TinyPath("again.gguf"));
  const auto tokens = RandomTokens(model, 50, 2);
  ContextReader reader(model, "rope");
  const auto first = reader.Read(tokens);
  EXPECT_EQ(reader.context.sequence().ReusePrefix(tokens), 49);
  EXPECT_LT(LargestDifference(reader.Read(Part(tokens, 49, 1)), first),
            kSameLogits);
}

// A model of one layer has no upper layer that saw the old text, so a shifted
// text equals one that never had the tokens taken out.
TEST(ContextEditTest, ShiftInOneLayerEqualsAFreshText) {
  const auto model = Model::Load(TinyPath("shift.gguf", {.L = 1}));
  const auto tokens = RandomTokens(model, 300, 3);
  for (const char* spelling :
       {"rope", "pi:factor=8", "rerope:window=20", "rerope:window=20+logn",
        "leaky-rerope:window=20,k=4", "dca:chunk=24", "nope"}) {
    ContextReader reader(model, spelling);
    reader.Read(Part(tokens, 0, 299));
    reader.context.sequence().Shift(4, 120);
    EXPECT_EQ(reader.context.size(), 179) << spelling;
    const auto got = reader.Read(Part(tokens, 299, 1));
    std::vector<Token> rest(tokens.begin(), tokens.begin() + 4);
    rest.insert(rest.end(), tokens.begin() + 124, tokens.end());
    EXPECT_TRUE(std::ranges::equal(reader.context.sequence().tokens(), rest));
    ContextReader fresh(model, spelling);
    fresh.Read(Part(rest, 0, rest.size() - 1));
    EXPECT_LT(
        LargestDifference(got, fresh.Read(Part(rest, rest.size() - 1, 1))),
        kSameLogits)
        << spelling;
  }
}

TEST(ContextEditTest, RefusedShiftsChangeNothing) {
  const auto model = Model::Load(TinyPath("noshift.gguf"));
  const auto tokens = RandomTokens(model, 200, 4);
  for (const auto& [spelling, part] :
       std::vector<std::pair<std::string, std::string>>{
           {"dca:chunk=24", "not a multiple"},
           {"self-extend:window=20,group=3", "not a multiple"},
           {"sink-window:size=20,sinks=4", "fixed position"}}) {
    ContextReader reader(model, spelling);
    const auto before = reader.Read(Part(tokens, 0, 199));
    const auto reason = reader.context.sequence().WhyNotShift(4, 100);
    ASSERT_TRUE(reason.has_value()) << spelling;
    EXPECT_NE(reason->find(part), std::string::npos) << *reason;
    EXPECT_THROW(reader.context.sequence().Shift(4, 100),
                 std::invalid_argument);
    EXPECT_EQ(reader.context.size(), 199);
    ContextReader same(model, spelling);
    same.Read(Part(tokens, 0, 199));
    EXPECT_EQ(reader.Read(Part(tokens, 199, 1)),
              same.Read(Part(tokens, 199, 1)));
  }
}

// The change is exact if both schemes give every pair so far the same distance.
// Otherwise it is close only, since upper layers have stored what the old
// scheme gave (docs/attention.md).
TEST(ContextEditTest, ChangedPositionsEqualAFreshPrefillUpToTheWindow) {
  const auto model = Model::Load(TinyPath("change.gguf", {.L = 3}));
  const auto tokens = RandomTokens(model, 120, 5);
  const auto after_change = [&](const std::string& from, const std::string& to,
                                size_t at) {
    ContextReader reader(model, from);
    reader.Read(Part(tokens, 0, at));
    reader.context.sequence().ChangeStack(MakeStack(model, to, kLength),
                                          kLength);
    ContextReader fresh(model, to);
    fresh.Read(Part(tokens, 0, at));
    return LargestDifference(reader.Read(Part(tokens, at, 120 - at)),
                             fresh.Read(Part(tokens, at, 120 - at)));
  };
  EXPECT_LT(after_change("rope", "rerope:window=60", 60), kSameLogits);
  EXPECT_LT(after_change("rope", "leaky-rerope:window=60,k=4", 60),
            kSameLogits);
  EXPECT_LT(after_change("rope", "self-extend:window=60,group=4", 60),
            kSameLogits);
  EXPECT_LT(after_change("rope", "dca:chunk=60", 60), kSameLogits);
  // Beyond the window some distances differ, so logits do.
  const double beyond = after_change("rope", "rerope:window=20", 100);
  EXPECT_GT(beyond, kOtherLogits);
  EXPECT_LT(beyond, 10);
  // With another base all distances differ.
  const double base = after_change("rope", "ntk-mixed:factor=2", 100);
  EXPECT_GT(base, kOtherLogits);
  EXPECT_LT(base, 10);
}

TEST(ContextEditTest, OneLayerChangesPositionsExactly) {
  const auto model = Model::Load(TinyPath("change1.gguf", {.L = 1}));
  const auto tokens = RandomTokens(model, 120, 6);
  for (const char* to : {"rerope:window=20", "ntk-mixed:factor=2", "yarn",
                         "dca:chunk=24", "nope", "window:size=30"}) {
    ContextReader reader(model, "rope");
    reader.Read(Part(tokens, 0, 100));
    reader.context.sequence().ChangeStack(MakeStack(model, to, kLength),
                                          kLength);
    ContextReader fresh(model, to);
    fresh.Read(Part(tokens, 0, 100));
    EXPECT_LT(LargestDifference(reader.Read(Part(tokens, 100, 20)),
                                fresh.Read(Part(tokens, 100, 20))),
              kSameLogits)
        << to;
  }
}

TEST(ContextEditTest, QuantisedStoresStayClose) {
  const auto model = Model::Load(TinyPath("types.gguf"));
  const auto tokens = RandomTokens(model, 200, 7);
  for (const char* spelling : {"rope", "rerope:window=20"}) {
    ContextReader exact(model, spelling);
    const auto want = exact.Read(tokens);
    double before = 0;
    for (const DType type : {DType::kF16, DType::kBf16, DType::kQ8_0}) {
      ContextReader reader(model, spelling, type);
      const double difference = LargestDifference(reader.Read(tokens), want);
      EXPECT_GT(difference, 0) << InfoOf(type).name;
      EXPECT_LT(difference, 0.1) << InfoOf(type).name;
      EXPECT_LT(reader.context.sequence().KvBytes(),
                exact.context.sequence().KvBytes());
      before = std::max(before, difference);
    }
    // The coarsest type, q8_0 or bf16, must change something.
    EXPECT_GT(before, kOtherLogits);
  }
}

}  // namespace
}  // namespace ropewalk::model
