// Continuous batching: sessions that write at the same time, in passes that go
// through the weights once for all of them. Any may begin or end between two
// passes; prompts are read in chunks beside those that write.
//
//   ropewalk::Batch batch(model);
//   batch.Add({.session = &a, .prompt = ids_a, .on_token = show_a});
//   batch.Add({.session = &b, .prompt = ids_b, .on_token = show_b});
//   while (batch.size() > 0) {
//     for (const auto& ended : batch.Step()) Tell(ended);
//   }
//
// A text gets the same tokens whatever others there are.

#ifndef ROPEWALK_BATCH_H_
#define ROPEWALK_BATCH_H_

#include <ropewalk/export.h>
#include <ropewalk/model.h>
#include <ropewalk/session.h>
#include <ropewalk/tokenizer.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

namespace ropewalk {

struct BatchOptions {
  // Tokens of a prompt that are read in one pass, from 1 to 512.
  int64_t prompt_chunk = 512;
  // Chunks end where a session has a multiple of prompt_chunk tokens. Texts
  // that begin alike are then cut alike, and get the same bits, however much of
  // the beginning a session had read before.
  bool aligned_chunks = false;
  // Tokens of prompts that a pass reads while other texts write, which wait for
  // them. At least one chunk.
  int64_t prompt_tokens_beside = 512;
};

// One text to write.
struct BatchText {
  // Belongs to the batch until the text has ended; must outlive that, and stay
  // where it is. Between two steps it may be asked for what it holds, and
  // forked.
  Session* session = nullptr;
  // Read behind what the session holds. May be empty where the session has
  // something to go on from.
  std::vector<Token> prompt;
  GenerateOptions options;
  ReadCallback on_read;    // of tokens of the prompt
  TokenCallback on_token;  // as in Session::Generate
};

// How a text ended.
struct BatchEnd {
  int64_t number = 0;
  GenerateResult result;
  int64_t prompt_tokens = 0;
  double prompt_seconds = 0;
  // Null, or what a callback, the grammar or a shift of this text threw; the
  // session then holds what was read.
  std::exception_ptr error;
};

// Movable. One thread at a time. Keeps its model alive.
class ROPEWALK_EXPORT Batch {
 public:
  // Throws std::invalid_argument for options out of range.
  explicit Batch(const Model& model, const BatchOptions& options = {});

  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;
  // Sessions of texts that have not ended keep what they have read.
  ~Batch();

  // Begins a text and returns its number: 0, 1, 2 and so on. Throws, with
  // nothing begun, like Session::Read and Session::Generate, and
  // std::invalid_argument for a session of another model or one that has a text
  // here already.
  int64_t Add(BatchText text);

  // Ends a text as its callback does by saying no; the next Step returns it.
  // Numbers of texts that have ended are passed over.
  void Stop(int64_t number);

  // One pass. Every text that writes goes on by a token, and prompts by a
  // chunk, in turns where a pass has no room for all. Returns the texts that
  // ended. Throws MemoryLimitError where keys and values find no room; nothing
  // is read then, and another Step may be tried once there is room.
  std::vector<BatchEnd> Step();

  // Texts that no Step has returned yet.
  int64_t size() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ropewalk

#endif  // ROPEWALK_BATCH_H_
