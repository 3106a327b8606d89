#include "serve/request.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>

#include "serve/api_error.h"
#include "serve/reply.h"

namespace ropewalk::serve {
namespace {

constexpr Endpoint kEndpoints[] = {Endpoint::kChat, Endpoint::kCompletion,
                                   Endpoint::kResponse};

// A request that asks "Hi", with more fields, such as R"("n": 2)".
std::string Body(Endpoint endpoint, const std::string& more = "") {
  std::string body = R"({"messages": [{"role": "user", "content": "Hi"}])";
  if (endpoint == Endpoint::kCompletion) body = R"({"prompt": "Hi")";
  if (endpoint == Endpoint::kResponse) body = R"({"input": "Hi")";
  return body + (more.empty() ? "}" : ", " + more + "}");
}

Request Parse(Endpoint endpoint, const std::string& more = "") {
  return ParseRequest(endpoint, Body(endpoint, more));
}

// "PARAM: MESSAGE" of the error; empty: none.
std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return error.param() + ": " + message;
  }
  return "";
}

std::string Refusal(Endpoint endpoint, const std::string& body) {
  return ErrorOf([&] { ParseRequest(endpoint, body); });
}

std::string ParamOf(Endpoint endpoint, const std::string& more) {
  const std::string refusal = Refusal(endpoint, Body(endpoint, more));
  return refusal.substr(0, refusal.find(": "));
}

TEST(RequestTest, AbsentFieldsKeepTheDefaultsOfTheLibrary) {
  for (const Endpoint endpoint : kEndpoints) {
    const Request request = Parse(endpoint);
    const SampleOptions defaults;
    EXPECT_EQ(request.endpoint, endpoint);
    EXPECT_EQ(request.generate.sampling.temperature, defaults.temperature);
    EXPECT_EQ(request.generate.sampling.penalty_last, defaults.penalty_last);
    EXPECT_EQ(request.n, 1);
    EXPECT_FALSE(request.max_tokens || request.context || request.position ||
                 request.seed_given || request.stream ||
                 request.generate.log_probabilities);
    EXPECT_TRUE(request.ignored.empty());
  }
}

TEST(RequestTest, NullIsAbsent) {
  const Request request =
      Parse(Endpoint::kChat,
            R"("temperature": null, "stop": null, "tools": null, "n": null,
               "response_format": null, "seed": null, "wonder": null)");
  EXPECT_EQ(request.generate.sampling.temperature, 0.8);
  EXPECT_TRUE(request.ignored.empty());
}

TEST(RequestTest, ReadsHowTokensAreChosen) {
  for (const Endpoint endpoint : kEndpoints) {
    const Request request =
        Parse(endpoint,
              R"("temperature": 2, "top_p": 0.5, "top_k": -1, "min_p": 0,
           "typical_p": 0.9, "repeat_penalty": 1.1, "repeat_last_n": 32,
           "dry_multiplier": 0.8, "dry_base": 2, "dry_allowed_length": 3,
           "dry_penalty_last_n": 100, "dry_sequence_breakers": ["\n"],
           "logit_bias": {"5": -100, "7": 1.5}, "seed": 18446744073709551615,
           "ignore_eos": true, "stop": "END", "model": "m")");
    const SampleOptions& sampling = request.generate.sampling;
    EXPECT_EQ(sampling.temperature, 2);
    EXPECT_EQ(sampling.top_p, 0.5);
    EXPECT_EQ(sampling.top_k, 0);
    EXPECT_EQ(sampling.min_p, 0);
    EXPECT_EQ(sampling.typical_p, 0.9);
    EXPECT_EQ(sampling.repetition_penalty, 1.1);
    EXPECT_EQ(sampling.penalty_last, 32);
    EXPECT_EQ(sampling.dry_multiplier, 0.8);
    EXPECT_EQ(sampling.dry_base, 2);
    EXPECT_EQ(sampling.dry_allowed_length, 3);
    EXPECT_EQ(sampling.dry_last, 100);
    EXPECT_EQ(sampling.dry_breakers, std::vector<std::string>{"\n"});
    EXPECT_EQ(sampling.logit_bias,
              (std::map<Token, double>{{5, -100}, {7, 1.5}}));
    EXPECT_EQ(sampling.seed, UINT64_MAX);
    EXPECT_TRUE(request.seed_given);
    EXPECT_TRUE(request.generate.ignore_end_of_text);
    EXPECT_EQ(request.generate.stops, std::vector<std::string>{"END"});
    EXPECT_EQ(request.model, "m");
    EXPECT_TRUE(request.ignored.empty());
  }
}

