#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ropewalk/error.h>
#include <ropewalk/model.h>
#include <ropewalk/session.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;

const std::string kModel =
    std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf";
constexpr char kText[] =
    "It was a dark night; the wind rose, and nobody in the house could sleep.";

std::string MessageOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

class SessionTest : public testing::Test {
 protected:
  // Sessions of `scheme` with room for `length` tokens.
  Session Make(const std::string& scheme = "auto", int64_t length = 0) const {
    return Session(model_,
                   {.context_length = length, .scheme = Scheme::Parse(scheme)});
  }

  // Logits after `tokens`, read by a fresh session.
  std::vector<float> LogitsOf(std::span<const Token> tokens,
                              const std::string& scheme = "auto") const {
    Session session = Make(scheme);
    session.Read(tokens);
    return Copy(session.Logits());
  }

  static std::vector<float> Copy(std::span<const float> logits) {
    return {logits.begin(), logits.end()};
  }

  const Model model_ = Model::Load(kModel, {.threads = 2});
  const std::vector<Token> text_ = model_.tokenizer().Encode(kText);
};

TEST_F(SessionTest, ExactProductsDifferFromIntegerOnesByTheirRounding) {
  const Model exact = Model::Load(kModel, {.threads = 2, .exact = true});
  Session session(exact);
  session.Read(text_);
  const std::vector<float> want = Copy(session.Logits());
  const std::vector<float> got = LogitsOf(text_);
  double largest = 0;
  for (size_t v = 0; v < want.size(); ++v) {
    largest = std::max(largest, std::abs(double{got[v]} - want[v]));
  }
  // Nothing would be equal if the option did nothing; 8 bits move logits by
  // about a hundredth of their spread.
  EXPECT_GT(largest, 1e-3);
  EXPECT_LT(largest, 0.5);
}

TEST_F(SessionTest, BeginsEmptyAndKnowsItsOptions) {
  Session session = Make();
  EXPECT_EQ(session.size(), 0);
  EXPECT_EQ(session.context_length(), model_.train_length());
  EXPECT_EQ(session.scheme().ToString(), "rope");
  EXPECT_EQ(session.model().name(), model_.name());
  EXPECT_THROW((void)session.Logits(), std::invalid_argument);
  const Session longer = Make("auto", 4 * model_.train_length());
  EXPECT_THAT(longer.scheme().ToString(), HasSubstr("rerope:window="));
}

TEST_F(SessionTest, OptionsOutOfRangeAreRefused) {
  EXPECT_THROW(Session(model_, {.context_length = -1}), std::invalid_argument);
  EXPECT_THROW(Session(model_, {.kv_type = static_cast<KvType>(9)}),
               std::invalid_argument);
}

TEST(KvTypeTest, EachTypeIsFoundByItsName) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kBF16,
                            KvType::kQ8_0, KvType::kQ4_0}) {
    EXPECT_EQ(ParseKvType(NameOf(type)), type);
  }
  EXPECT_EQ(NameOf(KvType::kQ8_0), "q8_0");
  EXPECT_EQ(ParseKvType("bf16"), KvType::kBF16);
  EXPECT_THROW(ParseKvType("q4_1"), std::invalid_argument);
  EXPECT_THROW(ParseKvType(""), std::invalid_argument);
  EXPECT_THROW(NameOf(static_cast<KvType>(9)), std::invalid_argument);
}

TEST_F(SessionTest, SchemeThatIsKnownToFailNeedsToBeAllowed) {
  const int64_t length = 2 * model_.train_length();
  EXPECT_THAT(MessageOf([&] { Make("rope", length); }), HasSubstr("noise"));
  const Session allowed(model_, {.context_length = length,
                                 .scheme = Scheme::Parse("rope"),
                                 .allow_known_failure = true});
  EXPECT_EQ(allowed.context_length(), length);
}

