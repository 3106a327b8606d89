// Requests to the server and the replies to them. An input is a letter for the
// endpoint (c chat, t completion, r response, k tokenize), the body of a
// request and, behind a line "--answer--", what a model might answer. Where the
// answer is cut into tokens must not matter, nor whether it is streamed.

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "fuzz/input.h"
#include "serve/api_error.h"
#include "serve/reply.h"
#include "serve/request.h"
#include "serve/tool_calls.h"

namespace ropewalk {
namespace {

using formats::Json;
using serve::Endpoint;
using serve::Event;
using serve::Request;

constexpr std::string_view kAnswerLine = "\n--answer--\n";

std::string Joined(const std::vector<serve::AnswerPart>& parts) {
  std::string joined;
  for (const serve::AnswerPart& part : parts) {
    if (const auto* call = std::get_if<serve::ToolCall>(&part)) {
      joined += "\x01" + call->name + call->arguments + "\x02";
    } else {
      joined += std::get<std::string>(part);
    }
  }
  return joined;
}

std::string FindCalls(std::string_view answer, Rng* cuts) {
  serve::ToolCallFinder finder({"f", "get_weather"});
  std::string joined;
  while (!answer.empty()) {
    const size_t size =
        cuts == nullptr ? answer.size() : static_cast<size_t>(cuts->Below(9));
    joined += Joined(finder.Add(answer.substr(0, size)));
    answer.remove_prefix(std::min(size, answer.size()));
  }
  return joined + Joined(finder.Finish());
}

// The answer as events of one choice; pieces are whole characters.
void AddEvents(std::string_view answer, int64_t choice, Rng& cuts,
               std::vector<Event>& events) {
  while (!answer.empty()) {
    size_t size = 0;
    for (int64_t left = cuts.Below(5); left > 0 && size < answer.size();
         --left) {
      size += std::max<size_t>(1, Utf8SequenceLength(answer, size));
    }
    events.push_back(
        {choice, serve::Piece{.text = std::string(answer.substr(0, size))}});
    answer.remove_prefix(size);
  }
  events.push_back({choice, serve::End{}});
}

std::unique_ptr<serve::Reply> Play(const Request& request,
                                   std::string_view answer, Rng cuts,
                                   std::string& stream) {
  auto reply = serve::MakeReply(
      request, {.id = "1", .created = 2, .model = "m"},
      [](Token token) { return std::string(1, static_cast<char>(token)); },
      std::vector<std::string>(request.prompts.size(), "prompt "));
  const int64_t choices =
      request.n *
      std::max<int64_t>(1, static_cast<int64_t>(request.prompts.size()));
  std::vector<Event> events = {{0, serve::Progress{10, 5, 2}}};
  for (int64_t i = choices - 1; i >= 0; --i) {
    AddEvents(answer, i, cuts, events);
  }
  for (const Event& event : events) stream += reply->Take(event);
  if (request.stream) stream += reply->EndStream();
  return reply;
}

// The objects of a stream's frames.
std::vector<Json> Frames(std::string_view stream) {
  std::vector<Json> frames;
  while (!stream.empty()) {
    std::string_view line = fuzz::TakeLine(stream);
    if (line.starts_with("event: ")) line = fuzz::TakeLine(stream);
    fuzz::Claim(line.starts_with("data: "), "a frame begins with data");
    fuzz::Claim(fuzz::TakeLine(stream).empty(), "an empty line ends a frame");
    line.remove_prefix(6);
    if (line != "[DONE]") frames.push_back(formats::ParseJson(line, "frame"));
  }
  return frames;
}

// Texts and calls of all choices.
struct Outcome {
  std::array<std::string, 16> texts;
  std::array<std::string, 16> calls;
  bool operator==(const Outcome&) const = default;
};

void AddChoice(const Json& choice, const char* member, Outcome& outcome) {
  const auto index = choice["index"].get<size_t>();
  const Json& holder = choice.contains(member) ? choice[member] : choice;
  for (const char* name : {"content", "text"}) {
    if (holder.contains(name) && holder[name].is_string()) {
      outcome.texts[index] += holder[name].get<std::string>();
    }
  }
  if (!holder.contains("tool_calls")) return;
  for (const Json& call : holder["tool_calls"]) {
    outcome.calls[index] += call["function"].dump();
  }
}

void CheckReplies(Request request, std::string_view answer, uint64_t seed) {
  request.stream = true;
  std::string stream;
  Play(request, answer, Rng(seed), stream);
  const std::vector<Json> frames = Frames(stream);
  request.stream = false;
  std::string nothing;
  const auto reply = Play(request, answer, Rng(seed + 1), nothing);
  fuzz::Claim(nothing.empty(), "a whole reply sends nothing before its end");
  const Json whole =
      formats::ParseJson(serve::Dump(reply->Whole()), "whole reply");
  // What is replaced of bytes that are not UTF-8 depends on the cuts.
  if (FindInvalidUtf8(answer)) return;
  if (request.endpoint == Endpoint::kResponse) {
    fuzz::Claim(frames.back()["response"] == whole,
                "the last event holds the whole response");
    return;
  }
  Outcome streamed;
  for (const Json& frame : frames) {
    for (const Json& choice : frame["choices"]) {
      AddChoice(choice, "delta", streamed);
    }
  }
  Outcome at_once;
  for (const Json& choice : whole["choices"]) {
    AddChoice(choice, "message", at_once);
  }
  fuzz::Claim(streamed == at_once, "a stream brings what a whole reply has");
}

void Run(char letter, std::string_view body, std::string_view answer) {
  if (letter == 'k') {
    serve::ParseTokenizeRequest(body);
    return;
  }
  const Endpoint endpoint = letter == 'r'   ? Endpoint::kResponse
                            : letter == 't' ? Endpoint::kCompletion
                                            : Endpoint::kChat;
  const Request request = serve::ParseRequest(endpoint, body);
  fuzz::Claim(
      request.generate.grammar.empty() || request.generate.json_schema.empty(),
      "an answer has one grammar");
  CheckReplies(request, answer, body.size() + answer.size());
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  std::string_view input = fuzz::View(data, size);
  if (input.empty()) return 0;
  const char letter = input.front();
  input.remove_prefix(1);
  const size_t at = input.find(kAnswerLine);
  std::string_view answer;
  if (at != std::string_view::npos) {
    answer = input.substr(at + kAnswerLine.size());
  }
  Rng cuts(size);
  fuzz::Claim(FindCalls(answer, nullptr) == FindCalls(answer, &cuts),
              "calls do not depend on cuts");
  try {
    Run(letter, input.substr(0, at), answer);
  } catch (const serve::ApiError& error) {
    const std::string_view message = error.what();
    fuzz::Claim(error.status() == 400, "a wrong request is a 400");
    fuzz::Claim(!message.empty() && message.size() < 1000 &&
                    message.find('\n') == std::string_view::npos,
                "an error is one line of some length");
  }
  return 0;
}
