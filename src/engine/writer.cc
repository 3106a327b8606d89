#include "engine/writer.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/grammar_vocabulary.h"

namespace ropewalk::engine {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

// The number of tokens to take out of a full context: half of those that are
// not kept, or the next larger number that the positions allow.
int64_t ShiftCount(const model::Sequence& sequence, int64_t keep) {
  const position::Stack stack = sequence.stack();
  const int64_t half = std::max<int64_t>(1, (sequence.length() - keep) / 2);
  std::optional<std::string> first_reason;
  for (int64_t count = half; keep + count < sequence.length(); ++count) {
    std::optional<std::string> reason;
    bool positions_allow = true;
    for (const position::Plan& plan : stack) {
      if (!reason) {
        reason =
            attention::WhyNotRenumber(plan, sequence.kv_type(), keep, count);
      }
      positions_allow = positions_allow && !plan.WhyNotShift(count, keep);
    }
    if (!reason) return count;
    // If the positions allow a count and the shift still fails, then its reason
    // holds for every count.
    if (positions_allow) {
      first_reason = reason;
      break;
    }
    if (!first_reason) first_reason = reason;
  }
  throw std::invalid_argument(
      "the context cannot be shifted: " +
      first_reason.value_or("all of its tokens are kept"));
}

}  // namespace

Writer::Writer(GenerateJob& job, const PromptCut& cut)
    : job_(job),
      cut_(cut),
      sequence_(job.session->sequence()),
      tokenizer_(job.session->engine().tokenizer()),
      sampler_(job.options.sampling, job.options.seed, tokenizer_),
      stops_(job.options.stops),
      change_due_(job.options.change.has_value()) {
  const auto prompt = static_cast<int64_t>(job.prompt.size());
  Require(prompt > 0 || (!job.logits.empty() && sequence_.size() > 0),
          "the prompt must have at least 1 token, got 0");
  // To draw from logits takes no room.
  Require(prompt == 0 || sequence_.size() + prompt < sequence_.length(),
          "the prompt has " + std::to_string(sequence_.size() + prompt) +
              " tokens and leaves no room in a context of " +
              std::to_string(sequence_.length()));
  Require(job.options.max_tokens >= 1,
          "at least 1 token must be generated, got " +
              std::to_string(job.options.max_tokens));
  Require(job.options.keep >= 0, "a shift keeps at least 0 tokens, got " +
                                     std::to_string(job.options.keep));
  if (job.options.shift) {
    shift_count_ = ShiftCount(sequence_, job.options.keep);
  }
  sequence_.RequireFits(job.prompt);
  if (job.options.shift && sequence_.size() >= job.options.keep) {
    const auto reason = sequence_.WhyNotShift(job.options.keep, 0);
    Require(!reason, "the context cannot be shifted: " + reason.value_or(""));
  }
  decoder_ = std::make_unique<tokenizer::StreamDecoder>(
      tokenizer_, prompt > 0 ? job.prompt.back() : sequence_.tokens().back());
  if (job.options.grammar != nullptr) {
    const Token last =
        prompt > 0 ? job.prompt.back() : sequence_.tokens().back();
    const auto& vocabulary = job.options.grammar->vocabulary();
    Require(static_cast<int64_t>(vocabulary.texts.size()) ==
                tokenizer_.VocabularySize(),
            "the grammar was made for another vocabulary");
    matcher_.emplace(job.options.grammar,
                     StartsText(tokenizer_, vocabulary, last));
  }
  sampler_.Accept(sequence_.tokens());
  sampler_.Accept(job.prompt);
  result_.prompt_tokens = prompt;
}

int64_t Writer::Wanted() const {
  if (!reads_prompt()) return 1;
  int64_t most = cut_.chunk;
  if (cut_.aligned) most -= sequence_.size() % cut_.chunk;
  if (change_due_ && sequence_.size() < job_.options.change->at) {
    most = std::min(most, job_.options.change->at - sequence_.size());
  }
  return std::min(most, static_cast<int64_t>(job_.prompt.size() - read_));
}

model::Slice Writer::Next() {
  ChangeSchemeIfDue();
  std::span<const Token> tokens(&drawn_, 1);
  if (reads_prompt()) {
    tokens = std::span<const Token>(job_.prompt)
                 .subspan(read_, static_cast<size_t>(Wanted()));
  } else {
    MakeRoom();
  }
  count_ = tokens.size();
  const bool last =
      !reads_prompt() || read_ + tokens.size() == job_.prompt.size();
  return {.sequence = &sequence_, .tokens = tokens, .logits = last ? 1 : 0};
}

