// Sessions that attend to memories.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/session.h"
#include "memory/memory.h"
#include "memory/memory_for_test.h"
#include "model/attention_probe.h"
#include "tests/model_logits.h"
#include "tests/tiny_architectures.h"

namespace ropewalk::memory {
namespace {

using model::kSameLogits;

const std::vector<std::string> kLaws = {"far:distance=40", "place",
                                        "order:distance=2"};

class AttachTest : public testing::Test {
 protected:
  std::shared_ptr<engine::Engine> engine_ = NewEngine("attach");
  Memories memories_ = {Read(*engine_, 40, 1), Read(*engine_, 100, 2),
                        Read(*engine_, 20, 3)};
};

TEST_F(AttachTest, TheOrderOfMemoriesChangesNoBit) {
  const auto ids = RandomIds(30, 9);
  for (const std::string& law : kLaws) {
    std::vector<std::vector<float>> logits;
    for (const std::vector<size_t>& order :
         {std::vector<size_t>{0, 1, 2}, {2, 0, 1}, {1, 2, 0}}) {
      Memories given;
      for (const size_t at : order) given.push_back(memories_[at]);
      engine::Session session = Open(engine_);
      Attach(session, given, law);
      logits.push_back(session.Read(ids));
    }
    EXPECT_EQ(logits[0], logits[1]) << law;
    EXPECT_EQ(logits[0], logits[2]) << law;
  }
}

TEST_F(AttachTest, MemoriesChangeWhatIsRead) {
  const auto ids = RandomIds(30, 9);
  engine::Session alone = Open(engine_);
  const auto without = alone.Read(ids);
  for (const std::string& law : kLaws) {
    engine::Session session = Open(engine_);
    Attach(session, memories_, law);
    EXPECT_GT(LargestDifference(session.Read(ids), without), 1e-2) << law;
  }
}

TEST_F(AttachTest, ForksShareMemoriesAndGoTheirOwnWay) {
  const auto ids = RandomIds(30, 9);
  const auto other = RandomIds(30, 10);
  engine::Session session = Open(engine_);
  Attach(session, memories_, "far");
  session.Read(ids);
  const int64_t bytes = engine_->workspace().pool()->bytes();
  engine::Session fork = session.Fork();
  EXPECT_EQ(fork.sequence().memories(), session.sequence().memories());
  EXPECT_EQ(engine_->workspace().pool()->bytes(), bytes);
  const auto of_fork = fork.Read(other);
  const auto of_own = session.Read(ids);
  engine::Session fresh = Open(engine_);
  Attach(fresh, memories_, "far");
  fresh.Read(ids);
  EXPECT_EQ(fresh.Read(ids), of_own);
  engine::Session second = Open(engine_);
  Attach(second, memories_, "far");
  second.Read(ids);
  EXPECT_EQ(second.Read(other), of_fork);
}

// The last reference may be the session's.
TEST_F(AttachTest, SessionsKeepTheirMemoriesAlive) {
  const auto ids = RandomIds(30, 9);
  engine::Session session = Open(engine_);
  Attach(session, memories_, "far");
  const auto want = session.Read(ids);
  engine::Session second = Open(engine_);
  Attach(second, {memories_[2], memories_[0], memories_[1]}, "far");
  memories_.clear();
  EXPECT_EQ(second.Read(ids), want);
}

TEST_F(AttachTest, ABatchWithDifferentMemoriesEqualsEachAlone) {
  const std::vector<std::pair<Memories, std::string>> given = {
      {{}, ""},
      {{memories_[0]}, "far"},
      {{memories_[1], memories_[2]}, "far:distance=30,alone=0"},
      {memories_, "place"},
      {{memories_[2], memories_[0]}, "order:sharpness=1.2,bias=-0.5"}};
  std::vector<std::vector<Token>> texts;
  for (size_t i = 0; i < given.size(); ++i) {
    texts.push_back(RandomIds(10 + 13 * static_cast<int64_t>(i), 20 + i));
  }
  const auto open = [&](size_t i) {
    engine::Session session = Open(engine_);
    if (!given[i].first.empty()) {
      Attach(session, given[i].first, given[i].second);
    }
    return session;
  };
  std::vector<engine::Session> together;
  for (size_t i = 0; i < given.size(); ++i) together.push_back(open(i));
  std::vector<engine::SessionSlice> prompts;
  for (size_t i = 0; i < given.size(); ++i) {
    prompts.push_back({&together[i], texts[i]});
  }
  const auto of_prompts = engine::ReadTogether(prompts);
  const std::vector<Token> next = {7};
  for (engine::SessionSlice& slice : prompts) slice.tokens = next;
  const auto of_next = engine::ReadTogether(prompts);
  for (size_t i = 0; i < given.size(); ++i) {
    engine::Session alone = open(i);
    EXPECT_EQ(alone.Read(texts[i]), of_prompts[i]) << i;
    EXPECT_EQ(alone.Read(next), of_next[i]) << i;
  }
}

TEST_F(AttachTest, ChunksOfAPromptChangeLogitsByRoundingOnly) {
  const auto ids = RandomIds(200, 9);
  for (const std::string& law : kLaws) {
    engine::Session whole = Open(engine_);
    Attach(whole, memories_, law);
    const auto want = whole.Read(ids);
    engine::Session parts = Open(engine_);
    Attach(parts, memories_, law);
    std::vector<float> got;
    size_t at = 0;
    for (const size_t count : {1, 2, 5, 60, 129, 2, 1}) {
      got = parts.Read(Cut(ids, at, count));
      at += count;
    }
    ASSERT_EQ(at, ids.size());
    EXPECT_LT(LargestDifference(got, want), kSameLogits) << law;
  }
}

TEST_F(AttachTest, ThreadsChangeNoBit) {
  const auto single = std::make_shared<engine::Engine>(
      engine::EngineOptions{.path = TestPath("attach.gguf"), .threads = 1});
  const auto ids = RandomIds(70, 9);
  engine::Session session = Open(engine_);
  Attach(session, memories_, "place");
  const Memories same = {Read(*single, 40, 1), Read(*single, 100, 2),
                         Read(*single, 20, 3)};
  engine::Session other = Open(single);
  Attach(other, same, "place");
  EXPECT_EQ(session.Read(ids), other.Read(ids));
}

TEST_F(AttachTest, MemoriesAreAttachedOnceBeforeTheFirstToken) {
  const auto refusal = [&](engine::Session& session) {
    const std::string message = Refusal<std::invalid_argument>(
        [&] { Attach(session, memories_, "far"); });
    ExpectOneLine(message);
    return message;
  };
  engine::Session late = Open(engine_);
  late.Read(RandomIds(3, 1));
  EXPECT_NE(refusal(late).find("before the first token is read; 3 have"),
            std::string::npos);
  EXPECT_EQ(late.sequence().memories(), nullptr);

  engine::Session twice = Open(engine_);
  Attach(twice, memories_, "far");
  const auto before = twice.sequence().memories();
  EXPECT_NE(refusal(twice).find("attached once"), std::string::npos);
  EXPECT_EQ(twice.sequence().memories(), before);

  for (const DType type : {DType::kF16, DType::kQ8_0, DType::kQ4_0}) {
    engine::Session other = Open(engine_, "auto", type);
    EXPECT_NE(refusal(other).find("memories in f32 cannot be read beside"),
              std::string::npos);
  }

  engine::Session none = Open(engine_);
  ExpectOneLine(Refusal<std::invalid_argument>([&] { none.Attach(nullptr); }));
  const auto one_layer =
      std::make_shared<const model::Memories>(model::Memories(1));
  EXPECT_NE(Refusal<std::invalid_argument>([&] {
              none.Attach(one_layer);
            }).find("memories of 1 layers do not fit a model of 2"),
            std::string::npos);
}

TEST_F(AttachTest, MemoriesOfSeveralTypesOrGivenTwiceAreRefused) {
  const auto stack = Open(engine_).sequence().stack();
  const auto refusal = [&](const Memories& memories, const Law& law = {}) {
    const std::string message = Refusal<std::invalid_argument>(
        [&] { Arrange(memories, law, *engine_, stack); });
    ExpectOneLine(message);
    return message;
  };
  const auto half =
      Read(*engine_, 20, 4, {.part = 48, .overlap = 8, .type = DType::kF16});
  EXPECT_NE(refusal({memories_[0], half}).find("must be in one type"),
            std::string::npos);
  EXPECT_NE(refusal({memories_[0], memories_[1], memories_[0]})
                .find("'document 1' is given twice"),
            std::string::npos);
  EXPECT_NE(refusal({}).find("no memory is given"), std::string::npos);
  EXPECT_NE(refusal(memories_, {.skip = 300}).find("leaves out all tokens"),
            std::string::npos);
}

TEST_F(AttachTest, PromptCachesAreRefusedBesideMemories) {
  const std::string path = TestPath("cache.kv");
  const auto ids = RandomIds(20, 9);
  engine::Session alone = Open(engine_);
  alone.Read(ids);
  alone.SaveCache(path);
  engine::Session session = Open(engine_);
  Attach(session, memories_, "far");
  const auto refused = [&](const std::function<void()>& call) {
    const std::string message = Refusal<std::invalid_argument>(call);
    ExpectOneLine(message);
    EXPECT_NE(message.find("cannot be used beside memories"),
              std::string::npos);
  };
  refused([&] { session.LoadCache(path, ids); });
  EXPECT_EQ(session.size(), 0);
  session.Read(ids);
  refused([&] { session.SaveCache(path); });
  // The file is as it was.
  engine::Session again = Open(engine_);
  EXPECT_EQ(again.LoadCache(path, ids), 19);
}

TEST_F(AttachTest, ASchemeChangesOnlyIfMemoriesKeepTheirFrequencies) {
  const auto ids = RandomIds(30, 9);
  const auto resolve = [&](const std::string& spelling) {
    return engine_->Resolve(position::ParseScheme(spelling), 400, true);
  };
  engine::Session session = Open(engine_, "rope");
  Attach(session, memories_, "far");
  session.Read(ids);
  session.ChangeScheme(resolve("rerope:window=100"));
  EXPECT_EQ(session.sequence().exact(), 30);
  const auto got = session.Read(ids);
  engine::Session fresh = Open(engine_, "rerope:window=100");
  Attach(fresh, memories_, "far");
  fresh.Read(ids);
  // Keys were stored under rope and turned back: the tolerance of a change.
  EXPECT_LT(LargestDifference(got, fresh.Read(ids)), kSameLogits);

  const std::string message = Refusal<std::invalid_argument>(
      [&] { session.ChangeScheme(resolve("ntk-mixed:factor=8")); });
  ExpectOneLine(message);
  EXPECT_NE(message.find("layer 0 would have others"), std::string::npos);
  EXPECT_TRUE(session.sequence().WhyNotChangeStack(
      model::Sequence::StackOf(*resolve("ntk-mixed:factor=8").attention)));
  EXPECT_EQ(session.Read({ids.begin(), ids.begin() + 1}).size(), 300u);
}

// A scale counts the tokens of memories, so tokens that see them differ even
// where the text alone is too short to.
TEST_F(AttachTest, AnotherScaleLeavesOnlyTokensExactThatSeeNoMemories) {
  const auto ids = RandomIds(30, 9);
  for (const bool with : {false, true}) {
    engine::Session session = Open(engine_, "rope");
    if (with) Attach(session, memories_, "far:alone=6");
    session.Read(ids);
    session.ChangeScheme(
        engine_->Resolve(position::ParseScheme("rope+logn-clip"), 400, true));
    EXPECT_EQ(session.sequence().exact(), with ? 6 : 30);
  }
}

TEST_F(AttachTest, TrimmedTextsKeepTheirMemories) {
  const auto ids = RandomIds(30, 9);
  engine::Session session = Open(engine_);
  Attach(session, memories_, "far");
  session.Read(ids);
  const auto want = session.Read(RandomIds(5, 4));
  session.sequence().Trim(30);
  EXPECT_EQ(session.Read(RandomIds(5, 4)), want);
  session.sequence().Trim(0);
  session.Read(ids);
  EXPECT_EQ(session.Read(RandomIds(5, 4)), want);
}

// Keys of each layer, as a pass computes them.
class KeyProbe : public model::AttentionProbe {
 public:
  explicit KeyProbe(int64_t key_size) : key_size_(key_size) {}
  void See(const model::AttentionInputs& inputs) override {
    layers.emplace_back(inputs.keys, inputs.keys + inputs.T * key_size_);
  }
  std::vector<std::vector<float>> layers;

