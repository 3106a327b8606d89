#include "serve/reply.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace ropewalk::serve {
namespace {

Request Parse(Endpoint endpoint, const std::string& more = "") {
  std::string body = R"({"messages": [{"role": "user", "content": "Hi"}])";
  if (endpoint == Endpoint::kCompletion) {
    body = R"({"prompt": ["One", "Two"])";
  }
  if (endpoint == Endpoint::kResponse) body = R"({"input": "Hi")";
  return ParseRequest(endpoint, body + more + "}");
}

// Token 5 is the bytes of half a character, others are their numbers.
std::unique_ptr<Reply> Make(const Request& request) {
  return MakeReply(request, {.id = "77", .created = 9, .model = "m"},
                   [](Token token) {
                     return token == 5 ? std::string("\xc3")
                                       : std::to_string(token);
                   },
                   {"One", "Two"});
}

End SomeEnd(StopReason reason = StopReason::kEndOfText) {
  End end;
  end.reason = reason;
  end.prompt_tokens = 10;
  end.reused_tokens = 4;
  end.generated_tokens = 3;
  end.position = "auto";
  end.scheme = "rope";
  end.context = 2048;
  end.trained_length = 1024;
  end.bands = {{"near", 7}};
  return end;
}

Event PieceEvent(const std::string& text, int64_t choice = 0) {
  return {choice, Piece{.id = 3,
                        .text = text,
                        .log_probability = -0.5,
                        .most_likely = {{3, -0.5}, {5, -1.5}}}};
}

// The objects behind "data: " of all frames; the names of events are kept in
// a member "event", and [DONE] is the string.
std::vector<Json> Frames(std::string stream) {
  std::vector<Json> frames;
  while (!stream.empty()) {
    const size_t end = stream.find("\n\n");
    if (end == std::string::npos) {
      ADD_FAILURE() << "no whole frame: " << stream;
      break;
    }
    std::string frame = stream.substr(0, end);
    stream.erase(0, end + 2);
    std::string event;
    if (frame.starts_with("event: ")) {
      event = frame.substr(7, frame.find('\n') - 7);
      frame.erase(0, frame.find('\n') + 1);
    }
    EXPECT_TRUE(frame.starts_with("data: ")) << frame;
    EXPECT_EQ(frame.find('\n'), std::string::npos) << frame;
    if (frame == "data: [DONE]") {
      frames.emplace_back("[DONE]");
      continue;
    }
    frames.push_back(formats::ParseJson(frame.substr(6), "frame"));
    if (!event.empty()) {
      EXPECT_EQ(frames.back()["type"], event);
    }
  }
  return frames;
}

std::string Play(Reply& reply, const std::vector<Event>& events) {
  std::string stream;
  for (const Event& event : events) stream += reply.Take(event);
  return stream + reply.EndStream();
}

Json WholeOf(const Request& request, const std::vector<Event>& events) {
  const auto reply = Make(request);
  for (const Event& event : events) EXPECT_EQ(reply->Take(event), "");
  return formats::ParseJson(Dump(reply->Whole()), "reply");
}

TEST(ChatReplyTest, WholeReplyHasTheShapeOfOpenAi) {
  const Json reply =
      WholeOf(Parse(Endpoint::kChat, R"(, "user": "u")"),
              {PieceEvent("Hel"), PieceEvent("lo"), {0, SomeEnd()}});
  EXPECT_EQ(reply.dump(),
            R"({"id":"chatcmpl-77","object":"chat.completion","created":9,)"
            R"("model":"m","system_fingerprint":"ropewalk-0.1.0","choices":[)"
            R"({"index":0,"message":{"role":"assistant","content":"Hello",)"
            R"("refusal":null},"logprobs":null,"finish_reason":"stop"}],)"
            R"("usage":{"prompt_tokens":10,"completion_tokens":3,)"
            R"("total_tokens":13,"prompt_tokens_details":{"cached_tokens":4}},)"
            R"("ropewalk":{"position":"auto","scheme":"rope","context":2048,)"
            R"("trained_length":1024,"prompt_tokens":10,"reused_tokens":4,)"
            R"("shifted_tokens":0,"memories":[],)"
            R"("bands":[{"label":"near","tokens":7}],"prompt_ms":0.0,)"
            R"("generated_tokens":3,"generate_ms":0.0,"end":"end_of_text",)"
            R"("ignored":["user"]}})");
}

TEST(ChatReplyTest, StreamBeginsWithTheRoleAndEndsWithTheReason) {
  const auto reply = Make(Parse(Endpoint::kChat, R"(, "stream": true)"));
  End end = SomeEnd(StopReason::kTokenLimit);
  end.rest = "!";
  end.extended_from = 512;
  const auto frames = Frames(
      Play(*reply, {PieceEvent(""), PieceEvent("Hi"), {0, std::move(end)}}));
  ASSERT_EQ(frames.size(), 5u);
  EXPECT_EQ(frames[0].dump(),
            R"({"id":"chatcmpl-77","object":"chat.completion.chunk",)"
            R"("created":9,"model":"m","system_fingerprint":"ropewalk-0.1.0",)"
            R"("choices":[{"index":0,"delta":{"role":"assistant",)"
            R"("content":""},"logprobs":null,"finish_reason":null}]})");
  EXPECT_EQ(frames[1]["choices"][0]["delta"].dump(), R"({"content":"Hi"})");
  EXPECT_EQ(frames[2]["choices"][0]["delta"].dump(), R"({"content":"!"})");
  EXPECT_EQ(frames[3]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(frames[3]["ropewalk"]["extended_from"], 512);
  EXPECT_EQ(frames[3]["ropewalk"]["end"], "token_limit");
  EXPECT_EQ(frames[4], "[DONE]");
}

TEST(ChatReplyTest, UsageComesLastAndCountsAPromptOnce) {
  const auto reply = Make(Parse(Endpoint::kChat,
                                R"(, "n": 2, "stream": true,
                 "stream_options": {"include_usage": true})"));
  const auto frames = Frames(
      Play(*reply, {PieceEvent("b", 1), {1, SomeEnd()}, {0, SomeEnd()}}));
  ASSERT_EQ(frames.size(), 7u);
  EXPECT_EQ(frames[1]["choices"][0]["index"], 1);
  EXPECT_TRUE(frames[1]["usage"].is_null());
  EXPECT_TRUE(frames[1].contains("usage"));
  EXPECT_EQ(frames[5]["choices"].dump(), "[]");
  EXPECT_EQ(frames[5]["usage"].dump(),
            R"({"prompt_tokens":10,"completion_tokens":6,"total_tokens":16,)"
            R"("prompt_tokens_details":{"cached_tokens":4}})");
}

TEST(ChatReplyTest, LogProbabilitiesOfTokens) {
  const std::string wanted = R"(, "logprobs": true, "top_logprobs": 2)";
  Event last = PieceEvent("");
  std::get<Piece>(last.what).log_probability =
      -std::numeric_limits<double>::infinity();
  const Json reply = WholeOf(Parse(Endpoint::kChat, wanted),
                             {PieceEvent("3"), last, {0, SomeEnd()}});
  const Json& tokens = reply["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[0].dump(),
            R"({"token":"3","logprob":-0.5,"bytes":[51],"top_logprobs":[)"
            R"({"token":"3","logprob":-0.5,"bytes":[51]},)"
            "{\"token\":\"\xef\xbf\xbd\",\"logprob\":-1.5,\"bytes\":[195]}]}");
  EXPECT_EQ(tokens[1]["logprob"], -9999.0);

  const auto stream =
      Make(Parse(Endpoint::kChat, wanted + R"(, "stream": true)"));
  size_t count = 0;
  for (const Json& frame : Frames(Play(*stream, {PieceEvent(""),
                                                 PieceEvent("33"),
                                                 PieceEvent(""),
                                                 {0, SomeEnd()}}))) {
    if (!frame.is_object()) continue;
    const Json& sent = frame["choices"][0]["logprobs"];
    if (!sent.is_null()) count += sent["content"].size();
  }
  EXPECT_EQ(count, 3u);
}

constexpr const char* kTools = R"(, "tools": [{"type": "function",
    "function": {"name": "f"}}])";

