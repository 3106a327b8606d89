// One reading of a long text, and many questions about it.
//
// A text is read once. Its last tokens are scored as they come, and each
// question is asked in a fork of the keys and values, so that twenty hidden
// numbers cost hardly more than one reading. The questions:
//
//   needle   " The secret code of the lion is 48213.", said twice, stands
//            somewhere in the text; the end asks for it. As many needles as
//            wanted, evenly spread over the part that is not scored.
//   passage  a passage from near the beginning comes again; its last tokens
//            are scored. Only who finds it there predicts them well.
//   trace    "the value of birch is the value of amber" and the like: a number
//            that must be followed through up to two steps (RULER's variable
//            tracking, arXiv 2404.06654, made small).

#ifndef ROPEWALK_EVALUATE_READING_H_
#define ROPEWALK_EVALUATE_READING_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/token.h"
#include "engine/engine.h"
#include "evaluate/documents.h"
#include "evaluate/scorer.h"
#include "position/plan.h"

namespace ropewalk::evaluate {

struct Question {
  enum class Kind { kNeedle, kPassage, kTrace };
  Kind kind = Kind::kNeedle;
  int64_t steps = 0;  // of a trace: 0 asks for what is said outright
  // Tokens from the first one of the sentence or passage asked about to the
  // text's end.
  int64_t distance = 0;
  std::vector<Token> prompt;
  std::vector<Token> answer;  // at least one
};

struct Reading {
  std::vector<Token> ids;  // with the needles, and the begin token if any
  int64_t scored = 0;      // so many targets at the end
  std::vector<Question> questions;
};

struct ReadingOptions {
  int64_t length = 0;  // tokens of the text and the longest question together
  int64_t scored = 2048;
  int64_t needles = 20;  // at most kMostNeedles
  int64_t chains = 2;    // of traces, three questions each; at most kMostChains
  int64_t passage = 1024;
  int64_t passage_scored = 768;  // its last tokens; the others show what it is
  uint64_t seed = 1;             // of the numbers
};

// What a model that was trained to N tokens is asked: the numbers above from N
// = 8192 on, less of everything for a shorter N, which must hold it all.
ReadingOptions ReadingFor(int64_t N, int64_t length, uint64_t seed);

inline constexpr int64_t kMostNeedles = 32;
inline constexpr int64_t kMostChains = 4;

// The text ends where `document` ends, so that readings of any length score
// the same targets. Throws std::invalid_argument if the document or the length
// is too short.
Reading MakeReading(const tokenizer::Tokenizer& tokenizer,
                    const Document& document, const ReadingOptions& options);

// Which of the last `scored` ids have occurred in the last `length` ids of
// `document`, but not among the `recent` ids before them: names and rare words,
// for which only a far look helps. Indices from 0, the first scored id.
std::vector<int64_t> SeenOnlyLongAgo(const Document& document, int64_t scored,
                                     int64_t recent, int64_t length);

struct AnswerScore {
  double loss = 0;       // nats, mean over the tokens of the answer
  double accuracy = 0;   // of these tokens, in [0, 1]
  bool correct = false;  // all of them: greedy decoding gives the answer
};

struct ReadingScores {
  std::vector<TokenScore> text;      // of the scored targets
  std::vector<AnswerScore> answers;  // of the questions, in their order
  double seconds = 0;                // of reading the text alone
  int64_t kv_bytes = 0;              // when it was read
};

// Reads under `stack`, whose plans hold for the length of the options.
// `on_tokens` may throw to stop. Throws like model::Forward.
ReadingScores Read(engine::Engine& engine, const position::Stack& stack,
                   const Reading& reading, DType kv_type,
                   const OnTokens& on_tokens);

// The tokens that Read passes through the model.
int64_t TokensOf(const Reading& reading);

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_READING_H_
