#include "generate/generator.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "tokenizer/stream_decoder.h"

namespace ropewalk::generate {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

GenerateResult Generate(model::Context& context,
                        const tokenizer::Tokenizer& tokenizer,
                        std::span<const Token> prompt, Sampler& sampler,
                        const GenerateOptions& options,
                        const GenerateCallbacks& callbacks) {
  const auto prompt_tokens = static_cast<int64_t>(prompt.size());
  Require(prompt_tokens > 0, "the prompt has no tokens");
  Require(context.size() + prompt_tokens < context.length(),
          "the prompt has " + std::to_string(prompt_tokens) +
              " tokens and leaves no room in a context of " +
              std::to_string(context.length()) + "; give a larger --context");
  GenerateResult result{.prompt_tokens = prompt_tokens};
  Clock::time_point begin = Clock::now();
  int64_t last_chunk = 0;
  for (int64_t at = 0; at < prompt_tokens; at += last_chunk) {
    last_chunk = std::min(context.chunk(), prompt_tokens - at);
    context.Forward(prompt.subspan(static_cast<size_t>(at),
                                   static_cast<size_t>(last_chunk)));
    callbacks.on_prompt(last_chunk);
  }
  result.prompt_seconds = SecondsSince(begin);

  begin = Clock::now();
  tokenizer::StreamDecoder decoder(tokenizer, prompt.back());
  int64_t last_row = last_chunk - 1;
  const auto vocabulary = static_cast<size_t>(tokenizer.VocabularySize());
  while (result.generated_tokens < options.max_tokens) {
    const std::span<const float> logits = context.Logits(last_row, 1);
    // Rows that pad the embedding beyond the vocabulary are no tokens.
    const Token token =
        sampler.Sample(logits.first(std::min(logits.size(), vocabulary)));
    // A model whose texts were divided by BOS alone ends one by beginning the
    // next.
    const bool ends = tokenizer.IsEndOfText(token) || token == tokenizer.bos();
    if (ends && !options.ignore_end_of_text) {
      result.reason = StopReason::kEndOfText;
      break;
    }
    ++result.generated_tokens;
    callbacks.on_text(decoder.Add(token));
    if (result.generated_tokens == options.max_tokens) break;
    if (context.size() == context.length()) {
      result.reason = StopReason::kContextFull;
      break;
    }
    context.Forward({&token, 1});
    last_row = 0;
  }
  callbacks.on_text(decoder.Finish());
  result.generate_seconds = SecondsSince(begin);
  return result;
}

}  // namespace ropewalk::generate
