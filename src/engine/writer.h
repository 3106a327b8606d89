// One text that is generated: what it reads next, and what follows from the
// logits of that.

#ifndef ROPEWALK_ENGINE_WRITER_H_
#define ROPEWALK_ENGINE_WRITER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/token.h"
#include "engine/generate.h"
#include "engine/sampler.h"
#include "engine/stop_strings.h"
#include "grammar/token_masks.h"
#include "model/forward.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

// How prompts are cut.
struct PromptCut {
  int64_t chunk = kPromptChunk;
  // Chunks end where a text has a multiple of `chunk` tokens, so that texts
  // with the same beginning are cut alike, and get the same bits, however much
  // of it was read before.
  bool aligned = false;
};

// Runs one job, which must outlive it. One thread at a time.
class Writer {
 public:
  // Throws std::invalid_argument as Generate does; nothing is read yet.
  Writer(GenerateJob& job, const PromptCut& cut);

  bool done() const { return done_; }
  bool reads_prompt() const { return read_ < job_.prompt.size(); }
  const GenerateResult& result() const { return result_; }
  Session& session() const { return *job_.session; }

  // The number of tokens that the job reads next.
  int64_t Wanted() const;

  // Returns those tokens as a slice of a pass. First changes the scheme or
  // shifts the context if that is due, and throws what these throw.
  model::Slice Next();

  // Chooses the token that Took will draw from the same `logits` [V], where no
  // grammar has a say. Any thread: writers have nothing in common here.
  void Choose(std::span<const float> logits);

  // Takes the logits of the pass, if they were asked for, and draws a token.
  // What callbacks throw passes through.
  void Took(std::span<const float> logits);

  // Ends the text, as a callback that returns false does.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;

  void ChangeSchemeIfDue();
  void MakeRoom();
  std::span<const float> OfVocabulary(std::span<const float> logits) const;
  void Draw(std::span<const float> logits);
  void Finish(StopReason reason);

  GenerateJob& job_;
  PromptCut cut_;
  model::Sequence& sequence_;
  const tokenizer::Tokenizer& tokenizer_;
  Sampler sampler_;
  std::optional<grammar::Matcher> matcher_;
  StopStrings stops_;
  std::unique_ptr<tokenizer::StreamDecoder> decoder_;
  GenerateResult result_;
  Clock::time_point begin_ = Clock::now();
  bool change_due_ = false;
  int64_t shift_count_ = 0;
  size_t read_ = 0;   // tokens of the prompt
  size_t count_ = 0;  // tokens in the current pass
  std::optional<Token> chosen_;
  Token drawn_ = 0;
  bool done_ = false;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_WRITER_H_
