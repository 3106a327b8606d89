// Sessions and their prompt caches.

#include "engine/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "tests/tiny_model.h"

namespace ropewalk::engine {
namespace {

std::vector<Token> RandomIds(int64_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<Token> ids;
  for (int64_t i = 0; i < n; ++i) {
    ids.push_back(static_cast<Token>(rng.Below(300)));
  }
  return ids;
}

std::vector<Token> Part(const std::vector<Token>& ids, size_t first,
                        size_t count) {
  return {ids.begin() + static_cast<int64_t>(first),
          ids.begin() + static_cast<int64_t>(first + count)};
}

class SessionTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove(cache_); }
  void TearDown() override { std::filesystem::remove(cache_); }

  static std::shared_ptr<Engine> NewEngine(const std::string& name,
                                           const TinyModelOptions& options = {},
                                           int64_t train_length = 0,
                                           bool exact = false) {
    const std::string path = testing::TempDir() + "ropewalk_session_" + name;
    WriteTinyModel(path, options);
    return std::make_shared<Engine>(EngineOptions{.path = path,
                                                  .train_length = train_length,
                                                  .threads = 2,
                                                  .exact = exact});
  }

  Session Open(const std::string& position, int64_t length = 400,
               DType type = DType::kF32) const {
    return {engine_,
            {.length = length,
             .position = position,
             .kv_type = type,
             .allow_failing = position != "auto"}};
  }

  // The logits after `ids`, read by a new session.
  std::vector<float> Fresh(const std::string& position, int64_t length,
                           const std::vector<Token>& ids) const {
    return Open(position, length).Read(ids);
  }

  std::string Refusal(Session session, const std::vector<Token>& prompt) const {
    try {
      session.LoadCache(cache_, prompt);
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(session.size(), 0);
      return error.what();
    }
    return "";
  }

  const std::string cache_ = testing::TempDir() + "session_test.kv";
  std::shared_ptr<Engine> engine_ = NewEngine("model");
};

TEST_F(SessionTest, ALoadedTextContinuesWithTheSameBits) {
  const auto ids = RandomIds(300, 8);
  for (const char* position :
       {"rope", "rerope:window=20", "sink-window:size=20,sinks=4",
        "hwfa:window=16"}) {
    for (const DType type : {DType::kF32, DType::kF16, DType::kQ8_0}) {
      Session first = Open(position, 400, type);
      first.Read(Part(ids, 0, 290));
      first.SaveCache(cache_);
      Session second = Open(position, 400, type);
      EXPECT_EQ(second.LoadCache(cache_, ids), 290);
      EXPECT_EQ(second.Read(Part(ids, 290, 10)), first.Read(Part(ids, 290, 10)))
          << position;
    }
  }
}

TEST_F(SessionTest, ACacheBelongsToOneModelSchemeAndType) {
  const auto ids = RandomIds(150, 9);
  Session session = Open("rope");
  session.Read(ids);
  session.SaveCache(cache_);
  EXPECT_EQ(Refusal(Open("rope"), ids), "");
  EXPECT_NE(Refusal(Open("rerope:window=20"), ids).find("other positions"),
            std::string::npos);
  EXPECT_NE(Refusal(Open("rope", 400, DType::kF16), ids).find("in f32, not"),
            std::string::npos);
  // Changing one weight or one key gives another model; changing a name does
  // not.
  const auto differs = [&](const TinyModelOptions& options,
                           int64_t train_length) {
    const auto other = NewEngine("other", options, train_length);
    return Refusal({other,
                    {.length = 400,
                     .position = "rope",
                     .kv_type = DType::kF32,
                     .allow_failing = true}},
                   ids);
  };
  EXPECT_NE(differs({.seed = 2}, 0).find("another model"), std::string::npos);
  EXPECT_NE(differs({.change_keys =
                         [](formats::Metadata& keys) {
                           keys.SetFloat(
                               "llama.attention.layer_norm_rms_epsilon", 0.5);
                         }},
                    0)
                .find("another model"),
            std::string::npos);
  EXPECT_EQ(differs({.change_keys =
                         [](formats::Metadata& keys) {
                           keys.SetString("general.name", "renamed");
                         }},
                    0),
            "");
  EXPECT_NE(differs({}, 48).find("trained length of 64, not of 48"),
            std::string::npos);
}

