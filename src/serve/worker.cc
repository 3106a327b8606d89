#include "serve/worker.h"

#include <ropewalk/error.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <random>
#include <span>
#include <stdexcept>
#include <utility>

#include "serve/answer.h"
#include "serve/api_error.h"
#include "serve/context.h"

namespace ropewalk::serve {
namespace {

// Bytes on disk of saved texts.
constexpr int64_t kMostStateBytes = int64_t{8} << 30;
// Texts that wait for an idle moment to be saved.
constexpr size_t kMostUnsaved = 64;
// Texts that are kept for reuse, however small they are.
constexpr int64_t kMostStored = 4096;
// Tokens between two tellings of a text's bands.
constexpr int64_t kTellBands = 16;

std::string MessageOf(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    return known.what();
  } catch (...) {
    return "an unknown error";
  }
}

}  // namespace

std::optional<Event> Job::Next(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  added_.wait_for(lock, wait, [&] { return !events_.empty(); });
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Job::Add(Event event) {
  {
    const std::scoped_lock lock(mutex_);
    events_.push_back(std::move(event));
  }
  added_.notify_one();
}

Worker::Worker(const Model& model, const WorkerOptions& options,
               Metrics& metrics)
    : model_(model),
      options_(options),
      metrics_(metrics),
      store_(options.prompt_chunk) {
  const int64_t N = model.train_length();
  Session probe(model, {.context_length = N,
                        .kv_type = options.kv_type,
                        .allow_known_failure = true});
  bytes_per_token_ = std::max<int64_t>(1, probe.kv_bytes_for(N) / N);
  most_context_ = options.context;
  if (most_context_ == 0) {
    const int64_t limit = model.kv_memory_limit();
    most_context_ = 4 * N;
    while (most_context_ > N && limit > 0 &&
           most_context_ * bytes_per_token_ > limit / 2) {
      most_context_ /= 2;
    }
  }
  // Told at the start, rather than to the first caller.
  (void)model.Resolve(Scheme::Parse(options.position), most_context_);
  batch_.emplace(model, ForBatch());
  if (!options.state.empty()) {
    saved_ = std::make_unique<SavedTexts>(options.state, model, options.kv_type,
                                          kMostStateBytes);
  }
  metrics_.kv_limit = model.kv_memory_limit();
  thread_ = std::thread([this] { Run(); });
}

BatchOptions Worker::ForBatch() const {
  return {.prompt_chunk = options_.prompt_chunk,
          .aligned_chunks = true,
          .prompt_tokens_beside = 2 * options_.prompt_chunk};
}

Worker::~Worker() {
  if (thread_.joinable()) Stop(std::chrono::milliseconds(0));
}

int64_t Worker::ContextFor(const Request& request, int64_t prompt) const {
  return PickContext(
      {.asked = request.context,
       .prompt = prompt,
       .answer = request.max_tokens.value_or(options_.answer_tokens),
       .trained = model_.train_length(),
       .most = most_context_});
}

Worker::Place Worker::PlaceFor(const Request& request, int64_t prompt) const {
  const std::string position = request.position.value_or(options_.position);
  Place place;
  place.context = ContextFor(request, prompt);
  try {
    place.scheme = Scheme::Parse(position);
    place.kind = model_.Resolve(place.scheme, place.context).ToString();
    if (const auto fails = model_.KnownToFail(place.scheme, place.context)) {
      throw ApiError(400, *fails, "position", "position_fails");
    }
  } catch (const std::invalid_argument& error) {
    throw ApiError(400, error.what(), "position");
  }
  return place;
}

void Worker::Submit(const std::shared_ptr<Job>& job) {
  std::vector<std::unique_ptr<Answer>> answers;
  std::random_device random;
  const uint64_t seed = job->request.seed_given
                            ? job->request.generate.sampling.seed
                            : (uint64_t{random()} << 21) ^ random();
  std::string memories;
  for (const std::string& id : job->memory_ids) memories += "\n" + id;
  if (!memories.empty()) memories += "\n" + job->request.memory_law;
  for (const std::vector<Token>& prompt : job->prompts) {
    const auto length = static_cast<int64_t>(prompt.size());
    Place place = PlaceFor(job->request, length);
    place.kind += memories;
    for (int64_t n = 0; n < job->request.n; ++n) {
      auto answer = std::make_unique<Answer>();
      answer->job = job;
      answer->choice = static_cast<int64_t>(answers.size());
      answer->prompt = prompt;
      answer->place = place;
      answer->options = job->request.generate;
      answer->options.max_tokens =
          std::min(job->request.max_tokens.value_or(options_.answer_tokens),
                   place.context - length);
      answer->options.sampling.seed =
          seed + static_cast<uint64_t>(answers.size());
      answers.push_back(std::move(answer));
    }
  }
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) throw ApiError(503, "the server is stopping");
    const auto more = static_cast<int64_t>(answers.size());
    const int64_t room =
        options_.queue +
        std::max<int64_t>(0, options_.parallel - metrics_.active);
    if (waiting_ + more > room) {
      throw ApiError(429,
                     "the queue is full: " + std::to_string(waiting_) +
                         " answers wait; try again later",
                     {}, "queue_full");
    }
    waiting_ += more;
    metrics_.waiting = waiting_;
    for (auto& answer : answers) inbox_.push_back(std::move(answer));
  }
  ++metrics_.requests;
  changed_.notify_all();
}