TEST(ChatReplyTest, CallsAreOneDeltaEach) {
  const auto reply =
      Make(Parse(Endpoint::kChat, kTools + std::string(R"(, "stream": true)")));
  const auto frames = Frames(
      Play(*reply, {PieceEvent("So <tool"),
                    PieceEvent("_call>{\"name\": \"f\", \"argum"),
                    PieceEvent("ents\": {\"a\": 1}}</tool_call>"),
                    PieceEvent("<tool_call>{\"name\":\"f\",\"arguments\":{}}"),
                    {0, SomeEnd()}}));
  ASSERT_EQ(frames.size(), 6u);
  EXPECT_EQ(frames[1]["choices"][0]["delta"]["content"], "So ");
  const Json& call = frames[2]["choices"][0]["delta"]["tool_calls"][0];
  EXPECT_EQ(call["index"], 0);
  EXPECT_EQ(call["type"], "function");
  EXPECT_EQ(call["id"].get<std::string>().size(), 9u);
  EXPECT_EQ(call["function"].dump(), R"({"name":"f","arguments":"{\"a\":1}"})");
  const Json& second = frames[3]["choices"][0]["delta"]["tool_calls"][0];
  EXPECT_EQ(second["index"], 1);
  EXPECT_NE(second["id"], call["id"]);
  EXPECT_EQ(frames[4]["choices"][0]["finish_reason"], "tool_calls");
}

