// The endpoints that generate: from a body to a job, and from its events to a
// response.

#include <ropewalk/error.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "serve/api_error.h"
#include "serve/service.h"

namespace ropewalk::serve {
namespace {

// How often a thread that waits for an answer looks whether its client has
// gone.
constexpr std::chrono::milliseconds kLookForClient{50};

std::string NewId() {
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  thread_local std::mt19937_64 random{std::random_device()()};
  std::string id;
  for (int i = 0; i < 24; ++i) id += kDigits[random() % (sizeof kDigits - 1)];
  return id;
}

bool IsEnd(const Event& event) {
  return std::holds_alternative<End>(event.what) ||
         std::holds_alternative<Failure>(event.what);
}

ApiError ErrorOf(const Failure& failure) {
  return {failure.status, failure.message, failure.param, failure.code};
}

}  // namespace

std::shared_ptr<Job> Service::JobOf(Request request,
                                    std::vector<std::string>& texts) const {
  const Tokenizer& tokenizer = model_.tokenizer();
  std::vector<std::vector<Token>> prompts;
  if (request.endpoint == Endpoint::kCompletion) {
    for (const auto& prompt : request.prompts) {
      if (const auto* ids = std::get_if<std::vector<Token>>(&prompt)) {
        prompts.push_back(*ids);
      } else {
        prompts.push_back(tokenizer.Encode(std::get<std::string>(prompt)));
      }
      for (const Token token : prompts.back()) {
        if (token < 0 || token >= model_.vocabulary_size()) {
          throw ApiError(400,
                         "token ids must be from 0 to " +
                             std::to_string(model_.vocabulary_size() - 1) +
                             ", got " + std::to_string(token),
                         "prompt");
        }
      }
      if (prompts.back().empty()) {
        throw ApiError(400, "the prompt has no tokens", "prompt");
      }
      if (request.echo) {
        const auto* text = std::get_if<std::string>(&prompt);
        texts.push_back(text != nullptr ? *text
                                        : tokenizer.Decode(prompts.back()));
      }
    }
  } else {
    if (!chats_) {
      throw ApiError(400,
                     "this model has no chat template; ask /v1/completions",
                     "messages", "no_chat_template");
    }
    try {
      prompts.push_back(model_.EncodeChat(ChatConversation{
          .messages = request.messages.dump(),
          .tools = request.tools.is_null() ? "" : request.tools.dump(),
          .variables =
              request.variables.empty() ? "" : request.variables.dump()}));
    } catch (const FormatError& error) {
      throw ApiError(400, error.what(), "messages");
    } catch (const std::invalid_argument& error) {
      throw ApiError(400, error.what(), "messages");
    }
  }
  std::vector<OpenDocument> documents = documents_.Open(request.memories);
  auto job = std::make_shared<Job>(std::move(request), std::move(prompts));
  for (OpenDocument& document : documents) {
    job->memory_names.push_back(document.memory.name());
    job->memory_ids.push_back(std::move(document.id));
    job->memories.push_back(std::move(document.memory));
  }
  return job;
}

// Waits for the next event. Nothing: the client has gone, and the job is
// cancelled.
std::optional<Event> Service::NextEvent(Job& job) const {
  Connection* connection = Connection::Current();
  for (;;) {
    if (auto event = job.Next(kLookForClient)) return event;
    if (connection != nullptr && connection->HasLeft()) {
      job.Cancel();
      return std::nullopt;
    }
  }
}

void Service::Generate(Endpoint endpoint, const httplib::Request& request,
                       httplib::Response& response) {
  std::vector<std::string> texts;
  const std::shared_ptr<Job> job =
      JobOf(ParseRequest(endpoint, request.body), texts);
  const Tokenizer& tokenizer = model_.tokenizer();
  std::shared_ptr<Reply> reply = MakeReply(
      job->request,
      {.id = NewId(), .created = std::time(nullptr), .model = name_},
      [&tokenizer](Token token) {
        // A control token is told as the file spells it.
        if (tokenizer.IsControl(token))
          return std::string(tokenizer.Piece(token));
        return tokenizer.Decode(std::span(&token, 1));
      },
      std::move(texts));
  worker_.Submit(job);
  std::optional<Event> first = NextEvent(*job);
  if (!first) return;
  if (const auto* failure = std::get_if<Failure>(&first->what)) {
    job->Cancel();
    throw ErrorOf(*failure);
  }
  if (job->request.stream) {
    SendStream(job, std::move(reply), std::move(*first), response);
  } else {
    SendWhole(*job, *reply, std::move(*first), response);
  }
}

// Counts a stream for as long as what it returns is held.
std::shared_ptr<void> Service::OpenStream() {
  ++streams_;
  return {nullptr, [this](void*) { --streams_; }};
}

void Service::SendWhole(Job& job, Reply& reply, Event event,
                        httplib::Response& response) {
  int64_t left = job.answers();
  for (;;) {
    if (const auto* failure = std::get_if<Failure>(&event.what)) {
      job.Cancel();
      throw ErrorOf(*failure);
    }
    const bool ended = IsEnd(event);
    reply.Take(event);
    if (ended && --left == 0) break;
    std::optional<Event> next = NextEvent(job);
    if (!next) return;
    event = std::move(*next);
  }
  response.set_content(Dump(reply.Whole()), "application/json");
}

void Service::SendStream(std::shared_ptr<Job> job, std::shared_ptr<Reply> reply,
                         Event first, httplib::Response& response) {
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Accel-Buffering", "no");
  struct State {
    std::optional<Event> first;
    int64_t left = 0;
  };
  auto state = std::make_shared<State>(State{std::move(first), job->answers()});
  response.set_chunked_content_provider(
      "text/event-stream",
      [this, job, reply, state, open = OpenStream()](size_t,
                                                     httplib::DataSink& sink) {
        std::optional<Event> event = std::move(state->first);
        state->first.reset();
        if (!event) event = NextEvent(*job);
        if (!event) return false;
        const bool failed = std::holds_alternative<Failure>(event->what);
        const bool ended = IsEnd(*event);
        std::string text = reply->Take(*event);
        if (failed) job->Cancel();
        const bool last = failed || (ended && --state->left == 0);
        if (last && !failed) text += reply->EndStream();
        if (!text.empty() && !sink.write(text.data(), text.size())) {
          job->Cancel();
          return false;
        }
        if (last) sink.done();
        return true;
      },
      [job](bool) { job->Cancel(); });
}

}  // namespace ropewalk::serve
