// Prompts are read, then tokens are drawn one by one until something stops
// them; any number of texts at once, which share each pass over the weights.

#ifndef ROPEWALK_ENGINE_GENERATE_H_
#define ROPEWALK_ENGINE_GENERATE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/token.h"
#include "engine/log_probabilities.h"
#include "engine/sampler.h"
#include "engine/session.h"

namespace ropewalk::engine {

enum class StopReason {
  kEndOfText,
  kTokenLimit,
  kContextFull,
  kStopText,  // a stop string was written
  kStopped,   // a callback said so
};

// Another scheme from some length on.
struct SchemeSwitch {
  int64_t at = 0;         // tokens read under the first one
  ResolvedScheme scheme;  // that follows
};

struct GenerateOptions {
  int64_t max_tokens = 256;
  bool ignore_end_of_text = false;  // go on, and show nothing for it
  // When the context is full: take out half of what lies behind the first
  // `keep` tokens, close up and go on, instead of stopping.
  bool shift = false;
  int64_t keep = 0;
  std::optional<SchemeSwitch> change;
  SampleOptions sampling;
  uint64_t seed = 0;
  std::vector<std::string> stops;  // texts that end generation, not shown
  // Report log probabilities: the chosen token's and those of so many others.
  std::optional<int64_t> log_probabilities;
};

// One token that was drawn.
struct GeneratedToken {
  Token token = 0;
  // What can be shown now: whole UTF-8 characters where the bytes allow it, and
  // nothing that may be the beginning of a stop string. May be empty, and may
  // hold what earlier tokens left.
  std::string text;
  std::optional<LogProbabilities> log_probabilities;
};

struct GenerateCallbacks {
  // Tokens of the prompt read since the last call; false stops.
  std::function<bool(int64_t)> on_prompt = [](int64_t) { return true; };
  // Each token that was drawn; false stops. The token is then part of the
  // result.
  std::function<bool(const GeneratedToken&)> on_token =
      [](const GeneratedToken&) { return true; };
  // What is left to show when generation ends; may be empty.
  std::function<void(const std::string&)> on_end = [](const std::string&) {};
};

struct GenerateResult {
  StopReason reason = StopReason::kTokenLimit;
  std::string stop;            // the stop string, for kStopText
  int64_t prompt_tokens = 0;   // read now
  int64_t shifted_tokens = 0;  // taken out to make room
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
  // What penalties count besides the prompt: what the session has read before.
  GenerateOptions options;
  GenerateCallbacks callbacks;
};

// Runs all jobs, whose sessions belong to one engine, until each has stopped;
// a result for each. A job gives the same tokens alone and among others.
//
// Throws std::invalid_argument when there is neither prompt nor logits, when a
// prompt leaves no room for one token, and where a scheme can not be changed or
// the context not be shifted as asked, with the reason; MemoryLimitError where
// the prompts would need more memory than there is. All this is known before
// anything is read.
std::vector<GenerateResult> Generate(std::span<GenerateJob> jobs);
GenerateResult Generate(GenerateJob job);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_GENERATE_H_