TEST_F(SessionTest, ACacheBelongsToItsKindOfProducts) {
  const auto ids = RandomIds(30, 12);
  const auto session = [&](DType type, bool exact) {
    return Session(NewEngine("products", {.type = type}, 0, exact),
                   {.length = 40, .position = "rope"});
  };
  const auto save = [&](DType type, bool exact) {
    Session first = session(type, exact);
    first.Read(ids);
    first.SaveCache(cache_);
  };
  save(DType::kQ8_0, false);
  EXPECT_EQ(Refusal(session(DType::kQ8_0, false), ids), "");
  EXPECT_NE(Refusal(session(DType::kQ8_0, true), ids)
                .find("with integer products of the weights, not with float32"),
            std::string::npos);
  save(DType::kQ8_0, true);
  EXPECT_EQ(Refusal(session(DType::kQ8_0, true), ids), "");
  EXPECT_NE(Refusal(session(DType::kQ8_0, false), ids)
                .find("with float32 products of the weights, not with integer"),
            std::string::npos);
  // Without block types both compute the same.
  save(DType::kF16, true);
  EXPECT_EQ(Refusal(session(DType::kF16, false), ids), "");
}

TEST_F(SessionTest, EveryByteOfTheTensorsChangesTheHash) {
  const std::string path = testing::TempDir() + "ropewalk_session_bytes";
  WriteTinyModel(path, {});
  const auto hash = [&] { return Engine({.path = path, .threads = 2}).Hash(); };
  const std::string before = hash();
  EXPECT_EQ(hash(), before);
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path));
  for (const int64_t back : {1, 1000, 20001}) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(size - back);
    const auto byte = static_cast<char>(file.get() ^ 1);
    file.seekp(size - back);
    file.put(byte);
    file.close();
    EXPECT_NE(hash(), before) << back;
    file.open(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(size - back);
    file.put(static_cast<char>(byte ^ 1));
    file.close();
    EXPECT_EQ(hash(), before);
  }
}

TEST_F(SessionTest, TheCachedTextMayHaveAnotherSizeAndLength) {
  const auto ids = RandomIds(300, 10);
  auto other = ids;
  for (size_t at = 200; at < 300; ++at) other[at] = (other[at] + 7) % 300;
  // leaky-rerope derives k from the length; the cache keeps its own k.
  for (const char* position : {"rope", "leaky-rerope:window=20"}) {
    Session first = Open(position, 320);
    first.Read(ids);
    first.SaveCache(cache_);
    const std::string begun = first.scheme().described;
    for (const int64_t length : {260, 320, 1000}) {
      Session shorter = Open(position, length);
      EXPECT_EQ(shorter.LoadCache(cache_, Part(other, 0, 250)), 200);
      EXPECT_EQ(shorter.length(), length);
      EXPECT_EQ(shorter.scheme().described, begun);
      Session fresh = Open(position, 320);
      fresh.Read(Part(other, 0, 200));
      EXPECT_EQ(shorter.Read(Part(other, 200, 50)),
                fresh.Read(Part(other, 200, 50)));
    }
  }
}

TEST_F(SessionTest, AutoGrowsBeyondTheTrainedLength) {
  // 64 tokens are trained: rope up to there, rerope with a window of 60 beyond.
  const auto ids = RandomIds(200, 11);
  Session first = Open("auto", 64);
  first.Read(Part(ids, 0, 64));
  first.SaveCache(cache_);
  Session grown = Open("auto", 256);
  ASSERT_NE(grown.scheme().described, first.scheme().described);
  const int64_t reused = grown.LoadCache(cache_, ids);
  // Both schemes treat the first tokens alike, so these are not read again.
  EXPECT_EQ(reused, 60);
  const std::vector<float> got = grown.Read(Part(ids, 60, 140));
  Session fresh = Open("auto", 256);
  fresh.Read(Part(ids, 0, 60));
  const std::vector<float> want = fresh.Read(Part(ids, 60, 140));
  ASSERT_EQ(got.size(), want.size());
  for (size_t v = 0; v < want.size(); ++v) EXPECT_NEAR(got[v], want[v], 1e-4);
}