// The embedding may have padding rows that are not in the vocabulary.
std::span<const float> Writer::OfVocabulary(
    std::span<const float> logits) const {
  const auto vocabulary = static_cast<size_t>(tokenizer_.VocabularySize());
  return logits.first(std::min(logits.size(), vocabulary));
}

void Writer::Choose(std::span<const float> logits) {
  if (!matcher_) chosen_ = sampler_.Sample(OfVocabulary(logits), {});
}

void Writer::Took(std::span<const float> logits) {
  if (reads_prompt()) {
    read_ += count_;
    if (!job_.callbacks.on_prompt(static_cast<int64_t>(count_))) {
      return Finish(StopReason::kStopped);
    }
    if (reads_prompt()) return;
    result_.prompt_seconds = SecondsSince(begin_);
    begin_ = Clock::now();
  }
  Draw(logits);
}

void Writer::Stop() {
  if (!done_) Finish(StopReason::kStopped);
}

void Writer::ChangeSchemeIfDue() {
  if (!change_due_ || sequence_.size() < job_.options.change->at) return;
  job_.session->ChangeScheme(job_.options.change->scheme);
  change_due_ = false;
  if (job_.options.shift) {
    shift_count_ = ShiftCount(sequence_, job_.options.keep);
  }
}

void Writer::MakeRoom() {
  if (sequence_.size() < sequence_.length()) return;
  sequence_.Shift(job_.options.keep, shift_count_);
  result_.shifted_tokens += shift_count_;
}

void Writer::Draw(std::span<const float> logits) {
  const GenerateOptions& options = job_.options;
  const auto row = OfVocabulary(logits);
  std::span<const uint64_t> allowed;
  if (matcher_) {
    // Nothing may follow: a text that goes on would be none of the grammar.
    if (matcher_->MustEnd()) return Finish(StopReason::kEndOfText);
    allowed = matcher_->Allowed(options.ignore_end_of_text
                                    ? grammar::Ends::kNever
                                    : grammar::Ends::kWhereAllowed);
    if (grammar::IsEmpty(allowed)) {
      if (matcher_->MayEnd()) return Finish(StopReason::kEndOfText);
      throw std::runtime_error(
          "the grammar allows no token here: the vocabulary has none that "
          "goes on with a text of the grammar");
    }
  }
  const Token token = chosen_ ? *chosen_ : sampler_.Sample(row, allowed);
  chosen_.reset();
  // Some models were trained on texts divided by BOS alone: BOS ends a text.
  const bool ends = tokenizer_.IsEndOfText(token) || token == tokenizer_.bos();
  if (ends && !options.ignore_end_of_text) {
    return Finish(StopReason::kEndOfText);
  }
  if (matcher_) matcher_->Accept(token);
  sampler_.Accept(token);
  drawn_ = token;
  ++result_.generated_tokens;
  GeneratedToken generated{.token = token,
                           .text = stops_.Add(decoder_->Add(token))};
  if (options.log_probabilities) {
    generated.log_probabilities =
        ComputeLogProbabilities(row, token, *options.log_probabilities);
  }
  const bool goes_on = job_.callbacks.on_token(generated);
  if (stops_.stop()) {
    result_.stop = *stops_.stop();
    return Finish(StopReason::kStopText);
  }
  if (!goes_on) return Finish(StopReason::kStopped);
  if (result_.generated_tokens == options.max_tokens) {
    return Finish(StopReason::kTokenLimit);
  }
  if (sequence_.size() == sequence_.length() && !options.shift) {
    return Finish(StopReason::kContextFull);
  }
}

void Writer::Finish(StopReason reason) {
  done_ = true;
  std::string rest = stops_.Add(decoder_->Finish());
  // The last bytes may complete a stop string.
  if (stops_.stop() && result_.stop.empty() && reason != StopReason::kStopped) {
    result_.stop = *stops_.stop();
    reason = StopReason::kStopText;
  }
  result_.reason = reason;
  rest += stops_.Finish();
  job_.callbacks.on_end(rest);
  (reads_prompt() ? result_.prompt_seconds : result_.generate_seconds) =
      SecondsSince(begin_);
}

}  // namespace ropewalk::engine