TEST_F(SessionTest, ReadsInPortionsAndTellsWhatItRead) {
  // Exact and in f32, because attention's other order of sums may move a number
  // to another code of few bits, and the logits then by more than its rounding.
  const Model model = Model::Load(kModel, {.threads = 2, .exact = true});
  const SessionOptions options{.kv_type = KvType::kF32};
  Session session(model, options);
  const std::span<const Token> text = text_;
  EXPECT_EQ(session.Read(text.first(3)), 3);
  EXPECT_EQ(session.Read(text.subspan(3)), int64_t(text.size()) - 3);
  EXPECT_THAT(session.tokens(), ElementsAreArray(text_));
  EXPECT_EQ(session.Logits().size(), size_t(model_.vocabulary_size()));
  EXPECT_GT(session.kv_bytes(), 0);
  // The same text in one portion, up to the rounding of other products.
  Session whole(model, options);
  whole.Read(text);
  for (size_t i = 0; i < whole.Logits().size(); ++i) {
    ASSERT_NEAR(session.Logits()[i], whole.Logits()[i], 1e-4) << i;
  }
}

TEST_F(SessionTest, ReadStopsWhereTheCallbackSaysSo) {
  std::vector<Token> many;
  while (many.size() < 3000) {
    many.insert(many.end(), text_.begin(), text_.end());
  }
  const auto all = static_cast<int64_t>(many.size());
  Session session = Make("auto", all);
  std::vector<int64_t> seen;
  const int64_t read = session.Read(many, [&](int64_t done, int64_t asked) {
    EXPECT_EQ(asked, all);
    seen.push_back(done);
    return seen.size() < 2;
  });
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_LT(read, all);
  EXPECT_EQ(read, seen.back());
  EXPECT_EQ(session.size(), read);
  // And goes on.
  EXPECT_EQ(session.Read(std::span(many).subspan(size_t(read))), all - read);
  EXPECT_THAT(session.tokens(), ElementsAreArray(many));
}

TEST_F(SessionTest, WhatDoesNotFitOrIsNoTokenIsRefusedBeforeAnythingIsRead) {
  Session session = Make("rope", 8);
  EXPECT_THAT(MessageOf([&] { session.Read(text_); }), HasSubstr("8"));
  const std::vector<Token> wrong = {1, Token(model_.vocabulary_size())};
  EXPECT_THROW(session.Read(wrong), std::invalid_argument);
  EXPECT_EQ(session.size(), 0);
  EXPECT_EQ(session.Read(std::span(text_).first(8)), 8);
}

TEST_F(SessionTest, GreedyGenerationTakesTheLikeliestTokenOfEachStep) {
  Session session = Make();
  Session by_hand = Make();
  session.Read(text_);
  by_hand.Read(text_);
  std::vector<Token> expected;
  for (int step = 0; step < 12; ++step) {
    const std::span<const float> logits = by_hand.Logits();
    expected.push_back(static_cast<Token>(
        std::max_element(logits.begin(), logits.end()) - logits.begin()));
    by_hand.Read(std::span(expected).last(1));
  }
  std::vector<Token> drawn;
  std::string told;
  const GenerateResult result =
      session.Generate({.max_tokens = 12, .sampling = {.temperature = 0}},
                       [&](const GeneratedToken& token) {
                         drawn.push_back(token.id);
                         told += token.text;
                         return true;
                       });
  EXPECT_EQ(drawn, expected);
  EXPECT_EQ(result.tokens, 12);
  EXPECT_EQ(result.reason, StopReason::kTokenLimit);
  EXPECT_EQ(result.text, told);
  EXPECT_EQ(told, model_.tokenizer()
                      .Decode([&] {
                        std::vector<Token> all = text_;
                        all.insert(all.end(), drawn.begin(), drawn.end());
                        return all;
                      }())
                      .substr(std::string(kText).size()));
}

TEST_F(SessionTest, GenerationStopsWhereTheCallbackSaysSo) {
  Session session = Make();
  session.Read(text_);
  int calls = 0;
  const GenerateResult result = session.Generate(
      {.max_tokens = 50}, [&](const GeneratedToken&) { return ++calls < 3; });
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(result.tokens, 3);
  EXPECT_EQ(result.reason, StopReason::kCaller);
}

TEST_F(SessionTest, GenerationEndsWhereTheContextDoes) {
  const auto room = static_cast<int64_t>(text_.size()) + 4;
  Session session = Make("rope", room);
  session.Read(text_);
  const GenerateResult full =
      session.Generate({.max_tokens = 50, .ignore_end_of_text = true});
  EXPECT_EQ(full.reason, StopReason::kContextFull);
  EXPECT_LE(session.size(), room);
}