 private:
  int64_t key_size_;
};

TEST(AttachWindowTest, LayersWithAWindowReadTheirOwnTextAlone) {
  auto all = TinyArchitectures();
  auto tiny = *std::ranges::find(all, "gemma3", &TinyArchitecture::name);
  tiny.ends.front().second = {300, 32};
  const std::string path = TestPath("gemma3.gguf");
  WriteTinyArchitecture(path, tiny, [](formats::Metadata& keys) {
    SetTinyVocabulary(keys, 300);
  });
  const auto engine = std::make_shared<engine::Engine>(
      engine::EngineOptions{.path = path, .threads = 2});
  const std::vector<bool> kept = MemoryLayers(engine->positions(), 7);
  EXPECT_EQ(kept, (std::vector<bool>{false, false, false, false, false, true,
                                     false}));
  const auto memory = Read(*engine, 60, 1);
  for (const memory::Part& part : memory->parts) {
    for (size_t l = 0; l < kept.size(); ++l) {
      EXPECT_EQ(!part.layers[l].keys.empty(), kept[l]) << l;
    }
  }
  const auto ids = RandomIds(40, 9);
  std::vector<KeyProbe> probes(2, KeyProbe(tiny.G * tiny.D));
  for (const bool with : {false, true}) {
    engine::Session session = Open(engine);
    if (with) {
      Attach(session, {memory}, "far");
      for (size_t l = 0; l < kept.size(); ++l) {
        EXPECT_EQ(
            session.sequence().MemoriesOf(static_cast<int64_t>(l)) != nullptr,
            kept[l]);
      }
    }
    engine->workspace().SetProbe(&probes[with ? 1 : 0]);
    session.Read(ids);
    engine->workspace().SetProbe(nullptr);
  }
  ASSERT_EQ(probes[0].layers.size(), kept.size());
  for (size_t l = 0; l <= 5; ++l) {
    EXPECT_EQ(probes[0].layers[l], probes[1].layers[l]) << l;
  }
  EXPECT_NE(probes[0].layers[6], probes[1].layers[6]);
}

}  // namespace
}  // namespace ropewalk::memory
