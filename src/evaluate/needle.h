// Passkey retrieval: a number hidden in filler text, asked for at the end.

#ifndef ROPEWALK_EVALUATE_NEEDLE_H_
#define ROPEWALK_EVALUATE_NEEDLE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evaluate/scorer.h"
#include "position/scheme.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::evaluate {

struct NeedleOptions {
  std::vector<position::Scheme> schemes;
  std::vector<std::string> spellings;
  std::vector<int64_t> lengths;  // tokens of prompt and answer together
  std::vector<double> at;        // where the number stands, percent
  int64_t trials = 5;            // numbers a cell
  uint64_t seed = 1;
};

// One cell of the grid.
struct NeedleRow {
  std::string position;
  std::string resolved;
  int64_t length = 0;
  double at = 0;  // percent
  int64_t trials = 0;
  double accuracy = 0;        // of whole numbers, as greedy decoding would give
  double digit_accuracy = 0;  // of tokens of the number
  double loss = 0;            // nats a token of the number
  double seconds = 0;
  std::optional<std::string> known_to_fail;
};

struct NeedlePrompt {
  std::vector<Token> ids;    // prompt, then the answer
  int64_t answer_first = 0;  // index of the answer's first token
};

// A prompt of `length` tokens at most, as close to it as whole filler
// sentences allow. Throws std::invalid_argument when `length` cannot even hold
// the number and the question, naming the least that can.
NeedlePrompt MakeNeedle(const tokenizer::Tokenizer& tokenizer, int64_t length,
                        double at_percent, int64_t number);

// Whether all tokens of the number are the most likely ones, each after the
// right ones before: exactly when greedy decoding would say the number.
void RunNeedle(Scorer& scorer, const tokenizer::Tokenizer& tokenizer,
               const NeedleOptions& options, const OnTokens& on_tokens,
               const std::function<void(const NeedleRow&)>& on_row);

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_NEEDLE_H_
