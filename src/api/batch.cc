#include "engine/batch.h"

#include <ropewalk/batch.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/parts.h"
#include "api/session_parts.h"
#include "base/error.h"

namespace ropewalk {

struct Batch::Parts {
  struct Text {
    Session::Parts* session = nullptr;
    std::optional<Token> last;  // that was drawn
    std::string written;
  };

  Parts(const Model& of, const engine::BatchOptions& options)
      : model(of), batch(*model.parts_->engine, options) {}

  Model model;
  engine::Batch batch;
  std::map<int64_t, std::shared_ptr<Text>> texts;
};

Batch::Batch(const Model& model, const BatchOptions& options)
    : parts_(std::make_unique<Parts>(
          model, engine::BatchOptions{
                     .cut = {.chunk = options.prompt_chunk,
                             .aligned = options.aligned_chunks},
                     .prompt_tokens_beside = options.prompt_tokens_beside})) {}
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;
Batch::~Batch() = default;

int64_t Batch::Add(BatchText text) {
  Require(text.session != nullptr, "a text has no session");
  Session::Parts& session = *text.session->parts_;
  auto state = std::make_shared<Parts::Text>();
  state->session = &session;
  Require(session.drawn || session.logits != nullptr || !text.prompt.empty(),
          "a session has nothing to go on from before it has read a token");
  engine::GenerateJob job = session.JobOf(text.prompt, text.options);
  session.RequireReadable(text.prompt);
  const auto all = static_cast<int64_t>(text.prompt.size());
  const auto before = static_cast<int64_t>(job.prompt.size()) - all;
  job.callbacks.on_prompt =
      [read = -before, all,
       on_read = std::move(text.on_read)](int64_t count) mutable {
        read += count;
        return !on_read || on_read(read, all);
      };
  job.callbacks.on_token = [state, on_token = std::move(text.on_token)](
                               const engine::GeneratedToken& token) {
    state->last = token.token;
    state->written += token.text;
    return !on_token || Tell(token, on_token);
  };
  job.callbacks.on_end = [state](const std::string& rest) {
    state->written += rest;
  };
  const int64_t number = parts_->batch.Add(std::move(job));
  session.Forget();
  parts_->texts[number] = std::move(state);
  return number;
}

void Batch::Stop(int64_t number) { parts_->batch.Stop(number); }

std::vector<BatchEnd> Batch::Step() {
  std::vector<BatchEnd> ends;
  for (const engine::Batch::Ended& ended : parts_->batch.Step()) {
    const auto text = parts_->texts.extract(ended.number);
    Parts::Text& state = *text.mapped();
    BatchEnd& end = ends.emplace_back();
    end.number = ended.number;
    end.error = ended.error;
    end.prompt_tokens = ended.result.prompt_tokens;
    end.prompt_seconds = ended.result.prompt_seconds;
    state.session->Ended(ended.result, state.last, end.result);
    end.result.text = std::move(state.written);
    end.result.seconds = ended.result.generate_seconds;
  }
  return ends;
}

int64_t Batch::size() const { return parts_->batch.size(); }

}  // namespace ropewalk