TEST(ChatReplyTest, WholeReplyWithCalls) {
  const std::vector<Event> events = {
      PieceEvent(R"([{"name":"f","arguments":{}},{"name":"f",)"),
      PieceEvent(R"("arguments":{}}])"),
      {0, SomeEnd()}};
  const Json reply = WholeOf(Parse(Endpoint::kChat, kTools), events);
  const Json& message = reply["choices"][0]["message"];
  EXPECT_TRUE(message["content"].is_null());
  EXPECT_EQ(message["tool_calls"].size(), 2u);
  EXPECT_EQ(message["tool_calls"][0]["function"]["name"], "f");
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "tool_calls");
  const Json one =
      WholeOf(Parse(Endpoint::kChat,
                    kTools + std::string(R"(, "parallel_tool_calls": false)")),
              events);
  EXPECT_EQ(one["choices"][0]["message"]["tool_calls"].size(), 1u);
  // Without tools it is text.
  EXPECT_FALSE(
      WholeOf(Parse(Endpoint::kChat), events)["choices"][0]["message"].contains(
          "tool_calls"));
}

TEST(ChatReplyTest, WhatIsHeldBackAtTheEndIsText) {
  const Json reply =
      WholeOf(Parse(Endpoint::kChat, kTools),
              {PieceEvent("{\"name\""), {0, SomeEnd(StopReason::kTokenLimit)}});
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "{\"name\"");
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "length");
}

TEST(ChatReplyTest, ProgressOnlyWhereAskedFor) {
  const Event progress = {0, Progress{.prompt = 100, .read = 60, .reused = 40}};
  EXPECT_EQ(Make(Parse(Endpoint::kChat, R"(, "stream": true)"))->Take(progress),
            "");
  const auto frames =
      Frames(Make(Parse(Endpoint::kChat,
                        R"(, "stream": true, "return_progress": true)"))
                 ->Take(progress));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0]["choices"].dump(), "[]");
  EXPECT_EQ(frames[0]["ropewalk"].dump(),
            R"({"progress":{"choice":0,"prompt":100,"read":60,"reused":40}})");
}