void Worker::Stop(std::chrono::milliseconds grace) {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    give_up_ = Clock::now() + grace;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Worker::Run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] {
        return stopping_ || !inbox_.empty() || !questions_.empty() ||
               !active_.empty() || !waiting_answers_.empty() ||
               !unsaved_.empty();
      });
    }
    TakeInbox();
    EndCancelled();
    Admit();
    if (!active_.empty()) {
      StepOnce();
    } else if (waiting_answers_.empty()) {
      SaveOne();
    }
    metrics_.active = static_cast<int64_t>(active_.size());
    metrics_.stored_texts = store_.size();
    metrics_.kv_bytes = model_.kv_bytes();
    if (MayEnd()) break;
  }
  while (!unsaved_.empty()) SaveOne();
}

// Whether the server stops and nothing is left to do, or no time.
bool Worker::MayEnd() {
  const std::scoped_lock lock(mutex_);
  if (!stopping_) return false;
  if (active_.empty() && waiting_answers_.empty() && inbox_.empty()) {
    return true;
  }
  if (Clock::now() < give_up_) return false;
  for (auto& answer : inbox_) waiting_answers_.push_back(std::move(answer));
  inbox_.clear();
  batch_.reset();  // it has the sessions of what is active
  for (Answers* answers : {&waiting_answers_, &active_}) {
    for (auto& answer : *answers) {
      Fail(*answer, ApiError(503, "the server is stopping"));
    }
    answers->clear();
  }
  return true;
}

void Worker::TakeInbox() {
  std::deque<std::function<void()>> questions;
  {
    const std::scoped_lock lock(mutex_);
    for (auto& answer : inbox_) waiting_answers_.push_back(std::move(answer));
    inbox_.clear();
    questions.swap(questions_);
  }
  for (const auto& question : questions) question();
}

bool Worker::IsLate(const Answer& answer) const {
  return options_.time.count() > 0 &&
         Clock::now() - answer.asked > options_.time;
}

// Ends answers whose client went away, and those that took too long.
void Worker::EndCancelled() {
  const std::string late = "the answer took longer than the " +
                           std::to_string(options_.time.count()) +
                           " s that this server gives it (--timeout)";
  for (auto at = waiting_answers_.begin(); at != waiting_answers_.end();) {
    const bool cancelled = (*at)->job->cancelled();
    if (!cancelled && !IsLate(**at)) {
      ++at;
      continue;
    }
    if (cancelled) {
      ++metrics_.cancelled;
    } else {
      Fail(**at, ApiError(503, late));
    }
    at = Unqueue(at);
  }
  for (const auto& answer : active_) {
    if (answer->job->cancelled()) {
      batch_->Stop(answer->number);
    } else if (IsLate(*answer) && !answer->failure) {
      answer->failure = Failure{.status = 503, .message = late};
      batch_->Stop(answer->number);
    }
  }
}

Worker::Answers::iterator Worker::Unqueue(Answers::iterator at) {
  const std::scoped_lock lock(mutex_);
  --waiting_;
  metrics_.waiting = waiting_;
  return waiting_answers_.erase(at);
}

void Worker::StepOnce() {
  try {
    const std::vector<BatchEnd> ends = batch_->Step();
    ++metrics_.passes;
    KeepBeginnings();
    TellBands();
    for (const BatchEnd& end : ends) Finish(end);
  } catch (const MemoryLimitError& error) {
    if (store_.DropOldest()) return;
    // The one that came last makes room for those before it.
    Answer& last = *active_.back();
    last.failure = Failure{.status = 503, .message = error.what()};
    batch_->Stop(last.number);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ropewalk: a pass failed: %s\n", error.what());
    for (const auto& answer : active_)
      Fail(*answer, ApiError(500, error.what()));
    batch_.emplace(model_, ForBatch());
    active_.clear();
    reserved_ = 0;
  }
}

// Where a window drops keys, a text cannot be cut back to the beginning that
// another prompt shares, so that is kept while it is there.
void Worker::KeepBeginnings() {
  for (const auto& answer : active_) {
    const int64_t whole = answer->WholeChunks(options_.prompt_chunk);
    if (!answer->beginning && whole > answer->reused &&
        answer->session->size() == whole) {
      answer->beginning.emplace(answer->session->Fork());
    }
  }
}

