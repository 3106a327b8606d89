// One answer on its way through the worker.

#ifndef ROPEWALK_SERVE_ANSWER_H_
#define ROPEWALK_SERVE_ANSWER_H_

#include <ropewalk/session.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "serve/event.h"
#include "serve/worker.h"

namespace ropewalk::serve {

using Clock = std::chrono::steady_clock;

inline double MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin)
      .count();
}

struct Worker::Answer {
  std::shared_ptr<Job> job;
  int64_t choice = 0;
  std::span<const Token> prompt;
  Place place;
  GenerateOptions options;

  std::optional<Session> session;
  int64_t number = -1;  // in the batch
  int64_t reused = 0;
  int64_t aligned = 0;  // of the reused
  int64_t extended_from = 0;
  int64_t read = 0;  // of the prompt, reused ones included
  int64_t generated = 0;
  int64_t told = 0;                  // tokens when its bands were last told
  int64_t most_bytes = 0;            // that keys and values may come to
  std::optional<Session> beginning;  // the whole chunks of the prompt
  std::optional<Failure> failure;
  std::string written;  // that was told
  Clock::time_point asked = Clock::now();
  Clock::time_point begun;
  double prompt_ms = 0;

  int64_t size() const { return static_cast<int64_t>(prompt.size()); }
  // The last multiple of `chunk` that leaves a token to read.
  int64_t WholeChunks(int64_t chunk) const {
    return (size() - 1) / chunk * chunk;
  }
  bool reads() const { return read < size(); }
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_ANSWER_H_
