#include "engine/generator.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include "base/error.h"
#include "tokenizer/stream_decoder.h"

namespace ropewalk::engine {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// How many tokens to take out of a full context: half of what is not kept, or
// the next more that the positions allow.
int64_t ShiftCount(const model::Context& context, int64_t keep) {
  const position::Stack stack = context.sequence().stack();
  const int64_t half =
      std::max<int64_t>(1, (context.sequence().length() - keep) / 2);
  std::optional<std::string> first_reason;
  for (int64_t count = half; keep + count < context.sequence().length();
       ++count) {
    std::optional<std::string> reason;
    for (const position::Plan& plan : stack) {
      if (!reason) {
        reason = attention::WhyNotRenumber(plan, context.sequence().kv_type(),
                                           keep, count);
      }
    }
    if (!reason) return count;
    if (!first_reason) first_reason = reason;
  }
  throw std::invalid_argument("the context cannot be shifted: " +
                              first_reason.value_or("all of it is kept"));
}

// Reads tokens, switching positions where that is due.
class Reader {
 public:
  Reader(model::Context& context, const GenerateOptions& options)
      : context_(context), change_(options.change) {}

  // At most a chunk of `tokens`; how many.
  int64_t Read(std::span<const Token> tokens) {
    int64_t count =
        std::min(context_.chunk(), static_cast<int64_t>(tokens.size()));
    if (change_) {
      if (context_.size() >= change_->at) {
        context_.sequence().ChangeStack(change_->stack,
                                        context_.sequence().length());
        change_.reset();
      } else {
        count = std::min(count, change_->at - context_.size());
      }
    }
    context_.Forward(tokens.first(static_cast<size_t>(count)));
    return count;
  }

 private:
  model::Context& context_;
  std::optional<PositionSwitch> change_;
};

}  // namespace

GenerateResult Generate(model::Context& context,
                        const tokenizer::Tokenizer& tokenizer,
                        std::span<const Token> prompt, Sampler& sampler,
                        const GenerateOptions& options,
                        const GenerateCallbacks& callbacks) {
  const auto prompt_tokens = static_cast<int64_t>(prompt.size());
  Require(prompt_tokens > 0, "the prompt has no tokens");
  Require(context.size() + prompt_tokens < context.sequence().length(),
          "the prompt has " + std::to_string(prompt_tokens) +
              " tokens and leaves no room in a context of " +
              std::to_string(context.sequence().length()) +
              "; give a larger --context");
  GenerateResult result{.prompt_tokens = prompt_tokens};
  Clock::time_point begin = Clock::now();
  // Known now rather than after an hour of reading.
  int64_t shift_count = options.shift ? ShiftCount(context, options.keep) : 0;
  Reader reader(context, options);
  int64_t last_chunk = 0;
  for (int64_t at = 0; at < prompt_tokens; at += last_chunk) {
    last_chunk = reader.Read(prompt.subspan(static_cast<size_t>(at)));
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
    if (context.size() == context.sequence().length()) {
      if (!options.shift) {
        result.reason = StopReason::kContextFull;
        break;
      }
      // Positions may have been switched since.
      if (options.change) shift_count = ShiftCount(context, options.keep);
      context.sequence().Shift(options.keep, shift_count);
      result.shifted_tokens += shift_count;
    }
    reader.Read({&token, 1});
    last_row = 0;
  }
  callbacks.on_text(decoder.Finish());
  result.generate_seconds = SecondsSince(begin);
  return result;
}

}  // namespace ropewalk::engine
