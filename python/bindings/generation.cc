#include "generation.h"

#include <chrono>
#include <utility>

#include "common.h"
#include "shared_session.h"

namespace ropewalk::python {

Generation::Generation(std::shared_ptr<SharedSession> session,
                       GenerateOptions options)
    : session_(std::move(session)),
      options_(std::move(options)),
      gives_probabilities_(options_.log_probabilities.has_value()) {}

Generation::~Generation() {
  // Python destroys with the GIL, a session's Change without it.
  if (PyGILState_Check() != 0) {
    const nb::gil_scoped_release release;
    Close();
  } else {
    Close();
  }
}

// Runs on worker_. The session stays locked by whoever steps: the worker only
// computes while Next or Close waits for it.
void Generation::Work() {
  std::optional<GenerateResult> result;
  std::exception_ptr error;
  try {
    result = session_->Stepped().Generate(
        options_, [this](const GeneratedToken& token) { return Offer(token); });
  } catch (...) {
    error = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  if (result && result->text.size() > text_.size() && !stop_) {
    piece_ = Piece{.text = result->text.substr(text_.size())};
  }
  result_ = std::move(result);
  error_ = error;
  turn_ = Turn::kDone;
  changed_.notify_all();
}

// Hands a token over and waits until the next one is wanted.
bool Generation::Offer(const GeneratedToken& token) {
  std::unique_lock lock(mutex_);
  if (stop_) return false;
  Piece piece{.id = token.id, .text = std::string(token.text)};
  if (gives_probabilities_) {
    piece.log_probability = token.log_probability;
    for (const TokenLogProbability& likely : token.most_likely) {
      piece.most_likely.emplace_back(likely.id, likely.log_probability);
    }
  }
  piece_ = std::move(piece);
  turn_ = Turn::kCaller;
  changed_.notify_all();
  changed_.wait(lock, [this] { return turn_ == Turn::kWorker; });
  return !stop_;
}

// The piece that was handed over, with mutex_ held.
std::optional<Piece> Generation::Take() {
  std::optional<Piece> piece = std::exchange(piece_, std::nullopt);
  if (piece) {
    text_ += piece->text;
    if (piece->id) ++tokens_;
  }
  return piece;
}

std::optional<Piece> Generation::Next() {
  const SharedSession::Use use = session_->Look();
  {
    const std::lock_guard lock(mutex_);
    if (turn_ != Turn::kDone) {
      turn_ = Turn::kWorker;
      if (!started_) {
        started_ = true;
        worker_ = std::thread([this] { Work(); });
      }
      changed_.notify_all();
    }
  }
  // Long enough to cost nothing, short enough for a hand on Ctrl-C.
  constexpr auto kLook = std::chrono::milliseconds(50);
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, kLook,
                            [this] { return turn_ != Turn::kWorker; })) {
        std::optional<Piece> piece = Take();
        if (piece || turn_ == Turn::kCaller) return piece;
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        return std::nullopt;
      }
    }
    try {
      CheckSignals();
    } catch (...) {
      Close();
      throw;
    }
  }
}

void Generation::Close() {
  {
    std::unique_lock lock(mutex_);
    stop_ = true;
    if (!started_) {
      started_ = true;
      turn_ = Turn::kDone;
    }
    if (turn_ == Turn::kCaller) turn_ = Turn::kWorker;
    changed_.notify_all();
    changed_.wait(lock, [this] { return turn_ == Turn::kDone; });
    piece_.reset();
  }
  const std::lock_guard lock(join_mutex_);
  if (worker_.joinable()) worker_.join();
}

std::optional<GenerateResult> Generation::result() const {
  const std::lock_guard lock(mutex_);
  return piece_ ? std::nullopt : result_;
}

std::string Generation::text() const {
  const std::lock_guard lock(mutex_);
  return text_;
}

int64_t Generation::tokens() const {
  const std::lock_guard lock(mutex_);
  return tokens_;
}

}  // namespace ropewalk::python