std::vector<Band> Worker::BandsOf(const Answer& answer) {
  std::vector<Band> bands;
  for (const BandShare& band : answer.session->Bands()) {
    bands.push_back({band.label, band.tokens});
  }
  return bands;
}

// After each chunk of a prompt, then now and again.
void Worker::TellBands() {
  for (const auto& answer : active_) {
    const int64_t size = answer->session->size();
    if (!answer->job->request.return_progress ||
        size < answer->told + kTellBands) {
      continue;
    }
    answer->told = size;
    answer->job->Add({answer->choice, Progress{.prompt = answer->size(),
                                               .read = answer->read,
                                               .reused = answer->reused,
                                               .bands = BandsOf(*answer)}});
  }
}

void Worker::Finish(const BatchEnd& end) {
  const auto at = std::find_if(
      active_.begin(), active_.end(),
      [&](const auto& answer) { return answer->number == end.number; });
  if (at == active_.end()) return;
  Answer& answer = **at;
  if (answer.failure) {
    ++metrics_.failed;
    answer.job->Add({answer.choice, *answer.failure});
  } else if (end.error != nullptr) {
    Fail(answer, ApiError(500, MessageOf(end.error)));
  } else if (end.result.reason == StopReason::kCaller) {
    ++metrics_.cancelled;
  } else {
    answer.job->Add({answer.choice, EndOf(answer, end.result)});
  }
  reserved_ -= answer.most_bytes;
  Keep(answer);
  active_.erase(at);
}

// What was read may serve later requests.
void Worker::Keep(Answer& answer) {
  const int64_t aligned = AlignedOf(answer);
  if (answer.beginning) {
    bool cuts = true;
    try {
      Session fork = answer.session->Fork();
      fork.Trim(answer.beginning->size());
    } catch (const std::invalid_argument&) {
      cuts = false;
    }
    if (!cuts) {
      const int64_t size = answer.beginning->size();
      store_.Add({answer.place.kind, std::move(*answer.beginning),
                  std::min(size, aligned)});
    }
  }
  if (saved_ != nullptr && answer.job->memories.empty() &&
      answer.session->size() >= options_.prompt_chunk) {
    unsaved_.push_back({answer.place.kind, answer.session->Fork(), aligned});
    if (unsaved_.size() > kMostUnsaved) unsaved_.pop_front();
  }
  store_.Add({answer.place.kind, std::move(*answer.session), aligned});
  while (store_.size() > kMostStored) store_.DropOldest();
}

void Worker::SaveOne() {
  if (unsaved_.empty()) return;
  try {
    saved_->Save(unsaved_.front());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ropewalk: a text was not saved: %s\n", error.what());
  }
  unsaved_.pop_front();
}

End Worker::EndOf(const Answer& answer, const GenerateResult& result) const {
  return {.reason = result.reason,
          .stop = result.stop,
          .rest = result.text.substr(
              std::min(answer.written.size(), result.text.size())),
          .prompt_tokens = answer.size(),
          .reused_tokens = answer.reused,
          .shifted_tokens = result.shifted_tokens,
          .generated_tokens = result.tokens,
          .prompt_ms = answer.prompt_ms,
          .generate_ms = MillisecondsSince(answer.begun) - answer.prompt_ms,
          .position = answer.job->request.position.value_or(options_.position),
          .scheme = answer.session->DescribeScheme(),
          .context = answer.place.context,
          .trained_length = model_.train_length(),
          .extended_from = answer.extended_from,
          .memories = answer.job->memory_names,
          .bands = BandsOf(answer)};
}

void Worker::Fail(Answer& answer, const ApiError& error) {
  ++(error.status() < 500 ? metrics_.refused : metrics_.failed);
  answer.job->Add({answer.choice, Failure{.status = error.status(),
                                          .message = error.what(),
                                          .param = error.param(),
                                          .code = error.code()}});
}

std::vector<Slot> Worker::Slots() {
  auto slots = std::make_shared<std::promise<std::vector<Slot>>>();
  std::future<std::vector<Slot>> ready = slots->get_future();
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return {};
    questions_.push_back([this, slots] {
      std::vector<Slot> all;
      for (const Answers* answers : {&active_, &waiting_answers_}) {
        for (const auto& answer : *answers) {
          const bool waits = answers == &waiting_answers_;
          all.push_back({.state = waits             ? "waiting"
                                  : answer->reads() ? "reading"
                                                    : "writing",
                         .scheme = answer->place.kind,
                         .context = answer->place.context,
                         .prompt = answer->size(),
                         .read = answer->read,
                         .reused = answer->reused,
                         .generated = answer->generated,
                         .seconds = MillisecondsSince(answer->asked) / 1000});
        }
      }
      slots->set_value(std::move(all));
    });
  }
  changed_.notify_all();
  // The worker may have ended meanwhile.
  if (ready.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
    return {};
  }
  return ready.get();
}

}  // namespace ropewalk::serve
