// Session::Generate as something to step through.
//
// Generate calls back for each token; an iterator is asked for each. So
// Generate runs on a thread of its own, which waits inside its callback until
// the next piece is asked for. A generation that nobody steps holds no lock of
// the engine, and closing it leaves the session as after the last piece that
// was given.

#ifndef ROPEWALK_PYTHON_GENERATION_H_
#define ROPEWALK_PYTHON_GENERATION_H_

#include <ropewalk/session.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ropewalk::python {

struct Piece {
  std::optional<Token> id;  // nothing for text that was held back to the end
  std::string text;
  std::optional<double> log_probability;
  std::vector<std::pair<Token, double>> most_likely;
};

class SharedSession;

// Any thread may step or close it, without the GIL.
class Generation {
 public:
  Generation(std::shared_ptr<SharedSession> session, GenerateOptions options);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;
  ~Generation();

  // The next piece; nothing at the end. Looks for Ctrl-C while it waits, and
  // closes the generation before it throws that. Throws what Generate throws,
  // and std::runtime_error while another thread uses the session.
  std::optional<Piece> Next();

  // Ends the generation where it stands. Waits for a token that is being
  // computed.
  void Close();

  // Nothing before the end.
  std::optional<GenerateResult> result() const;
  std::string text() const;  // of the pieces so far
  int64_t tokens() const;    // so far

 private:
  enum class Turn { kCaller, kWorker, kDone };

  void Work();
  bool Offer(const GeneratedToken& token);
  std::optional<Piece> Take();

  std::shared_ptr<SharedSession> session_;
  GenerateOptions options_;
  bool gives_probabilities_ = false;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Turn turn_ = Turn::kCaller;
  bool started_ = false;
  bool stop_ = false;
  std::optional<Piece> piece_;
  std::string text_;
  int64_t tokens_ = 0;
  std::optional<GenerateResult> result_;
  std::exception_ptr error_;
  std::mutex join_mutex_;
  std::thread worker_;
};

}  // namespace ropewalk::python

#endif  // ROPEWALK_PYTHON_GENERATION_H_
