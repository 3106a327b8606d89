// Continuous batching: texts that are generated together, of which any may
// begin or end between two passes.

#ifndef ROPEWALK_ENGINE_BATCH_H_
#define ROPEWALK_ENGINE_BATCH_H_

#include <cstdint>
#include <exception>
#include <list>
#include <optional>
#include <vector>

#include "engine/generate.h"
#include "engine/writer.h"

namespace ropewalk::engine {

struct BatchOptions {
  PromptCut cut;
  // Tokens of prompts in a pass in which other texts go on by a token each, so
  // that those need not wait long. At least one chunk is read.
  int64_t prompt_tokens_beside = kPassTokens - kPromptChunk;
};

// One thread at a time. A text gets the same tokens whatever others there are.
class Batch {
 public:
  explicit Batch(Engine& engine, const BatchOptions& options = {});
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  // Begins a text and returns its number. Its session is the batch's own until
  // the text has ended. A prompt of which no token is to be read draws its
  // first token here. Throws std::invalid_argument as Generate does, also for
  // another engine and for a session that has a text here.
  int64_t Add(GenerateJob job);

  // Ends a text, as its callback does by returning false: the next Step tells
  // of it. Passes over numbers of texts that have ended.
  void Stop(int64_t number);

  struct Ended {
    int64_t number = 0;
    GenerateResult result;
    // What ended it where that was no StopReason: thrown by a callback, or by
    // the text's own grammar, shift or change of scheme.
    std::exception_ptr error;
  };

  // One pass: every text that writes goes on by a token, and prompts by a
  // chunk, in turns where a pass has no room for all. Returns the texts that
  // have ended since the last call. Throws what the pass itself throws, such as
  // MemoryLimitError; all sessions are then as before it.
  std::vector<Ended> Step();

  // The number of texts that have not been told to have ended.
  int64_t size() const { return static_cast<int64_t>(texts_.size()); }

 private:
  struct Text {
    int64_t number = 0;
    GenerateJob job;
    std::optional<Writer> writer;
    std::exception_ptr error;
    bool ended() const { return error != nullptr || writer->done(); }
  };
  using Texts = std::list<Text>;

  std::vector<Texts::iterator> Choose();
  void Run(const std::vector<Texts::iterator>& chosen);

  Engine& engine_;
  BatchOptions options_;
  Texts texts_;  // those that waited longest first
  int64_t next_number_ = 0;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_BATCH_H_