TEST(ChatReplyTest, ProgressTellsTheBands) {
  const Event progress = {
      0, Progress{.prompt = 9, .read = 9, .bands = {{"near", 6}, {"far", 3}}}};
  const auto frames =
      Frames(Make(Parse(Endpoint::kChat,
                        R"(, "stream": true, "return_progress": true)"))
                 ->Take(progress));
  EXPECT_EQ(frames.at(0)["ropewalk"]["progress"]["bands"].dump(),
            R"([{"label":"near","tokens":6},{"label":"far","tokens":3}])");
}

TEST(ReplyTest, AFailureEndsAStream) {
  const Failure failure = {507, "no memory", "context", ""};
  for (const Endpoint endpoint :
       {Endpoint::kChat, Endpoint::kCompletion, Endpoint::kResponse}) {
    const auto reply = Make(Parse(endpoint, R"(, "stream": true)"));
    reply->Take(PieceEvent("a"));
    const auto frames = Frames(reply->Take({0, failure}));
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0]["error"].dump(),
              R"({"message":"no memory","type":"server_error",)"
              R"("param":"context","code":null})");
    EXPECT_EQ(reply->Take(PieceEvent("b")), "");
    EXPECT_EQ(reply->EndStream(), "");
  }
}

TEST(CompletionReplyTest, WholeReplyEchoesEachPrompt) {
  std::vector<Event> events;
  for (int64_t i = 0; i < 4; ++i) {
    events.insert(events.end(), {PieceEvent(" " + std::to_string(i), i),
                                 {i, SomeEnd(StopReason::kStopText)}});
  }
  const Json reply = WholeOf(
      Parse(Endpoint::kCompletion, R"(, "n": 2, "echo": true)"), events);
  EXPECT_EQ(reply["id"], "cmpl-77");
  EXPECT_EQ(reply["object"], "text_completion");
  ASSERT_EQ(reply["choices"].size(), 4u);
  EXPECT_EQ(reply["choices"][1]["text"], "One 1");
  EXPECT_EQ(reply["choices"][2]["text"], "Two 2");
  EXPECT_EQ(reply["choices"][3]["index"], 3);
  EXPECT_EQ(reply["choices"][3]["finish_reason"], "stop");
  EXPECT_EQ(reply["choices"][3]["ropewalk"]["end"], "stop_text");
  EXPECT_EQ(reply["usage"]["prompt_tokens"], 20);
  EXPECT_EQ(reply["usage"]["completion_tokens"], 12);
}

TEST(CompletionReplyTest, StreamsTextAndListsOfLogProbabilities) {
  const auto reply =
      Make(Parse(Endpoint::kCompletion, R"(, "logprobs": 2, "stream": true)"));
  const auto frames = Frames(Play(
      *reply,
      {PieceEvent("3"), PieceEvent(""), PieceEvent("33"), {0, SomeEnd()}}));
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[1]["choices"][0]["text"], "33");
  EXPECT_EQ(frames[1]["choices"][0]["logprobs"].dump(),
            R"({"tokens":["3","3"],"token_logprobs":[-0.5,-0.5],)"
            "\"top_logprobs\":[{\"3\":-0.5,\"\xef\xbf\xbd\":-1.5},"
            "{\"3\":-0.5,\"\xef\xbf\xbd\":-1.5}],"
            R"("text_offset":[1,2]})");
  EXPECT_EQ(frames[2]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(frames[3], "[DONE]");
}