TEST(RequestTest, PenaltiesOfOpenAiCountOverTheWholeText) {
  const auto last = [](const std::string& more) {
    return Parse(Endpoint::kChat, more).generate.sampling.penalty_last;
  };
  EXPECT_EQ(last(R"("frequency_penalty": 0.5)"), -1);
  EXPECT_EQ(last(R"("presence_penalty": -2)"), -1);
  EXPECT_EQ(last(R"("presence_penalty": 1, "repeat_last_n": 16)"), 16);
  EXPECT_EQ(last(R"("repeat_penalty": 1.2)"), 64);
}

TEST(RequestTest, SeedMinusOneIsNoSeed) {
  EXPECT_FALSE(Parse(Endpoint::kChat, R"("seed": -1)").seed_given);
  const Request request = Parse(Endpoint::kChat, R"("seed": -2)");
  EXPECT_TRUE(request.seed_given);
  EXPECT_EQ(request.generate.sampling.seed, UINT64_MAX - 1);
}

TEST(RequestTest, NamesTheWrongField) {
  struct Case {
    const char* more;
    const char* param;
  };
  const Case cases[] = {
      {R"("temperature": 2.01)", "temperature"},
      {R"("temperature": -0.01)", "temperature"},
      {R"("temperature": "1")", "temperature"},
      {R"("temperature": true)", "temperature"},
      {R"("top_p": 1.1)", "top_p"},
      {R"("top_k": -2)", "top_k"},
      {R"("top_k": 1.5)", "top_k"},
      {R"("min_p": -1)", "min_p"},
      {R"("typical_p": 2)", "typical_p"},
      {R"("frequency_penalty": 2.5)", "frequency_penalty"},
      {R"("presence_penalty": -2.5)", "presence_penalty"},
      {R"("repetition_penalty": 0)", "repetition_penalty"},
      {R"("repeat_penalty": -1)", "repeat_penalty"},
      {R"("repeat_last_n": -2)", "repeat_last_n"},
      {R"("dry_base": 0.5)", "dry_base"},
      {R"("dry_allowed_length": 0)", "dry_allowed_length"},
      {R"("dry_sequence_breakers": [""])", "dry_sequence_breakers[0]"},
      {R"("logit_bias": {"5": 101})", "logit_bias.5"},
      {R"("logit_bias": {"x": 1})", "logit_bias"},
      {R"("logit_bias": {"-1": 1})", "logit_bias"},
      {R"("logit_bias": {"99999999999": 1})", "logit_bias"},
      {R"("logit_bias": [5])", "logit_bias"},
      {R"("seed": 1.5)", "seed"},
      {R"("seed": 36893488147419103232)", "seed"},
      {R"("stop": "")", "stop"},
      {R"("stop": ["a", 5])", "stop"},
      {R"("stop": {"a": 1})", "stop"},
      {R"("stream": "yes")", "stream"},
      {R"("stream": true, "stream_options": {"include_usage": 1})",
       "stream_options.include_usage"},
      {R"("stream_options": {"include_usage": true})", "stream_options"},
      {R"("max_tokens": 0)", "max_tokens"},
      {R"("max_tokens": -2)", "max_tokens"},
      {R"("max_tokens": 1e30)", "max_tokens"},
      {R"("n": 0)", "n"},
      {R"("n": 17)", "n"},
      {R"("n": 9223372036854775808)", "n"},
      {R"("model": 5)", "model"},
      {R"("position": "nonsense")", "position"},
      {R"("position": "rerope:window=x")", "position"},
      {R"("position": "@layers.toml")", "position"},
      {R"("position": 5)", "position"},
      {R"("context": 0)", "context"},
      {R"("context": "16q")", "context"},
      {R"("context": -5)", "context"},
      {R"("context": 1e300)", "context"},
      {R"("memories": "book")", "memories"},
      {R"("memories": [5])", "memories[0]"},
      {R"("memory_law": 5)", "memory_law"},
      {R"("grammar": 5)", "grammar"},
      {R"("json_schema": "x")", "json_schema"},
      {R"("grammar": "root ::= \"a\"", "json_schema": {})", "json_schema"},
      {R"("return_progress": 1)", "return_progress"},
      {R"("ignore_eos": 0)", "ignore_eos"}};
  for (const Endpoint endpoint : kEndpoints) {
    for (const Case& one : cases) {
      const std::string more = one.more;
      EXPECT_EQ(ParamOf(endpoint, more), one.param) << more;
    }
  }
}