// Keys behind a shift were computed next to tokens that are gone. A text
// without those tokens has other keys.
TEST_F(SessionTest, KeysReadNextToTokensTakenOutAreNotReused) {
  const auto ids = RandomIds(300, 12);
  Session first = Open("rope");
  first.Read(ids);
  first.sequence().Shift(4, 120);
  first.SaveCache(cache_);
  std::vector<Token> rest = Part(ids, 0, 4);
  rest.insert(rest.end(), ids.begin() + 124, ids.end());
  rest.push_back(17);
  Session second = Open("rope");
  EXPECT_EQ(second.LoadCache(cache_, rest), 4);
  const std::vector<float> got = second.Read(Part(rest, 4, rest.size() - 4));
  Session fresh = Open("rope");
  fresh.Read(Part(rest, 0, 4));
  // The first four tokens were read in a larger chunk, with another order of
  // sums.
  const std::vector<float> want = fresh.Read(Part(rest, 4, rest.size() - 4));
  for (size_t v = 0; v < want.size(); ++v) EXPECT_NEAR(got[v], want[v], 1e-4);
  // With all keys of the store the logits would be those of another text.
  double most = 0;
  Session shifted = Open("rope");
  shifted.Read(ids);
  shifted.sequence().Shift(4, 120);
  const std::vector<float> stale = shifted.Read(std::vector<Token>{17});
  for (size_t v = 0; v < want.size(); ++v) {
    most = std::max(most, std::abs(static_cast<double>(stale[v]) - want[v]));
  }
  EXPECT_GT(most, 1e-2);
}

TEST_F(SessionTest, AForkedQuestionReadsOnlyItsOwnTokens) {
  const auto book = RandomIds(200, 13);
  for (const char* position : {"rope", "window:size=16"}) {
    Session base = Open(position);
    base.Read(book);
    base.SaveCache(cache_);
    for (const uint64_t question : {1, 2, 3}) {
      auto prompt = book;
      const auto asked = RandomIds(20, 100 + question);
      prompt.insert(prompt.end(), asked.begin(), asked.end());
      Session session = Open(position);
      EXPECT_EQ(session.LoadCache(cache_, prompt), 200) << position;
      EXPECT_EQ(session.Read(asked), base.Fork().Read(asked));
    }
  }
}

TEST_F(SessionTest, EveryCutAndChangedByteIsNoticed) {
  Session session = Open("rerope:window=20");
  const auto ids = RandomIds(40, 10);
  session.Read(ids);
  session.SaveCache(cache_);
  std::ifstream in(cache_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  const auto loads = [&](const std::string& bytes) {
    std::ofstream(cache_, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    Session into = Open("rerope:window=20");
    try {
      into.LoadCache(cache_, ids);
      return true;
    } catch (const FormatError&) {
    } catch (const std::invalid_argument&) {
    }
    EXPECT_EQ(into.size(), 0);
    return false;
  };
  EXPECT_TRUE(loads(whole));
  for (size_t size = 0; size < whole.size(); size += 1 + size / 40) {
    EXPECT_FALSE(loads(whole.substr(0, size))) << size;
  }
  for (size_t at = 0; at < whole.size(); at += 1 + at / 40) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    EXPECT_FALSE(loads(changed)) << at;
  }
}

TEST_F(SessionTest, SessionsThatReadTogetherGetTheirOwnLogits) {
  std::vector<Session> sessions;
  std::vector<std::vector<Token>> ids;
  for (uint64_t s = 0; s < 6; ++s) {
    sessions.push_back(Open(s % 2 == 0 ? "rope" : "rerope:window=20"));
    ids.push_back(RandomIds(static_cast<int64_t>(1 + 3 * s), s));
  }
  std::vector<SessionSlice> slices;
  for (size_t s = 0; s < sessions.size(); ++s) {
    slices.push_back({&sessions[s], ids[s]});
  }
  const auto logits = ReadTogether(slices);
  for (size_t s = 0; s < sessions.size(); ++s) {
    EXPECT_EQ(logits[s],
              Fresh(s % 2 == 0 ? "rope" : "rerope:window=20", 400, ids[s]));
  }
  EXPECT_THROW(ReadTogether(std::vector<SessionSlice>{{&sessions[0], {}}}),
               std::invalid_argument);
}

TEST_F(SessionTest, ACacheOfAnotherTextDoesNotChooseTheScheme) {
  auto ids = RandomIds(200, 14);
  Session first = Open("auto", 256);
  first.Read(ids);
  first.SaveCache(cache_);
  auto other = RandomIds(40, 15);
  other[0] = ids[0];
  Session second = Open("auto", 64);
  const std::string own = second.scheme().described;
  EXPECT_EQ(second.LoadCache(cache_, other), 1);
  EXPECT_EQ(second.scheme().described, own);
}

TEST_F(SessionTest, AReadThatDoesNotFitReadsNothing) {
  Session session = Open("rope", 1000);
  auto ids = RandomIds(1001, 16);
  EXPECT_THROW(session.Read(ids), std::invalid_argument);
  ids.resize(900);
  ids.back() = 30000;
  EXPECT_THROW(session.Read(ids), std::invalid_argument);
  EXPECT_EQ(session.size(), 0);
}

}  // namespace
}  // namespace ropewalk::engine