TEST(ResponseReplyTest, EventsOfAMessage) {
  const auto reply = Make(Parse(
      Endpoint::kResponse,
      R"(, "stream": true, "instructions": "Be brief.", "temperature": 1)"));
  const auto frames =
      Frames(Play(*reply, {PieceEvent("He"), PieceEvent("y"), {0, SomeEnd()}}));
  const std::vector<std::string> types = {
      "response.created",           "response.in_progress",
      "response.output_item.added", "response.content_part.added",
      "response.output_text.delta", "response.output_text.delta",
      "response.output_text.done",  "response.content_part.done",
      "response.output_item.done",  "response.completed"};
  ASSERT_EQ(frames.size(), types.size());
  for (size_t i = 0; i < types.size(); ++i) {
    EXPECT_EQ(frames[i]["type"], types[i]);
    EXPECT_EQ(frames[i]["sequence_number"], i);
  }
  EXPECT_EQ(frames[0]["response"]["status"], "in_progress");
  EXPECT_EQ(frames[5]["delta"], "y");
  EXPECT_EQ(frames[5]["item_id"], frames[2]["item"]["id"]);
  EXPECT_EQ(frames[6]["text"], "Hey");
  EXPECT_EQ(frames[8]["item"]["content"][0]["text"], "Hey");
  const Json& response = frames[9]["response"];
  EXPECT_EQ(response["id"], "resp_77");
  EXPECT_EQ(response["status"], "completed");
  EXPECT_EQ(response["instructions"], "Be brief.");
  EXPECT_EQ(response["temperature"], 1);
  EXPECT_EQ(response["output"][0]["id"], "msg_77_0");
  EXPECT_EQ(response["usage"].dump(),
            R"({"input_tokens":10,"input_tokens_details":)"
            R"({"cached_tokens":4,"cache_write_tokens":0},"output_tokens":3,)"
            R"("output_tokens_details":{"reasoning_tokens":0},)"
            R"("total_tokens":13})");
  EXPECT_EQ(response["ropewalk"]["scheme"], "rope");
}

TEST(ResponseReplyTest, WholeEqualsTheLastEventOfAStream) {
  const std::string tools = R"(, "tools": [{"type": "function", "name": "f"}])";
  const std::vector<Event> events = {
      PieceEvent("Wait. <tool_call>{\"name\": \"f\", "),
      PieceEvent("\"arguments\": {}}</tool_call> Done"),
      {0, SomeEnd(StopReason::kContextFull)}};
  const Json whole = WholeOf(Parse(Endpoint::kResponse, tools), events);
  const auto stream =
      Make(Parse(Endpoint::kResponse, tools + R"(, "stream": true)"));
  const auto frames = Frames(Play(*stream, events));
  EXPECT_EQ(frames.back()["type"], "response.incomplete");
  EXPECT_EQ(frames.back()["response"], whole);
  EXPECT_EQ(whole["incomplete_details"]["reason"], "max_output_tokens");
  ASSERT_EQ(whole["output"].size(), 3u);
  EXPECT_EQ(whole["output"][0]["content"][0]["text"], "Wait. ");
  EXPECT_EQ(whole["output"][1]["type"], "function_call");
  EXPECT_EQ(whole["output"][1]["arguments"], "{}");
  EXPECT_EQ(whole["output"][2]["content"][0]["text"], "Done");
  EXPECT_EQ(whole["output"][2]["status"], "incomplete");
}

TEST(ResponseReplyTest, AnEmptyAnswerIsAMessage) {
  const Json whole = WholeOf(Parse(Endpoint::kResponse), {{0, SomeEnd()}});
  ASSERT_EQ(whole["output"].size(), 1u);
  EXPECT_EQ(whole["output"][0]["content"][0]["text"], "");
}

TEST(ErrorJsonTest, NamesTypeAndParam) {
  EXPECT_EQ(ErrorJson(ApiError(400, "m", "n", "c")).dump(),
            R"({"error":{"message":"m","type":"invalid_request_error",)"
            R"("param":"n","code":"c"}})");
  EXPECT_EQ(ErrorJson(ApiError(429, "m")).dump(),
            R"({"error":{"message":"m","type":"rate_limit_error",)"
            R"("param":null,"code":null}})");
}

TEST(DumpTest, ReplacesWhatIsNoUtf8AndStaysOnOneLine) {
  EXPECT_EQ(Dump(Json({{"a", "\xff\n"}})), "{\"a\":\"\xef\xbf\xbd\\n\"}");
}

}  // namespace
}  // namespace ropewalk::serve
