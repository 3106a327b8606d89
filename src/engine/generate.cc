#include "engine/generate.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/error.h"
#include "engine/grammar_vocabulary.h"
#include "engine/stop_strings.h"
#include "grammar/token_masks.h"
#include "model/forward.h"
#include "tokenizer/stream_decoder.h"

namespace ropewalk::engine {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
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

// Runs one job.
class Writer {
 public:
  explicit Writer(GenerateJob& job)
      : job_(job),
        sequence_(job.session->sequence()),
        tokenizer_(job.session->engine().tokenizer()),
        sampler_(job.options.sampling, job.options.seed, tokenizer_),
        stops_(job.options.stops) {
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

  bool done() const { return done_; }
  bool reads_prompt() const { return read_ < job_.prompt.size(); }
  const GenerateResult& result() const { return result_; }

  // The number of tokens that the job reads next.
  int64_t Wanted() const {
    if (!reads_prompt()) return 1;
    int64_t most = kPromptChunk;
    if (change_due_ && sequence_.size() < job_.options.change->at) {
      most = std::min(most, job_.options.change->at - sequence_.size());
    }
    return std::min(most, static_cast<int64_t>(job_.prompt.size() - read_));
  }

  // Returns those tokens as a slice of a pass. First changes the scheme or
  // shifts the context if that is due.
  model::Slice Next() {
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

  // Takes the logits of the pass, if they were asked for, and draws a token.
  void Took(std::span<const float> logits) {
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

 private:
  void ChangeSchemeIfDue() {
    if (!change_due_ || sequence_.size() < job_.options.change->at) return;
    job_.session->ChangeScheme(job_.options.change->scheme);
    change_due_ = false;
    if (job_.options.shift) {
      shift_count_ = ShiftCount(sequence_, job_.options.keep);
    }
  }

  void MakeRoom() {
    if (sequence_.size() < sequence_.length()) return;
    sequence_.Shift(job_.options.keep, shift_count_);
    result_.shifted_tokens += shift_count_;
  }

  void Draw(std::span<const float> logits) {
    const GenerateOptions& options = job_.options;
    // The embedding may have padding rows that are not in the vocabulary.
    const auto vocabulary = static_cast<size_t>(tokenizer_.VocabularySize());
    const auto row = logits.first(std::min(logits.size(), vocabulary));
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
    const Token token = sampler_.Sample(row, allowed);
    // Some models were trained on texts divided by BOS alone: BOS ends a text.
    const bool ends =
        tokenizer_.IsEndOfText(token) || token == tokenizer_.bos();
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

  void Finish(StopReason reason) {
    done_ = true;
    std::string rest = stops_.Add(decoder_->Finish());
    // The last bytes may complete a stop string.
    if (stops_.stop() && result_.stop.empty() &&
        reason != StopReason::kStopped) {
      result_.stop = *stops_.stop();
      reason = StopReason::kStopText;
    }
    result_.reason = reason;
    rest += stops_.Finish();
    job_.callbacks.on_end(rest);
    (reads_prompt() ? result_.prompt_seconds : result_.generate_seconds) =
        SecondsSince(begin_);
  }

  GenerateJob& job_;
  model::Sequence& sequence_;
  const tokenizer::Tokenizer& tokenizer_;
  Sampler sampler_;
  std::optional<grammar::Matcher> matcher_;
  StopStrings stops_;
  std::unique_ptr<tokenizer::StreamDecoder> decoder_;
  GenerateResult result_;
  Clock::time_point begin_ = Clock::now();
  bool change_due_ = job_.options.change.has_value();
  int64_t shift_count_ = 0;
  size_t read_ = 0;   // tokens of the prompt
  size_t count_ = 0;  // tokens in the current pass
  Token drawn_ = 0;
  bool done_ = false;
};

// Chooses writers that fit into one pass. Those that generate come first, since
// each needs one token only. A writer without room is first next time.
std::vector<Writer*> Choose(std::vector<std::unique_ptr<Writer>>& writers,
                            size_t first, std::vector<model::Slice>& slices) {
  std::vector<Writer*> chosen;
  int64_t tokens = 0;
  for (const bool prompts : {false, true}) {
    for (size_t i = 0; i < writers.size(); ++i) {
      Writer& writer = *writers[(first + i) % writers.size()];
      if (writer.done() || writer.reads_prompt() != prompts) continue;
      if (tokens + writer.Wanted() > (prompts ? kPassTokens : kPromptChunk)) {
        break;
      }
      slices.push_back(writer.Next());
      tokens += static_cast<int64_t>(slices.back().tokens.size());
      chosen.push_back(&writer);
    }
  }
  return chosen;
}

}  // namespace

std::vector<GenerateResult> Generate(std::span<GenerateJob> jobs) {
  std::vector<GenerateResult> results;
  if (jobs.empty()) return results;
  Engine& engine = jobs.front().session->engine();
  std::vector<std::unique_ptr<Writer>> writers;
  int64_t bytes = 0;
  for (GenerateJob& job : jobs) {
    Require(&job.session->engine() == &engine,
            "texts that are generated together belong to one model");
    for (const GenerateJob& other : jobs) {
      Require(&other == &job || other.session != job.session,
              "a session stands in two texts that are generated together");
    }
    writers.push_back(std::make_unique<Writer>(job));
    bytes += job.session->BytesToReach(job.session->size() +
                                       static_cast<int64_t>(job.prompt.size()));
  }
  engine.workspace().pool()->RequireRoom(bytes);
  for (size_t i = 0; i < writers.size(); ++i) {
    if (jobs[i].prompt.empty()) writers[i]->Took(jobs[i].logits);
  }
  for (size_t turn = 0;; ++turn) {
    std::vector<model::Slice> slices;
    const std::vector<Writer*> chosen =
        Choose(writers, turn % writers.size(), slices);
    if (chosen.empty()) break;
    // Callbacks may take long or use the engine, so they run outside the lock.
    std::vector<std::vector<float>> logits(chosen.size());
    {
      const std::lock_guard lock(engine.pass_mutex());
      model::Workspace& workspace = engine.workspace();
      model::Forward(engine.model(), slices, workspace);
      const int64_t rows = workspace.logit_rows();
      const std::span<const float> all = workspace.Logits(0, rows);
      const size_t V = rows > 0 ? all.size() / static_cast<size_t>(rows) : 0;
      size_t row = 0;
      for (size_t i = 0; i < chosen.size(); ++i) {
        if (slices[i].logits == 0) continue;
        const auto own = all.subspan(row++ * V, V);
        logits[i].assign(own.begin(), own.end());
      }
    }
    for (size_t i = 0; i < chosen.size(); ++i) chosen[i]->Took(logits[i]);
  }
  for (const auto& writer : writers) results.push_back(writer->result());
  return results;
}

GenerateResult Generate(GenerateJob job) {
  return Generate(std::span(&job, 1)).front();
}

}  // namespace ropewalk::engine