TEST_F(SessionTest, GenerationNeedsSomethingToFollow) {
  Session session = Make();
  EXPECT_THROW(session.Generate(), std::invalid_argument);
  session.Read(text_);
  EXPECT_THROW(session.Generate({.max_tokens = 0}), std::invalid_argument);
  EXPECT_THROW(session.Generate({.sampling = {.top_p = 2}}),
               std::invalid_argument);
}

TEST_F(SessionTest, EqualSeedsDrawEqualTokens) {
  Session session = Make();
  session.Read(text_);
  const auto draw = [&](uint64_t seed) {
    Session fork = session.Fork();
    return fork.Generate({.max_tokens = 20, .sampling = {.seed = seed}}).text;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST_F(SessionTest, ForksGoTheirOwnWays) {
  const std::span<const Token> text = text_;
  Session session = Make();
  session.Read(text.first(10));
  Session fork = session.Fork();
  EXPECT_THAT(fork.tokens(), ElementsAreArray(session.tokens()));
  EXPECT_EQ(Copy(fork.Logits()), Copy(session.Logits()));
  session.Read(text.subspan(10, 5));
  fork.Read(text.subspan(12, 5));
  const std::vector<float> logits = Copy(session.Logits());
  const std::vector<float> fork_logits = Copy(fork.Logits());
  // Fresh ones that read in the same portions.
  Session fresh = Make();
  fresh.Read(text.first(10));
  fresh.Read(text.subspan(10, 5));
  EXPECT_EQ(Copy(fresh.Logits()), logits);
  Session other = Make();
  other.Read(text.first(10));
  other.Read(text.subspan(12, 5));
  EXPECT_EQ(Copy(other.Logits()), fork_logits);
  EXPECT_NE(logits, fork_logits);
}

TEST_F(SessionTest, ForkOutlivesWhereItCameFrom) {
  Session fork = [&] {
    const Model model = Model::Load(kModel, {.threads = 1});
    Session session(model);
    session.Read(text_);
    return session.Fork();
  }();
  EXPECT_EQ(Copy(fork.Logits()), LogitsOf(text_));
  EXPECT_EQ(fork.Generate({.max_tokens = 3, .ignore_end_of_text = true}).tokens,
            3);
}

TEST_F(SessionTest, OnePassForManyGivesEachTheBitsOfItsOwn) {
  const std::span<const Token> text = text_;
  const std::vector<std::string> schemes = {"rope", "rerope", "dca",
                                            "window:size=8"};
  std::vector<Session> together;
  std::vector<Session> alone;
  for (size_t i = 0; i < schemes.size(); ++i) {
    for (std::vector<Session>* sessions : {&together, &alone}) {
      sessions->push_back(Make(schemes[i]));
      sessions->back().Read(text.first(5 + i));
    }
  }
  for (size_t count : {size_t{1}, size_t{3}}) {
    std::vector<Slice> slices;
    for (Session& session : together) {
      slices.push_back({&session, text.subspan(size_t(session.size()), count)});
    }
    Read(slices);
    for (Session& session : alone) {
      session.Read(text.subspan(size_t(session.size()), count));
    }
  }
  for (size_t i = 0; i < schemes.size(); ++i) {
    EXPECT_EQ(Copy(together[i].Logits()), Copy(alone[i].Logits()))
        << schemes[i];
    EXPECT_THAT(together[i].tokens(), ElementsAreArray(alone[i].tokens()));
  }
}

TEST_F(SessionTest, SlicesThatCannotGoTogetherAreRefused) {
  Session a = Make();
  Session b = Make();
  const Model other = Model::Load(kModel, {.threads = 1});
  Session foreign(other);
  const std::span<const Token> text = text_;
  const auto refused = [&](std::vector<Slice> slices) {
    EXPECT_THROW(Read(slices), std::invalid_argument);
  };
  refused({{&a, text}, {&a, text}});
  refused({{&a, text}, {&foreign, text}});
  refused({{&a, text}, {&b, {}}});
  refused({{&a, text}, {nullptr, text}});
  EXPECT_EQ(a.size(), 0);
  EXPECT_EQ(b.size(), 0);
  Read(std::span<const Slice>());
}

TEST_F(SessionTest, TrimGoesBackToWhatWas) {
  const std::span<const Token> text = text_;
  Session session = Make();
  session.Read(text);
  session.Trim(10);
  EXPECT_EQ(session.size(), 10);
  EXPECT_THROW((void)session.Logits(), std::invalid_argument);
  EXPECT_THROW(session.Trim(11), std::invalid_argument);
  session.Read(text.subspan(10));
  Session fresh = Make();
  fresh.Read(text.first(10));
  fresh.Read(text.subspan(10));
  EXPECT_EQ(Copy(session.Logits()), Copy(fresh.Logits()));
}

TEST_F(SessionTest, ShiftMakesRoom) {
  Session session = Make("rope", int64_t(text_.size()));
  session.Read(text_);
  EXPECT_THROW(session.Read(std::span(text_).first(1)), std::invalid_argument);
  session.Shift(2, 4);
  std::vector<Token> left = text_;
  left.erase(left.begin() + 2, left.begin() + 6);
  EXPECT_THAT(session.tokens(), ElementsAreArray(left));
  EXPECT_EQ(session.Read(std::span(text_).first(4)), 4);
}

TEST_F(SessionTest, SchemeChangesOnTheWay) {
  Session session = Make("rope");
  session.Read(text_);
  session.ChangeScheme(Scheme::Parse("rerope:window=16"));
  EXPECT_EQ(session.scheme().ToString(), "rerope:window=16");
  session.Read(text_);
  EXPECT_EQ(session.size(), 2 * int64_t(text_.size()));
}

TEST_F(SessionTest, MemoryLimitIsAnErrorAndSessionsStayUsable) {
  const Model model =
      Model::Load(kModel, {.threads = 1, .memory_limit = 4 << 20});
  Session session(model, {.context_length = 1 << 16});
  const std::vector<Token> tokens(1 << 15, text_[1]);
  EXPECT_THROW(session.Read(tokens), MemoryLimitError);
  EXPECT_EQ(session.size(), 0);
  session.Read(text_);
  EXPECT_EQ(session.size(), int64_t(text_.size()));
  EXPECT_LE(session.kv_bytes(), 4 << 20);
  EXPECT_THROW(Model::Load(kModel, {.memory_limit = -1}),
               std::invalid_argument);
}

TEST_F(SessionTest, SavedTextIsReusedAsFarAsItIsShared) {
  const std::string path =
      testing::TempDir() + "/session_test_cache.safetensors";
  Session session = Make();
  session.Read(text_);
  session.SaveCache(path);
  std::vector<Token> changed = text_;
  changed.back() = changed.front();
  Session loaded = Make();
  const auto shared = static_cast<int64_t>(text_.size()) - 1;
  EXPECT_EQ(loaded.LoadCache(path, changed), shared);
  EXPECT_EQ(loaded.size(), shared);
  loaded.Read(std::span(changed).last(1));
  EXPECT_EQ(loaded.size(), shared + 1);
  // At least one token is left to read.
  EXPECT_EQ(Make().LoadCache(path, text_), shared);
  EXPECT_THROW(Make().LoadCache(path + ".none", text_), IoError);
  EXPECT_THROW(Make().LoadCache(kModel, text_), FormatError);
  std::filesystem::remove(path);
}

TEST_F(SessionTest, ThousandSessionsComeAndGo) {
  std::vector<Session> sessions;
  for (int i = 0; i < 1000; ++i) {
    sessions.push_back(i % 2 == 0 || sessions.empty()
                           ? Make()
                           : sessions[size_t(i) - 1].Fork());
    sessions.back().Read(std::span(text_).first(size_t(1 + i % 3)));
  }
  EXPECT_EQ(sessions[999].size(), 1 + 999 % 3 + 1 + 998 % 3);
}

TEST_F(SessionTest, GenerationGoesOnWhereItStopped) {
  const GenerateOptions greedy = {.max_tokens = 10,
                                  .sampling = {.temperature = 0},
                                  .ignore_end_of_text = true};
  Session whole = Make();
  whole.Read(text_);
  const std::string expected = whole.Generate(greedy).text;
  Session session = Make();
  session.Read(text_);
  GenerateOptions some = greedy;
  some.max_tokens = 4;
  std::string told = session.Generate(some).text;
  EXPECT_EQ(session.size(), int64_t(text_.size()) + 3);
  some.max_tokens = 6;
  Session fork = session.Fork();
  told += session.Generate(some).text;
  EXPECT_EQ(told, expected);
  // Asked for logits, the fork reads the token that was drawn last.
  EXPECT_EQ(fork.Logits().size(), size_t(model_.vocabulary_size()));
  EXPECT_EQ(fork.size(), int64_t(text_.size()) + 4);
}

TEST_F(SessionTest, GenerationGoesOnAfterACallbackThrewOrOptionsWereWrong) {
  GenerateOptions greedy = {.max_tokens = 10,
                            .sampling = {.temperature = 0},
                            .ignore_end_of_text = true};
  Session session = Make();
  session.Read(text_);
  const std::string expected = session.Fork().Generate(greedy).text;
  EXPECT_THROW(session.Generate({.max_tokens = 0}), std::invalid_argument);
  std::string told;
  int calls = 0;
  EXPECT_THROW(session.Generate(greedy,
                                [&](const GeneratedToken& token) -> bool {
                                  told += token.text;
                                  if (++calls == 3) throw std::out_of_range("");
                                  return true;
                                }),
               std::out_of_range);
  greedy.max_tokens = 7;
  EXPECT_EQ(told + session.Generate(greedy).text, expected);
}

TEST_F(SessionTest, StopTextEndsGenerationAndIsNotShown) {
  GenerateOptions options = {.max_tokens = 20,
                             .sampling = {.temperature = 0},
                             .ignore_end_of_text = true};
  Session session = Make();
  session.Read(text_);
  const std::string text = session.Fork().Generate(options).text;
  const std::string stop = text.substr(text.size() / 2, 4);
  options.stops = {stop};
  const GenerateResult result = session.Generate(options);
  EXPECT_EQ(result.reason, StopReason::kStopText);
  EXPECT_EQ(result.stop, stop);
  EXPECT_EQ(result.text, text.substr(0, text.find(stop)));
}

TEST_F(SessionTest, AGrammarAllowsOnlyItsTexts) {
  Session session = Make();
  session.Read(text_);
  GenerateOptions options = {.max_tokens = 30,
                             .sampling = {.temperature = 1.5, .seed = 3},
                             .grammar = "root ::= [ab]{3} \"c\""};
  for (uint64_t seed = 0; seed < 5; ++seed) {
    options.sampling.seed = seed;
    const GenerateResult result = session.Fork().Generate(options);
    EXPECT_EQ(result.reason, StopReason::kEndOfText);
    ASSERT_EQ(result.text.size(), 4U) << result.text;
    EXPECT_EQ(result.text.find_first_not_of("ab"), 3U) << result.text;
    EXPECT_EQ(result.text[3], 'c');
  }
  options.grammar.clear();
  options.json_schema = R"({"enum": ["x", 12]})";
  const std::string text = session.Fork().Generate(options).text;
  EXPECT_TRUE(text == "\"x\"" || text == "12") << text;
  options.grammar = "root ::= \"a\"";
  EXPECT_THROW(session.Generate(options), std::invalid_argument);
  options.json_schema.clear();
  options.grammar = "root ::= ";
  options.grammar += '"';
  EXPECT_THROW(session.Generate(options), std::invalid_argument);
}

TEST_F(SessionTest, LogProbabilitiesAreThoseOfTheLogits) {
  Session session = Make();
  session.Read(text_);
  const std::vector<float> logits = Copy(session.Logits());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double(logit));
  int calls = 0;
  session.Generate(
      {.max_tokens = 1, .ignore_end_of_text = true, .log_probabilities = 3},
      [&](const GeneratedToken& token) {
        ++calls;
        EXPECT_NEAR(token.log_probability,
                    logits[size_t(token.id)] - std::log(sum), 1e-9);
        EXPECT_EQ(token.most_likely.size(), 3U);
        EXPECT_EQ(logits[size_t(token.most_likely[0].id)],
                  *std::max_element(logits.begin(), logits.end()));
        return true;
      });
  EXPECT_EQ(calls, 1);
}

TEST_F(SessionTest, LogitsOfTheLikeliestAreDrawnAtTemperatureZero) {
  Sampler sampler(model_.tokenizer(), {.temperature = 0});
  std::vector<float> logits(100, 0.0F);
  logits[42] = 1;
  EXPECT_EQ(sampler.Sample(logits), 42);
  EXPECT_THROW(Sampler(model_.tokenizer(), {.temperature = -1}),
               std::invalid_argument);
  std::vector<float> broken(4, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THROW(sampler.Sample(broken), std::runtime_error);
}

}  // namespace
}  // namespace ropewalk