TEST(RequestTest, AFileOfLayersIsNotRead) {
  const std::string refusal = Refusal(
      Endpoint::kChat, Body(Endpoint::kChat, R"("position": "@/etc/passwd")"));
  EXPECT_NE(refusal.find("cannot name a file"), std::string::npos) << refusal;
}

TEST(RequestTest, MessagesNameRuleAndValue) {
  EXPECT_EQ(
      Refusal(Endpoint::kChat, Body(Endpoint::kChat, R"("temperature": 3)")),
      "temperature: 'temperature' must be a number from 0 to 2, got 3");
  EXPECT_EQ(Refusal(Endpoint::kChat, Body(Endpoint::kChat, R"("top_k": -7)")),
            "top_k: 'top_k' must be an integer of at least -1, got -7");
}

TEST(RequestTest, RefusesBodiesThatAreNotOneObject) {
  for (const Endpoint endpoint : kEndpoints) {
    EXPECT_NE(Refusal(endpoint, "").find("is not JSON"), std::string::npos);
    EXPECT_NE(Refusal(endpoint, "{").find("is not JSON"), std::string::npos);
    EXPECT_NE(Refusal(endpoint, "{} {}").find("is not JSON"),
              std::string::npos);
    EXPECT_NE(Refusal(endpoint, "[]").find("must be a JSON object"),
              std::string::npos);
    EXPECT_NE(Refusal(endpoint, R"({"n": 1, "n": 2})").find("'n' twice"),
              std::string::npos);
    EXPECT_NE(Refusal(endpoint, R"({"temperature": NaN})").find("not JSON"),
              std::string::npos);
    EXPECT_NE(Refusal(endpoint, R"({"temperature": 1e400})").find("not JSON"),
              std::string::npos);
    EXPECT_NE(Refusal(endpoint, R"({"x": "\ud800"})").find("not JSON"),
              std::string::npos);
    EXPECT_NE(Refusal(endpoint, "{\"x\": \"\xff\"}").find("not UTF-8"),
              std::string::npos);
    const std::string deep = std::string(100'000, '[');
    EXPECT_NE(Refusal(endpoint, "{\"x\": " + deep).find("deeper than 64"),
              std::string::npos);
  }
}

TEST(RequestTest, PairsOfSurrogatesAndNulAreText) {
  const Request request = ParseRequest(Endpoint::kCompletion,
                                       R"({"prompt": "\ud83d\ude00\u0000x"})");
  EXPECT_EQ(std::get<std::string>(request.prompts[0]),
            std::string("\xf0\x9f\x98\x80\0x", 6));
}

TEST(RequestTest, TenMegabytesOfTextAreReadWithinASecond) {
  const std::string text(10'000'000, 'x');
  const auto begin = std::chrono::steady_clock::now();
  const Request request = ParseRequest(
      Endpoint::kChat,
      R"({"messages": [{"role": "user", "content": ")" + text + R"("}]})");
  const std::string wrong = Refusal(
      Endpoint::kChat, Body(Endpoint::kChat, R"("model": [")" + text + "\"]"));
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(request.messages[0]["content"].get<std::string>().size(),
            text.size());
  EXPECT_LT(wrong.size(), 200u);
  EXPECT_LT(seconds.count(), 10);
}

TEST(RequestTest, NamesWhatHasNoEffect) {
  const Request request = Parse(
      Endpoint::kChat,
      R"("user": "u", "store": true, "metadata": {}, "service_tier": "auto",
         "reasoning_effort": "low", "cache_prompt": true, "zzz": 1,
         "stream": true, "stream_options": {"include_usage": true,
                                            "include_obfuscation": false})");
  EXPECT_EQ(request.ignored, (std::vector<std::string>{
                                 "stream_options.include_obfuscation", "store",
                                 "cache_prompt", "metadata", "reasoning_effort",
                                 "service_tier", "user", "zzz"}));
  EXPECT_TRUE(request.include_usage);
}

TEST(RequestTest, VeryManyUnknownFieldsAreNamedInPart) {
  std::string more;
  for (int i = 0; i < 100'000; ++i) {
    more += (i == 0 ? "\"x" : ", \"x") + std::to_string(i) + "\": 1";
  }
  EXPECT_EQ(Parse(Endpoint::kChat, more).ignored.size(), 32u);
}

TEST(RequestTest, MaxTokensByTheNewestName) {
  const auto read = [](Endpoint endpoint, const std::string& more) {
    return Parse(endpoint, more).max_tokens;
  };
  EXPECT_EQ(read(Endpoint::kChat, R"("max_tokens": 5)"), 5);
  EXPECT_EQ(read(Endpoint::kChat, R"("max_tokens": 5.0)"), 5);
  EXPECT_EQ(read(Endpoint::kCompletion, R"("n_predict": -1)"), std::nullopt);
  EXPECT_EQ(read(Endpoint::kResponse, R"("max_output_tokens": 7)"), 7);
  const Request both =
      Parse(Endpoint::kChat, R"("max_tokens": 5, "max_completion_tokens": 6)");
  EXPECT_EQ(both.max_tokens, 6);
  EXPECT_EQ(both.ignored, std::vector<std::string>{"max_tokens"});
}

TEST(RequestTest, ReadsOurFields) {
  const Request request =
      Parse(Endpoint::kChat,
            R"("position": "rerope:window=64+logn-clip", "context": "16k",
         "memories": ["a", "b"], "memory_law": "place",
         "return_progress": true)");
  EXPECT_EQ(request.position, "rerope:window=64+logn-clip");
  EXPECT_EQ(request.context, 16384);
  EXPECT_EQ(request.memories, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.memory_law, "place");
  EXPECT_TRUE(request.return_progress);
  EXPECT_EQ(Parse(Endpoint::kChat, R"("context": 77)").context, 77);
}

TEST(TokenizeRequestTest, ReadsAndRefuses) {
  EXPECT_EQ(ParseTokenizeRequest(R"({"content": "x"})").content, "x");
  EXPECT_TRUE(ParseTokenizeRequest(R"({"content": "", "add_special": true})")
                  .add_special);
  EXPECT_EQ(ParseDetokenizeRequest(R"({"tokens": [0, 2147483647]})"),
            (std::vector<Token>{0, 2147483647}));
  EXPECT_TRUE(ParseDetokenizeRequest(R"({"tokens": []})").empty());
  const auto refused = [](const std::string& body) {
    return ErrorOf([&] { ParseDetokenizeRequest(body); }).substr(0, 10);
  };
  EXPECT_EQ(refused(R"({"tokens": [1, -1]})"), "tokens[1]:");
  EXPECT_EQ(refused(R"({"tokens": [2147483648]})"), "tokens[0]:");
  EXPECT_EQ(refused(R"({"tokens": 5})"), "tokens: 't");
  EXPECT_EQ(refused(R"({})"), "tokens: 't");
  EXPECT_EQ(ErrorOf([] { ParseTokenizeRequest("{}"); }),
            "content: 'content' is missing: a string");
}

}  // namespace
}  // namespace ropewalk::serve
