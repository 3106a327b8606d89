// A live context changed, as a whole model sees it: trimmed, shifted, taken
// to other positions.

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

// A context, and the logits after its last token.
class Reader {
 public:
  Reader(const Model& model, const std::string& spelling,
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

TEST(ContextEditTest, ReusedPrefixReadsOnAsIfNothingHadFollowed) {
  const auto model = Model::Load(TinyPath("reuse.gguf"));
  const auto first = RandomTokens(model, 300, 1);
  auto second = first;
  for (size_t at = 200; at < 300; ++at) second[at] = (second[at] + 7) % 300;
  for (const char* spelling :
       {"rope", "rerope:window=20", "leaky-rerope:window=20,k=4",
        "self-extend:window=20,group=4", "dca:chunk=24", "hwfa:window=16"}) {
    Reader reader(model, spelling);
    reader.Read(first);
    const int64_t kept = reader.context.sequence().ReusePrefix(second);
    EXPECT_EQ(kept, 200) << spelling;
    const auto got = reader.Read(Part(second, static_cast<size_t>(kept),
                                      300 - static_cast<size_t>(kept)));
    Reader fresh(model, spelling);
    // The bits of a chunk do not depend on what came before it.
    fresh.Read(Part(second, 0, 200));
    EXPECT_LT(LargestDifference(got, fresh.Read(Part(second, 200, 100))), 1e-4)
        << spelling;
  }
}

// What a window has given up cannot be had back: everything is read again.
TEST(ContextEditTest, AWindowThatHasPassedThePrefixStartsAnew) {
  const auto model = Model::Load(TinyPath("gone.gguf"));
  const auto tokens = RandomTokens(model, 400, 11);
  Reader reader(model, "window:size=16");
  reader.Read(Part(tokens, 0, 300));
  reader.Read(Part(tokens, 300, 50));
  reader.Read(Part(tokens, 350, 1));
  ASSERT_TRUE(reader.context.sequence().WhyNotTrim(200).has_value());
  EXPECT_EQ(reader.context.sequence().ReusePrefix(Part(tokens, 0, 201)), 0);
  EXPECT_EQ(reader.context.size(), 0);
}

TEST(ContextEditTest, TheSamePromptAgainLeavesOneTokenToRead) {
  const auto model = Model::Load(TinyPath("again.gguf"));
  const auto tokens = RandomTokens(model, 50, 2);
  Reader reader(model, "rope");
  const auto first = reader.Read(tokens);
  EXPECT_EQ(reader.context.sequence().ReusePrefix(tokens), 49);
  EXPECT_LT(LargestDifference(reader.Read(Part(tokens, 49, 1)), first), 1e-4);
}

// A model of one layer has no upper layer that saw the old text, so that a
// shifted text equals one that never held what was taken out.
TEST(ContextEditTest, ShiftOfOneLayerIsAFreshText) {
  const auto model = Model::Load(TinyPath("shift.gguf", {.L = 1}));
  const auto tokens = RandomTokens(model, 300, 3);
  for (const char* spelling :
       {"rope", "pi:factor=8", "rerope:window=20", "rerope:window=20+logn",
        "leaky-rerope:window=20,k=4", "dca:chunk=24", "nope"}) {
    Reader reader(model, spelling);
    reader.Read(Part(tokens, 0, 299));
    reader.context.sequence().Shift(4, 120);
    EXPECT_EQ(reader.context.size(), 179) << spelling;
    const auto got = reader.Read(Part(tokens, 299, 1));
    std::vector<Token> rest(tokens.begin(), tokens.begin() + 4);
    rest.insert(rest.end(), tokens.begin() + 124, tokens.end());
    EXPECT_TRUE(std::ranges::equal(reader.context.sequence().tokens(), rest));
    Reader fresh(model, spelling);
    fresh.Read(Part(rest, 0, rest.size() - 1));
    EXPECT_LT(
        LargestDifference(got, fresh.Read(Part(rest, rest.size() - 1, 1))),
        1e-4)
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
    Reader reader(model, spelling);
    const auto before = reader.Read(Part(tokens, 0, 199));
    const auto reason = reader.context.sequence().WhyNotShift(4, 100);
    ASSERT_TRUE(reason.has_value()) << spelling;
    EXPECT_NE(reason->find(part), std::string::npos) << *reason;
    EXPECT_THROW(reader.context.sequence().Shift(4, 100),
                 std::invalid_argument);
    EXPECT_EQ(reader.context.size(), 199);
    Reader same(model, spelling);
    same.Read(Part(tokens, 0, 199));
    EXPECT_EQ(reader.Read(Part(tokens, 199, 1)),
              same.Read(Part(tokens, 199, 1)));
  }
}

// docs/attention.md: exact where both schemes give every pair so far the same
// distance, close otherwise, since upper layers stored what they made of the
// old one.
TEST(ContextEditTest, ChangedPositionsEqualAFreshPrefillUpToTheWindow) {
  const auto model = Model::Load(TinyPath("change.gguf", {.L = 3}));
  const auto tokens = RandomTokens(model, 120, 5);
  const auto after_change = [&](const std::string& from, const std::string& to,
                                size_t at) {
    Reader reader(model, from);
    reader.Read(Part(tokens, 0, at));
    reader.context.sequence().ChangeStack(MakeStack(model, to, kLength),
                                          kLength);
    Reader fresh(model, to);
    fresh.Read(Part(tokens, 0, at));
    return LargestDifference(reader.Read(Part(tokens, at, 120 - at)),
                             fresh.Read(Part(tokens, at, 120 - at)));
  };
  EXPECT_LT(after_change("rope", "rerope:window=60", 60), 1e-4);
  EXPECT_LT(after_change("rope", "leaky-rerope:window=60,k=4", 60), 1e-4);
  EXPECT_LT(after_change("rope", "self-extend:window=60,group=4", 60), 1e-4);
  EXPECT_LT(after_change("rope", "dca:chunk=60", 60), 1e-4);
  // One token beyond, and something is different; not wildly.
  const double beyond = after_change("rope", "rerope:window=20", 100);
  EXPECT_GT(beyond, 1e-4);
  EXPECT_LT(beyond, 10);
  // Another base: never the same, and close.
  const double base = after_change("rope", "ntk-mixed:factor=2", 100);
  EXPECT_GT(base, 1e-4);
  EXPECT_LT(base, 10);
}

TEST(ContextEditTest, OneLayerChangesPositionsExactly) {
  const auto model = Model::Load(TinyPath("change1.gguf", {.L = 1}));
  const auto tokens = RandomTokens(model, 120, 6);
  for (const char* to : {"rerope:window=20", "ntk-mixed:factor=2", "yarn",
                         "dca:chunk=24", "nope", "window:size=30"}) {
    Reader reader(model, "rope");
    reader.Read(Part(tokens, 0, 100));
    reader.context.sequence().ChangeStack(MakeStack(model, to, kLength),
                                          kLength);
    Reader fresh(model, to);
    fresh.Read(Part(tokens, 0, 100));
    EXPECT_LT(LargestDifference(reader.Read(Part(tokens, 100, 20)),
                                fresh.Read(Part(tokens, 100, 20))),
              1e-4)
        << to;
  }
}

TEST(ContextEditTest, QuantisedStoresStayClose) {
  const auto model = Model::Load(TinyPath("types.gguf"));
  const auto tokens = RandomTokens(model, 200, 7);
  for (const char* spelling : {"rope", "rerope:window=20"}) {
    Reader exact(model, spelling);
    const auto want = exact.Read(tokens);
    double before = 0;
    for (const DType type : {DType::kF16, DType::kBf16, DType::kQ8_0}) {
      Reader reader(model, spelling, type);
      const double difference = LargestDifference(reader.Read(tokens), want);
      EXPECT_GT(difference, 0) << InfoOf(type).name;
      EXPECT_LT(difference, 0.1) << InfoOf(type).name;
      EXPECT_LT(reader.context.sequence().KvBytes(),
                exact.context.sequence().KvBytes());
      before = std::max(before, difference);
    }
    EXPECT_GT(before, 1e-4);
  }
}

}  // namespace
}  // namespace ropewalk::model
