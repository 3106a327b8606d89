#include "evaluate/needle.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace ropewalk::evaluate {
namespace {

constexpr std::array<const char*, 4> kFiller = {
    " The rope lies along the walk.", " The strands are long and even.",
    " The men go back and forth.", " The day is mild and the doors are open."};

std::string Key(int64_t number) {
  const std::string digits = std::to_string(number);
  return " The pass key is " + digits + ". Remember it. " + digits +
         " is the pass key.";
}

constexpr const char* kOpening =
    "There is a pass key hidden in a long, dull text. Find it and keep it in "
    "mind.";
constexpr const char* kQuestion = " What is the pass key? The pass key is";
// A limit, because the prompt is one text in memory.
constexpr int64_t kLongest = int64_t{1} << 24;

void RequirePlace(double at_percent) {
  Require(at_percent >= 0 && at_percent <= 100,
          "needle: a place must be from 0 to 100 percent, got " +
              FormatNumber(at_percent));
}

AnsweredPrompt Encode(const tokenizer::Tokenizer& tokenizer,
                      const NeedleText& text) {
  return EncodeAnswered(tokenizer, text.prompt, text.answer, /*begins=*/true);
}

}  // namespace

NeedleText WriteNeedle(const tokenizer::Tokenizer& tokenizer, int64_t length,
                       double at_percent, int64_t number) {
  Require(length <= kLongest, "needle: a length must be at most " +
                                  std::to_string(kLongest) + ", got " +
                                  std::to_string(length));
  RequirePlace(at_percent);
  // Encodes sentence by sentence, so that the number of tokens is known before
  // the text is complete; in the end the whole text is encoded.
  std::vector<int64_t> costs;
  costs.reserve(kFiller.size());
  for (const char* sentence : kFiller) {
    costs.push_back(
        static_cast<int64_t>(tokenizer
                                 .Encode(std::string(".") + sentence,
                                         {.add_bos = false, .add_eos = false})
                                 .size()));
  }
  const auto build = [&](int64_t sentences) {
    const auto before = static_cast<int64_t>(
        std::lround(at_percent / 100 * static_cast<double>(sentences)));
    std::string text = kOpening;
    for (int64_t s = 0; s < sentences; ++s) {
      if (s == before) text += Key(number);
      text += kFiller[static_cast<size_t>(s) % kFiller.size()];
    }
    if (before >= sentences) text += Key(number);
    text += kQuestion;
    return NeedleText{.prompt = std::move(text),
                      .answer = " " + std::to_string(number)};
  };
  const auto size = [&](int64_t sentences) {
    return static_cast<int64_t>(Encode(tokenizer, build(sentences)).ids.size());
  };
  // `ids` has one token more than the model reads: the last is only a target.
  const int64_t room = length + 1;
  const int64_t least = size(0);
  Require(least <= room, "needle: a length must be at least " +
                             std::to_string(least - 1) +
                             ", which number and question take, got " +
                             std::to_string(length));
  // More sentences make more tokens, so this searches the largest number that
  // fits.
  int64_t low = 0;
  int64_t high = 2 + (room - least) / *std::ranges::min_element(costs) * 2;
  while (low + 1 < high) {
    const int64_t middle = (low + high) / 2;
    (size(middle) <= room ? low : high) = middle;
  }
  return build(low);
}

AnsweredPrompt MakeNeedle(const tokenizer::Tokenizer& tokenizer, int64_t length,
                          double at_percent, int64_t number) {
  return Encode(tokenizer, WriteNeedle(tokenizer, length, at_percent, number));
}

void RunNeedle(Scorer& scorer, const tokenizer::Tokenizer& tokenizer,
               const NeedleOptions& options, const OnTokens& on_tokens,
               const std::function<void(const NeedleRow&)>& on_row) {
  using Clock = std::chrono::steady_clock;
  const position::ModelPositions& positions = scorer.positions();
  Require(options.trials > 0, "needle: trials must be above 0, got " +
                                  std::to_string(options.trials));
  for (const double at : options.at) RequirePlace(at);
  for (const position::Scheme& scheme : options.schemes) {
    for (const int64_t length : options.lengths) {
      (void)MakeNeedle(tokenizer, length, 0, 12345);
      (void)position::BuildStack(position::Resolve(scheme, positions, length),
                                 positions, length, scorer.layers());
    }
  }
  for (size_t s = 0; s < options.schemes.size(); ++s) {
    for (const int64_t length : options.lengths) {
      const position::Scheme resolved =
          position::Resolve(options.schemes[s], positions, length);
      const position::Stack stack =
          position::BuildStack(resolved, positions, length, scorer.layers());
      for (const double at : options.at) {
        // The same numbers in every cell and under every scheme.
        Rng rng(options.seed);
        const Clock::time_point begin = Clock::now();
        NeedleRow row{.position = options.spellings[s],
                      .resolved = position::ToString(resolved),
                      .length = length,
                      .at = at,
                      .trials = options.trials,
                      .known_to_fail =
                          position::KnownToFail(resolved, positions, length)};
        int64_t digits = 0;
        int64_t right = 0;
        int64_t whole = 0;
        for (int64_t trial = 0; trial < options.trials; ++trial) {
          const int64_t number = 10000 + rng.Below(90000);
          const AnsweredPrompt prompt =
              MakeNeedle(tokenizer, length, at, number);
          const std::vector<TokenScore> scores =
              scorer.Score(stack, prompt.ids, prompt.answer_first, on_tokens);
          int64_t correct = 0;
          for (const TokenScore& score : scores) {
            correct += score.correct ? 1 : 0;
            row.loss += score.loss;
          }
          digits += static_cast<int64_t>(scores.size());
          right += correct;
          whole += correct == static_cast<int64_t>(scores.size()) ? 1 : 0;
        }
        row.accuracy =
            static_cast<double>(whole) / static_cast<double>(row.trials);
        row.digit_accuracy =
            static_cast<double>(right) / static_cast<double>(digits);
        row.loss /= static_cast<double>(digits);
        row.seconds =
            std::chrono::duration<double>(Clock::now() - begin).count();
        on_row(row);
      }
    }
  }
}

}  // namespace ropewalk::evaluate
