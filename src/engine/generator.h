// A prompt is read, then tokens are drawn one by one until something stops it.

#ifndef ROPEWALK_ENGINE_GENERATOR_H_
#define ROPEWALK_ENGINE_GENERATOR_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/token.h"
#include "engine/sampler.h"
#include "model/context.h"
#include "position/plan.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

enum class StopReason { kEndOfText, kTokenLimit, kContextFull };

// Other positions from some length on.
struct PositionSwitch {
  int64_t at = 0;         // tokens read under the first ones
  position::Stack stack;  // those that follow
};

struct GenerateOptions {
  int64_t max_tokens = 256;
  bool ignore_end_of_text = false;  // go on, and show nothing for it
  // When the context is full: take out half of what lies behind the first
  // `keep` tokens, close up and go on, instead of stopping.
  bool shift = false;
  int64_t keep = 0;
  std::optional<PositionSwitch> change;
};

struct GenerateCallbacks {
  // Tokens of the prompt read since the last call; may throw to stop.
  std::function<void(int64_t)> on_prompt = [](int64_t) {};
  // The next piece of text, whole UTF-8 characters where the bytes allow it;
  // may be empty, and may throw to stop.
  std::function<void(const std::string&)> on_text = [](const std::string&) {};
};

struct GenerateResult {
  StopReason reason = StopReason::kTokenLimit;
  int64_t prompt_tokens = 0;   // read now
  int64_t shifted_tokens = 0;  // taken out to make room
  int64_t generated_tokens = 0;
  double prompt_seconds = 0;
  double generate_seconds = 0;
};

// Reads `prompt` into `context`, after what is there, and draws tokens. Throws
// std::invalid_argument when the prompt is empty or leaves no room for one
// token, and where positions can not be switched or the context not be shifted
// as asked, with the reason.
GenerateResult Generate(model::Context& context,
                        const tokenizer::Tokenizer& tokenizer,
                        std::span<const Token> prompt, Sampler& sampler,
                        const GenerateOptions& options,
                        const GenerateCallbacks& callbacks);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_GENERATOR_H_
