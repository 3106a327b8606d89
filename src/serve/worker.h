// The worker: the one thread that owns the model. Takes requests, lets them
// share what was read before, and writes all of them at once.

#ifndef ROPEWALK_SERVE_WORKER_H_
#define ROPEWALK_SERVE_WORKER_H_

#include <ropewalk/batch.h>
#include <ropewalk/memory.h>
#include <ropewalk/model.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "serve/api_error.h"
#include "serve/event.h"
#include "serve/metrics.h"
#include "serve/request.h"
#include "serve/saved_texts.h"
#include "serve/session_store.h"

namespace ropewalk::serve {

struct WorkerOptions {
  std::string position = "auto";
  int64_t context = 0;  // the most tokens of a request; 0: see MostContext
  KvType kv_type = KvType::kF16;
  int64_t parallel = 1024;       // answers that are written at once
  int64_t queue = 1024;          // answers that wait, beyond these
  int64_t answer_tokens = 2048;  // where a request names no max_tokens
  int64_t prompt_chunk = 128;    // tokens of a prompt in a pass beside others
  std::chrono::seconds time{0};  // of an answer, its wait included; 0: no limit
  std::string state;             // a folder of saved texts; empty: none
};

// A request on its way. The thread of its connection waits for events, the
// worker adds them.
class Job {
 public:
  Job(Request request, std::vector<std::vector<Token>> prompts)
      : request(std::move(request)), prompts(std::move(prompts)) {}

  // The next event; nothing if none comes within `wait`.
  std::optional<Event> Next(std::chrono::milliseconds wait);
  void Add(Event event);

  void Cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

  const Request request;
  // Ids, the begin token included, and for each of them request.n answers.
  const std::vector<std::vector<Token>> prompts;
  // What the texts attend to.
  std::vector<Memory> memories;
  std::vector<std::string> memory_names;
  std::vector<std::string> memory_ids;  // of one document alone
  int64_t answers() const {
    return static_cast<int64_t>(prompts.size()) * request.n;
  }

 private:
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<Event> events_;
  std::atomic<bool> cancelled_ = false;
};

// One answer in progress or in the queue, as /slots shows it.
struct Slot {
  std::string state;  // "waiting", "reading", "writing"
  std::string scheme;
  int64_t context = 0;
  int64_t prompt = 0;
  int64_t read = 0;
  int64_t reused = 0;
  int64_t generated = 0;
  double seconds = 0;
};

class Worker {
 public:
  // Loads saved texts' names. Throws std::invalid_argument for options that the
  // model does not allow; IoError for a state folder that cannot be used.
  Worker(const Model& model, const WorkerOptions& options, Metrics& metrics);
  ~Worker();

  // The most tokens that a request may have: as given, or four times the
  // trained length, or less where memory allows less.
  int64_t MostContext() const { return most_context_; }
  // Of an f16 (or other) store, a token.
  int64_t BytesPerToken() const { return bytes_per_token_; }

  // Throws ApiError where the job cannot be done: a prompt that does not fit,
  // a scheme that is not defined for the model, a full queue. The job gets an
  // End or a Failure for each answer.
  void Submit(const std::shared_ptr<Job>& job);

  // The context and scheme that a prompt of so many tokens gets. Throws
  // ApiError(400) as Submit.
  struct Place {
    int64_t context = 0;
    Scheme scheme;     // as asked
    std::string kind;  // as it runs
  };
  Place PlaceFor(const Request& request, int64_t prompt) const;
  // The context alone.
  int64_t ContextFor(const Request& request, int64_t prompt) const;

  // What is in progress.
  std::vector<Slot> Slots();

  // Takes no more; writes what is in progress for up to `grace`, then ends it;
  // saves what is to be saved. Called once.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct Answer;
  using Answers = std::list<std::unique_ptr<Answer>>;

  // Of an answer that is to begin.
  enum class Begun { kYes, kWaits, kNoRoom, kFailed };

  void Run();
  bool MayEnd();
  void TakeInbox();
  void EndCancelled();
  bool IsLate(const Answer& answer) const;
  Answers::iterator Unqueue(Answers::iterator at);

  void Admit();
  Begun Begin(Answer& answer);
  bool WaitsForAnother(const Answer& answer, int64_t stored) const;
  void FindSession(Answer& answer, int64_t stored);
  std::optional<SessionStore::Found> FromActive(const Answer& answer,
                                                int64_t stored);
  std::optional<SessionStore::Found> FromShorterContext(Answer& answer);
  int64_t AlignedOf(const Answer& answer) const;
  int64_t MostBytes(const Answer& answer) const;
  BatchOptions ForBatch() const;
  void AddToBatch(Answer& answer);

  void StepOnce();
  void KeepBeginnings();
  static std::vector<Band> BandsOf(const Answer& answer);
  void TellBands();
  void Finish(const BatchEnd& end);
  void Keep(Answer& answer);
  void SaveOne();
  End EndOf(const Answer& answer, const GenerateResult& result) const;
  void Fail(Answer& answer, const ApiError& error);

  Model model_;
  WorkerOptions options_;
  Metrics& metrics_;
  int64_t most_context_ = 0;
  int64_t bytes_per_token_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Answer>> inbox_;
  std::deque<std::function<void()>> questions_;
  int64_t waiting_ = 0;  // in the inbox and in waiting_answers_
  bool stopping_ = false;
  std::chrono::steady_clock::time_point give_up_;

  // Of the worker's thread.
  Answers waiting_answers_;
  Answers active_;
  int64_t reserved_ = 0;  // bytes of keys and values, of active_
  std::optional<Batch> batch_;
  SessionStore store_;
  std::unique_ptr<SavedTexts> saved_;
  std::deque<StoredText> unsaved_;
  std::thread thread_;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_WORKER_H_
