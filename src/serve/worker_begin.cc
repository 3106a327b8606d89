// How an answer begins: when, in which session, and with what of it read
// before.

#include <ropewalk/error.h>

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>

#include "serve/answer.h"
#include "serve/api_error.h"
#include "serve/worker.h"

namespace ropewalk::serve {

void Worker::Admit() {
  for (auto at = waiting_answers_.begin(); at != waiting_answers_.end();) {
    if (static_cast<int64_t>(active_.size()) >= options_.parallel) return;
    Answer& answer = **at;
    Begun begun = Begun::kFailed;
    try {
      begun = Begin(answer);
    } catch (const ApiError& error) {
      Fail(answer, error);
    } catch (const MemoryLimitError& error) {
      Fail(answer, ApiError(503, error.what()));
    } catch (const std::invalid_argument& error) {
      Fail(answer, ApiError(400, error.what()));
    } catch (const FormatError& error) {
      Fail(answer, ApiError(400, error.what()));
    } catch (const std::exception& error) {
      Fail(answer, ApiError(500, error.what()));
    }
    if (begun == Begun::kNoRoom) return;  // nobody overtakes
    if (begun == Begun::kWaits) {
      ++at;
      continue;
    }
    if (begun == Begun::kYes) active_.push_back(std::move(*at));
    at = Unqueue(at);
  }
}

Worker::Begun Worker::Begin(Answer& answer) {
  const int64_t stored = store_.Look(answer.place.kind, answer.prompt);
  if (WaitsForAnother(answer, stored)) return Begun::kWaits;
  const int64_t most = MostBytes(answer);
  const int64_t limit = model_.kv_memory_limit();
  if (limit > 0 && reserved_ + most > limit) {
    if (!active_.empty()) return Begun::kNoRoom;
    throw ApiError(400,
                   "a text of " + std::to_string(answer.size()) +
                       " tokens needs " + std::to_string(most >> 20) +
                       " MiB for keys and values, this server has " +
                       std::to_string(limit >> 20) + " MiB; shorten the prompt",
                   "messages", "context_length_exceeded");
  }
  while (limit > 0 && model_.kv_bytes() + most > limit) {
    if (!store_.DropOldest()) break;
  }
  FindSession(answer, stored);
  answer.begun = Clock::now();
  answer.read = answer.reused;
  AddToBatch(answer);
  // By its session, which knows what a window drops.
  answer.most_bytes = MostBytes(answer);
  reserved_ += answer.most_bytes;
  return Begun::kYes;
}

// Another answer reads a beginning that this one can take over soon.
bool Worker::WaitsForAnother(const Answer& answer, int64_t stored) const {
  const int64_t chunk = options_.prompt_chunk;
  for (const auto& other : active_) {
    if (!other->reads() || other->place.kind != answer.place.kind) continue;
    const int64_t shared =
        std::min(CommonLength(answer.prompt, other->prompt) / chunk * chunk,
                 answer.WholeChunks(chunk));
    if (shared >= stored + 2 * chunk && other->session->size() < shared) {
      return true;
    }
  }
  return false;
}

void Worker::FindSession(Answer& answer, int64_t stored) {
  const int64_t chunk = options_.prompt_chunk;
  auto found = FromActive(answer, stored);
  if (!found) found = store_.Take(answer.place.kind, answer.prompt);
  const int64_t had = found ? found->reused : 0;
  if (saved_ != nullptr && answer.job->memories.empty()) {
    // At least a chunk more than what is in memory.
    if (auto text =
            saved_->Load(answer.place.kind, answer.prompt, had + chunk)) {
      store_.Add(std::move(*text));
      if (auto loaded = store_.Take(answer.place.kind, answer.prompt);
          loaded && loaded->reused > had) {
        found = std::move(loaded);
      }
    }
  }
  if (!found) found = FromShorterContext(answer);
  if (found) {
    if (found->session.context_length() < answer.place.context) {
      found->session.ChangeScheme(answer.place.scheme, answer.place.context);
    }
    answer.session.emplace(std::move(found->session));
    answer.reused = found->reused;
    answer.aligned = found->aligned;
    return;
  }
  KvType type = options_.kv_type;
  if (!answer.job->memories.empty()) {
    type = answer.job->memories.front().kv_type();
  }
  answer.session.emplace(model_,
                         SessionOptions{.context_length = answer.place.context,
                                        .scheme = answer.place.scheme,
                                        .kv_type = type});
  if (!answer.job->memories.empty()) {
    answer.session->Attach(answer.job->memories,
                           answer.job->request.memory_law);
  }
}

// A beginning that an answer in progress has read, if it is more than is
// stored.
std::optional<SessionStore::Found> Worker::FromActive(const Answer& answer,
                                                      int64_t stored) {
  const Answer* best = nullptr;
  int64_t most = stored;
  const int64_t left = answer.size() - 1;
  for (const auto& other : active_) {
    if (other->place.kind != answer.place.kind) continue;
    const int64_t common =
        std::min({CommonLength(answer.prompt, other->session->tokens()), left});
    // While it is written, only what is surely aligned.
    const int64_t usable = store_.Usable(common, common);
    if (usable > most) {
      most = usable;
      best = other.get();
    }
  }
  if (best == nullptr) return std::nullopt;
  SessionStore::Found found{best->session->Fork(), most,
                            std::min(most, AlignedOf(*best))};
  try {
    found.session.Trim(most);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
  return found;
}

// A conversation that has outgrown the trained length goes on with what was
// read within it, under the scheme for the longer text.
std::optional<SessionStore::Found> Worker::FromShorterContext(Answer& answer) {
  const Request& request = answer.job->request;
  if (request.context || !answer.job->memories.empty()) return std::nullopt;
  for (int64_t context = answer.place.context / 2;
       context >= model_.train_length(); context /= 2) {
    const std::string kind =
        model_.Resolve(answer.place.scheme, context).ToString();
    if (kind == answer.place.kind) continue;
    auto found = store_.Take(kind, answer.prompt);
    if (!found) continue;
    try {
      const int64_t from = found->session.context_length();
      found->session.ChangeScheme(answer.place.scheme, answer.place.context);
      // What both schemes do not treat alike is read again.
      const int64_t kept = store_.Usable(
          std::min(found->reused, found->session.exact_size()), found->aligned);
      if (kept < options_.prompt_chunk) continue;
      found->session.Trim(kept);
      found->reused = kept;
      found->aligned = std::min(found->aligned, kept);
      answer.extended_from = from;
      return found;
    } catch (const std::invalid_argument&) {
      // The stored keys do not allow it.
    }
  }
  return std::nullopt;
}

// First tokens of its session that were read in aligned chunks.
int64_t Worker::AlignedOf(const Answer& answer) const {
  if (answer.aligned < answer.reused) return answer.aligned;
  return std::min(answer.session->size(), answer.size());
}

int64_t Worker::MostBytes(const Answer& answer) const {
  // Long answers are rare, and a text that finds no room is told so.
  constexpr int64_t kExpected = 1024;
  const int64_t tokens =
      answer.size() + std::min(answer.options.max_tokens, kExpected);
  if (answer.session) return answer.session->kv_bytes_for(tokens);
  return tokens * bytes_per_token_;
}

void Worker::AddToBatch(Answer& answer) {
  Answer* const self = &answer;
  BatchText text{
      .session = &*answer.session,
      .prompt = {answer.prompt.begin() + answer.reused, answer.prompt.end()},
      .options = answer.options};
  text.on_read = [this, self](int64_t read, int64_t) {
    self->read = self->reused + read;
    if (self->job->request.return_progress) {
      self->job->Add(
          {self->choice, Progress{self->size(), self->read, self->reused}});
    }
    if (!self->reads()) self->prompt_ms = MillisecondsSince(self->begun);
    return !self->job->cancelled();
  };
  text.on_token = [this, self](const GeneratedToken& token) {
    ++self->generated;
    ++metrics_.generated_tokens;
    Piece piece{
        .id = token.id,
        .text = std::string(token.text),
        .log_probability = token.log_probability,
        .most_likely = {token.most_likely.begin(), token.most_likely.end()}};
    self->written += piece.text;
    self->job->Add({self->choice, std::move(piece)});
    return !self->job->cancelled();
  };
  answer.number = batch_->Add(std::move(text));
  metrics_.prompt_tokens += answer.size();
  metrics_.reused_tokens += answer.reused;
}

}  // namespace ropewalk::serve
