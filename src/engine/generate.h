// Generation: reads prompts, then draws tokens one by one until a reason to
// stop. Any number of texts is generated at once, with one pass over the
// weights.

#ifndef ROPEWALK_ENGINE_GENERATE_H_
#define ROPEWALK_ENGINE_GENERATE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/token.h"
#include "engine/log_probabilities.h"
#include "engine/sampler.h"
#include "engine/session.h"
#include "grammar/token_masks.h"

namespace ropewalk::engine {

enum class StopReason {
  kEndOfText,
  kTokenLimit,
  kContextFull,
  kStopText,  // the text has a stop string
  kStopped,   // a callback returned false
};

// A change to another scheme at some length.
struct SchemeSwitch {
  int64_t at = 0;         // tokens read under the first scheme
  ResolvedScheme scheme;  // the second scheme
};

struct GenerateOptions {
  int64_t max_tokens = 256;
  bool ignore_end_of_text = false;  // continue; its text is empty
  // If the context is full, take out half of the tokens after the first `keep`,
  // close the gap and continue instead of stopping.
  bool shift = false;
  int64_t keep = 0;
  std::optional<SchemeSwitch> change;
  // Draw only tokens that keep the text one of this grammar
  // (Engine::Constrain); an end of text where the grammar may end. Any number
  // of jobs may share it.
  std::shared_ptr<grammar::TokenMasks> grammar;
  SampleOptions sampling;
  uint64_t seed = 0;
  std::vector<std::string> stops;  // end generation; not shown
  // Report the log probabilities of the drawn token and of so many most likely
  // ones.
  std::optional<int64_t> log_probabilities;
};

// One token that was drawn.
struct GeneratedToken {
  Token token = 0;
  // The text that can be shown now: whole UTF-8 characters if the bytes allow
  // that, and no text that may be the beginning of a stop string. It may be
  // empty, and may include text that was held back before.
  std::string text;
  std::optional<LogProbabilities> log_probabilities;
};

struct GenerateCallbacks {
  // Gets the number of prompt tokens read since the last call. Returning false
  // stops.
  std::function<bool(int64_t)> on_prompt = [](int64_t) { return true; };
  // Gets each drawn token. Returning false stops; the token is then part of the
  // result.
  std::function<bool(const GeneratedToken&)> on_token =
      [](const GeneratedToken&) { return true; };
  // Gets the text that is left to show at the end; it may be empty.
  std::function<void(const std::string&)> on_end = [](const std::string&) {};
};

struct GenerateResult {
  StopReason reason = StopReason::kTokenLimit;
  std::string stop;            // for kStopText: the stop string
  int64_t prompt_tokens = 0;   // read by this call
  int64_t shifted_tokens = 0;  // taken out of a full context
  int64_t generated_tokens = 0;
  double prompt_seconds = 0;
  double generate_seconds = 0;
};

// One text to generate: `prompt` is read behind what the session has read. It
// may be empty where `logits` [V] say what comes behind that.
struct GenerateJob {
  Session* session = nullptr;
  std::vector<Token> prompt;
  std::vector<float> logits;
  // Penalties count the prompt and all that the session has read before.
  GenerateOptions options;
  GenerateCallbacks callbacks;
};

// Runs all jobs, whose sessions belong to one engine, until each has stopped,
// and returns a result for each. A job gives the same tokens alone and with
// others.
//
// Throws std::invalid_argument when there is neither prompt nor logits, when a
// prompt leaves no room for one token or has an id outside the vocabulary, for
// one session in two jobs, and where a scheme cannot be changed or the context
// not be shifted as asked, with the reason; MemoryLimitError where the prompts
// together would need more memory than there is; std::runtime_error where the
// vocabulary has no token that a grammar allows. All but changes and shifts
// that only the text read by then forbids is known before anything is read.
std::vector<GenerateResult> Generate(std::span<GenerateJob> jobs);
GenerateResult Generate(GenerateJob job);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_GENERATE_H_
