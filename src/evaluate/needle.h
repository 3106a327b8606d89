// Passkey retrieval: filler text hides a number, and the end asks for it.

#ifndef ROPEWALK_EVALUATE_NEEDLE_H_
#define ROPEWALK_EVALUATE_NEEDLE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evaluate/documents.h"
#include "evaluate/scorer.h"
#include "position/scheme.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::evaluate {

struct NeedleOptions {
  std::vector<position::Scheme> schemes;
  std::vector<std::string> spellings;
  std::vector<int64_t> lengths;  // tokens of prompt and answer together
  std::vector<double> at;        // place of the number in the text, percent
  int64_t trials = 5;            // numbers in a cell
  uint64_t seed = 1;
};

// One cell of the grid.
struct NeedleRow {
  std::string position;
  std::string resolved;
  int64_t length = 0;
  double at = 0;  // percent
  int64_t trials = 0;
  double accuracy = 0;        // of whole numbers under greedy decoding
  double digit_accuracy = 0;  // of the tokens of the number
  double loss = 0;            // nats, mean over the tokens of the number
  double seconds = 0;
  std::optional<std::string> known_to_fail;
};

struct NeedleText {
  std::string prompt;
  std::string answer;
};

// A prompt that takes at most `length` tokens with its answer, with as many
// whole filler sentences as fit. Throws std::invalid_argument, with the least
// possible length, if `length` is too small for the number and the question,
// for one above 2^24 and for a place that is not from 0 to 100.
NeedleText WriteNeedle(const tokenizer::Tokenizer& tokenizer, int64_t length,
                       double at_percent, int64_t number);

// The same as ids.
AnsweredPrompt MakeNeedle(const tokenizer::Tokenizer& tokenizer, int64_t length,
                          double at_percent, int64_t number);

// True if each token of the number is the most likely one after the correct
// tokens before it, which means that greedy decoding gives the number.
void RunNeedle(Scorer& scorer, const tokenizer::Tokenizer& tokenizer,
               const NeedleOptions& options, const OnTokens& on_tokens,
               const std::function<void(const NeedleRow&)>& on_row);

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_NEEDLE_H_
