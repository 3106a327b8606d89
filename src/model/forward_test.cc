// Passes over many sequences.

#include "model/forward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "tests/model_logits.h"
#include "tests/tiny_architectures.h"

namespace ropewalk::model {
namespace {

constexpr int64_t kLength = 600;

// The same text in two sequences: one is read in passes of its own, the other
// in passes with others.
struct Pair {
  Sequence alone;
  Sequence together;
};

std::vector<float> Last(Workspace& workspace, int64_t first, int64_t rows) {
  const auto logits = workspace.Logits(first, rows);
  return {logits.begin(), logits.end()};
}

class ForwardTest : public testing::Test {
 protected:
  Model model_ = Model::Load(TinyPath("forward.gguf", {.L = 3}));
  std::unique_ptr<ParallelFor> threads_ = MakeThreadPool(2);
  Workspace workspace_{*threads_};
  Workspace own_{*threads_};

  Sequence New(const Model& model, const std::string& spelling,
               DType type = DType::kF32) {
    return {model,
            MakeStack(model, spelling, kLength),
            {.length = kLength, .kv_type = type},
            workspace_.pool()};
  }

  // Makes random steps of all sequences, alone and in passes of several.
  void ExpectSameBits(const Model& model, const std::vector<std::string>& all,
                      uint64_t seed) {
    Rng rng(seed);
    std::vector<Pair> pairs;
    for (size_t s = 0; s < all.size(); ++s) {
      const DType type = s % 3 == 2 ? DType::kQ8_0 : DType::kF32;
      pairs.push_back({New(model, all[s], type), New(model, all[s], type)});
    }
    for (int step = 0; step < 12; ++step) {
      std::vector<std::vector<Token>> tokens;
      std::vector<Slice> slices;
      std::vector<size_t> who;
      for (size_t s = 0; s < pairs.size(); ++s) {
        if (rng.Below(4) == 0) continue;
        constexpr int64_t kCounts[] = {0, 1, 1, 1, 2, 4, 5, 17, 40};
        const int64_t T = kCounts[rng.Below(9)];
        tokens.push_back(RandomTokens(model, T, rng.Below(1 << 20)));
        who.push_back(s);
      }
      for (size_t i = 0; i < who.size(); ++i) {
        const auto T = static_cast<int64_t>(tokens[i].size());
        constexpr int64_t kWanted[] = {0, 1, 1, 7};
        slices.push_back({.sequence = &pairs[who[i]].together,
                          .tokens = tokens[i],
                          .logits = std::min(T, kWanted[rng.Below(4)])});
      }
      Forward(model, slices, workspace_);
      const int64_t V = model.config().V;
      const std::vector<float> logits =
          Last(workspace_, 0, workspace_.logit_rows());
      int64_t row = 0;
      for (size_t i = 0; i < who.size(); ++i) {
        Slice slice = slices[i];
        slice.sequence = &pairs[who[i]].alone;
        Forward(model, {&slice, 1}, own_);
        const std::vector<float> want = Last(own_, 0, slice.logits);
        ASSERT_TRUE(
            std::equal(want.begin(), want.end(), logits.begin() + row * V))
            << all[who[i]] << " in step " << step << " of "
            << slice.tokens.size() << " tokens";
        row += slice.logits;
      }
      ASSERT_EQ(row, workspace_.logit_rows());
    }
  }
};

TEST_F(ForwardTest, ABatchHasTheBitsOfItsSequencesAlone) {
  ExpectSameBits(model_,
                 {"rope", "rope", "rope", "rerope:window=20+logn-clip",
                  "rerope:window=20+logn-clip", "window:size=30",
                  "leaky-rerope:window=20,k=4", "dca:chunk=24", "nope"},
                 1);
}

TEST_F(ForwardTest, ABatchOfEveryArchitectureHasTheBitsOfItsSequencesAlone) {
  for (const TinyArchitecture& tiny : TinyArchitectures()) {
    SCOPED_TRACE(tiny.name);
    const std::string path =
        testing::TempDir() + "ropewalk_forward_" + tiny.name + ".gguf";
    WriteTinyArchitecture(path, tiny);
    const Model model = Model::Load(path);
    ExpectSameBits(model, {"rope", "rope", "rope", "rope"}, 2);
  }
}

// Slices that want few logits and slices that want many are multiplied apart;
// their logits are then put in order.
TEST_F(ForwardTest, LogitsComeInTheOrderOfSlices) {
  std::vector<Sequence> sequences;
  std::vector<std::vector<Token>> tokens;
  for (int64_t s = 0; s < 3; ++s) {
    sequences.push_back(New(model_, "rope"));
    tokens.push_back(RandomTokens(model_, 10, static_cast<uint64_t>(s)));
  }
  const std::vector<Slice> slices = {
      {.sequence = &sequences[0], .tokens = tokens[0], .logits = 10},
      {.sequence = &sequences[1], .tokens = tokens[1], .logits = 1},
      {.sequence = &sequences[2], .tokens = tokens[2], .logits = 6}};
  Forward(model_, slices, workspace_);
  EXPECT_EQ(workspace_.logit_rows(), 17);
  const std::vector<float> all = Last(workspace_, 0, 17);
  const auto V = static_cast<size_t>(model_.config().V);
  const auto row_of = [&](size_t s, size_t t) {
    const Slice slice{.sequence = &sequences[s],
                      .tokens = tokens[s],
                      .logits = slices[s].logits};
    sequences[s].Trim(0);
    Forward(model_, {&slice, 1}, own_);
    return Last(own_, static_cast<int64_t>(t), 1);
  };
  const auto part = [&](size_t row) {
    return std::vector<float>(all.begin() + static_cast<int64_t>(row * V),
                              all.begin() + static_cast<int64_t>(row * V + V));
  };
  EXPECT_EQ(part(0), row_of(0, 0));
  EXPECT_EQ(part(9), row_of(0, 9));
  EXPECT_EQ(part(10), row_of(1, 0));
  EXPECT_EQ(part(11), row_of(2, 0));
  EXPECT_EQ(part(16), row_of(2, 5));
}

TEST_F(ForwardTest, ForksShareTilesAndContinueDifferently) {
  for (const char* spelling :
       {"rope", "rerope:window=20", "window:size=30", "dca:chunk=24"}) {
    SCOPED_TRACE(spelling);
    for (const int64_t at : {1, 127, 128, 129, 200}) {
      const auto text = RandomTokens(model_, at, 3);
      Sequence first = New(model_, spelling);
      const Slice whole{.sequence = &first, .tokens = text};
      Forward(model_, {&whole, 1}, workspace_);
      const int64_t before = workspace_.pool()->bytes();
      std::vector<Sequence> forks;
      for (int f = 0; f < 3; ++f) forks.push_back(first.Fork());
      EXPECT_EQ(workspace_.pool()->bytes(), before);
      for (size_t f = 0; f < forks.size(); ++f) {
        const auto rest = RandomTokens(model_, 30, 10 + f);
        const Slice next{.sequence = &forks[f], .tokens = rest};
        Forward(model_, {&next, 1}, workspace_);
        const std::vector<float> got = Last(workspace_, 0, 1);
        Sequence fresh = New(model_, spelling);
        const Slice again{.sequence = &fresh, .tokens = text};
        Forward(model_, {&again, 1}, own_);
        const Slice more{.sequence = &fresh, .tokens = rest};
        Forward(model_, {&more, 1}, own_);
        EXPECT_EQ(got, Last(own_, 0, 1)) << at;
      }
      // The first sequence reads last and must still have its own text.
      const auto rest = RandomTokens(model_, 5, 50);
      const Slice next{.sequence = &first, .tokens = rest};
      Forward(model_, {&next, 1}, workspace_);
      const std::vector<float> got = Last(workspace_, 0, 1);
      Sequence fresh = New(model_, spelling);
      const Slice again{.sequence = &fresh, .tokens = text};
      Forward(model_, {&again, 1}, own_);
      const Slice more{.sequence = &fresh, .tokens = rest};
      Forward(model_, {&more, 1}, own_);
      EXPECT_EQ(got, Last(own_, 0, 1)) << at;
    }
    EXPECT_EQ(workspace_.pool()->bytes(), 0);
  }
}

TEST_F(ForwardTest, IdleSequencesHoldTheirTilesAndMemoryGoesBack) {
  const auto text = RandomTokens(model_, 3, 4);
  {
    std::vector<Sequence> idle;
    for (int s = 0; s < 1000; ++s) {
      idle.push_back(New(model_, "rope", DType::kQ8_0));
      const Slice slice{.sequence = &idle.back(), .tokens = text};
      Forward(model_, {&slice, 1}, workspace_);
    }
    int64_t held = 0;
    for (const Sequence& sequence : idle) held += sequence.KvBytes();
    EXPECT_EQ(held, workspace_.pool()->bytes());
    EXPECT_EQ(held, 1000 * idle.front().KvBytesFor(3, 3));
    // Slabs are whole pages, of which little is unused.
    EXPECT_LT(workspace_.pool()->slab_bytes(), held + held / 4);
  }
  EXPECT_EQ(workspace_.pool()->bytes(), 0);
  EXPECT_EQ(workspace_.pool()->slab_bytes(), 0);
}

TEST_F(ForwardTest, ATextLongerThanMemoryFailsAndChangesNothing) {
  Sequence probe = New(model_, "rope");
  const int64_t limit = probe.KvBytesFor(300, 64);
  Workspace small(*threads_, {.chunk = 64, .memory_limit = limit});
  Sequence sequence(model_, MakeStack(model_, "rope", kLength),
                    {.length = kLength}, small.pool());
  const auto text = RandomTokens(model_, 500, 5);
  int64_t read = 0;
  try {
    while (true) {
      const Slice slice{
          .sequence = &sequence,
          .tokens = std::span(text).subspan(static_cast<size_t>(read), 50)};
      Forward(model_, {&slice, 1}, small);
      read += 50;
    }
  } catch (const MemoryLimitError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("keys and values would need"), std::string::npos);
    EXPECT_NE(what.find("the limit is"), std::string::npos) << what;
  }
  EXPECT_EQ(read, 350);  // three tiles in each layer, 384 slots
  EXPECT_EQ(sequence.size(), read);
  // The text that was read can be continued and saved.
  EXPECT_LE(sequence.KvBytes(), limit);
  const Slice slice{.sequence = &sequence,
                    .tokens = std::span(text).subspan(350, 34)};
  Forward(model_, {&slice, 1}, small);
  const std::vector<float> got = Last(small, 0, 1);
  Sequence fresh = New(model_, "rope");
  for (int64_t at = 0; at < 384; at += 50) {
    const Slice part{.sequence = &fresh,
                     .tokens = std::span(text).subspan(
                         static_cast<size_t>(at),
                         static_cast<size_t>(std::min<int64_t>(50, 384 - at)))};
    Forward(model_, {&part, 1}, own_);
  }
  EXPECT_EQ(got, Last(own_, 0, 1));
}

TEST_F(ForwardTest, ABatchThatDoesNotFitTouchesNoSequence) {
  Workspace small(*threads_, {.chunk = 64, .memory_limit = 1});
  Sequence a(model_, MakeStack(model_, "rope", kLength), {.length = kLength},
             small.pool());
  Sequence b(model_, MakeStack(model_, "rope", 5), {.length = 5}, small.pool());
  const auto text = RandomTokens(model_, 70, 6);
  const auto tokens = [&](size_t n) { return std::span(text).first(n); };
  const auto pass = [&](const std::vector<Slice>& slices) {
    Forward(model_, slices, small);
  };
  EXPECT_THROW(pass({{&a, tokens(1)}}), MemoryLimitError);
  EXPECT_THROW(pass({{&a, tokens(2)}, {&b, tokens(6)}}), std::invalid_argument);
  EXPECT_THROW(pass({{&a, tokens(60)}, {&b, tokens(5)}}),
               std::invalid_argument);
  EXPECT_THROW(pass({{&a, tokens(1)}, {&a, tokens(1)}}), std::invalid_argument);
  EXPECT_THROW(pass({{&a, tokens(2), 3}}), std::invalid_argument);
  const std::vector<Token> bad = {static_cast<Token>(model_.config().V)};
  EXPECT_THROW(pass({{&b, bad}}), std::invalid_argument);
  EXPECT_EQ(a.size(), 0);
  EXPECT_EQ(b.size(), 0);
  EXPECT_EQ(small.pool()->bytes(), 0);
  pass({});
  pass({{&a, tokens(0), 0}});
  EXPECT_EQ(small.logit_rows(), 0);
}

// Reads, forks, trims, shifts and switches in random order: exact tokens must
// have the keys and values of a fresh sequence.
TEST_F(ForwardTest, ExactBeginningsEqualFreshSequencesAfterRandomChanges) {
  for (const uint64_t seed : {1, 2, 3, 4, 5, 6}) {
    Rng rng(seed);
    const std::vector<std::string> spellings = {
        "rope",           "rerope:window=20", "rerope:window=40",
        "window:size=30", "dca:chunk=24",     "rope+logn"};
    std::vector<Sequence> all;
    std::vector<std::string> under;
    all.push_back(New(model_, "rope"));
    under.push_back("rope");
    int64_t checked = 0;
    for (int step = 0; step < 60; ++step) {
      const auto s =
          static_cast<size_t>(rng.Below(static_cast<int64_t>(all.size())));
      Sequence& sequence = all[s];
      switch (rng.Below(6)) {
        case 0:
          if (all.size() < 4) {
            all.push_back(sequence.Fork());
            under.push_back(under[s]);
          }
          break;
        case 1: {
          const int64_t size = rng.Below(sequence.size() + 1);
          if (!sequence.WhyNotTrim(size)) sequence.Trim(size);
          break;
        }
        case 2: {
          const int64_t keep =
              rng.Below(1 + std::min<int64_t>(4, sequence.size()));
          const int64_t count = rng.Below(1 + (sequence.size() - keep) / 2);
          if (!sequence.WhyNotShift(keep, count)) sequence.Shift(keep, count);
          break;
        }
        case 3: {
          const std::string& to = spellings[static_cast<size_t>(rng.Below(6))];
          const position::Stack stack = MakeStack(model_, to, kLength);
          if (!sequence.WhyNotChangeStack(stack)) {
            sequence.ChangeStack(stack, kLength);
            under[s] = to;
          }
          break;
        }
        default: {
          const int64_t T =
              std::min(rng.Below(60), kLength - sequence.size() - 20);
          if (T <= 0) break;
          const auto tokens = RandomTokens(model_, T, rng.Below(1 << 20));
          const Slice slice{.sequence = &sequence, .tokens = tokens};
          Forward(model_, {&slice, 1}, workspace_);
        }
      }
      const Sequence& now = all[s];
      ASSERT_LE(now.exact(), now.size());
      const int64_t exact = now.exact();
      if (exact == 0 || now.WhyNotTrim(exact)) continue;
      Sequence kept = now.Fork();
      kept.Trim(exact);
      Sequence fresh = New(model_, under[s]);
      const std::vector<Token> text(now.tokens().begin(),
                                    now.tokens().begin() + exact);
      const Slice slice{.sequence = &fresh, .tokens = text, .logits = 0};
      Forward(model_, {&slice, 1}, own_);
      const auto next = RandomTokens(model_, 8, 99);
      const Slice of_kept{.sequence = &kept, .tokens = next};
      Forward(model_, {&of_kept, 1}, workspace_);
      const std::vector<float> got = Last(workspace_, 0, 1);
      const Slice of_fresh{.sequence = &fresh, .tokens = next};
      Forward(model_, {&of_fresh, 1}, own_);
      const std::vector<float> want = Last(own_, 0, 1);
      for (size_t v = 0; v < want.size(); ++v) {
        ASSERT_NEAR(got[v], want[v], kSameLogits)
            << under[s] << " step " << step << " exact " << exact;
      }
      ++checked;
    }
    EXPECT_GT(checked, 10);
  }
}

// A pass that breaks off in the middle has stored keys in some layers only.
TEST_F(ForwardTest, APassThatThrowsInTheMiddleIsUndone) {
  struct Thrower : AttentionProbe {
    void See(const AttentionInputs& inputs) override {
      if (inputs.layer == 2) throw std::bad_alloc();
    }
  } thrower;
  const auto text = RandomTokens(model_, 200, 7);
  Sequence sequence = New(model_, "rerope:window=20");
  const Slice first{.sequence = &sequence,
                    .tokens = std::span(text).first(100)};
  Forward(model_, {&first, 1}, workspace_);
  const int64_t before = workspace_.pool()->bytes();
  const Slice rest{.sequence = &sequence,
                   .tokens = std::span(text).subspan(100)};
  workspace_.SetProbe(&thrower);
  EXPECT_THROW(Forward(model_, {&rest, 1}, workspace_), std::bad_alloc);
  workspace_.SetProbe(nullptr);
  EXPECT_EQ(sequence.size(), 100);
  EXPECT_EQ(workspace_.pool()->bytes(), before);
  EXPECT_EQ(workspace_.logit_rows(), 0);
  Forward(model_, {&rest, 1}, workspace_);
  const std::vector<float> got = Last(workspace_, 0, 1);
  Sequence fresh = New(model_, "rerope:window=20");
  for (const auto part :
       {std::span(text).first(100), std::span(text).subspan(100)}) {
    const Slice slice{.sequence = &fresh, .tokens = part};
    Forward(model_, {&slice, 1}, own_);
  }
  EXPECT_EQ(got, Last(own_, 0, 1));
}

}  // namespace
}  // namespace ropewalk::model
