// Tasks with an input and an output sequence, as pure functions of (seed,
// index).

#ifndef ROPEWALK_LAB_DATA_PAIR_TASKS_H_
#define ROPEWALK_LAB_DATA_PAIR_TASKS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "lab/data/pair_batch.h"
#include "lab/data/token_stream.h"

namespace ropewalk::lab::data {

enum class PairTask {
  // Over text:
  kContinue,  // a passage -> what follows it
  kFill,      // a passage with sentinels for spans -> the spans (as in T5)
  kCipher,    // a passage -> its verses in reverse order, each token replaced
              // by another, always the same
  // Over random symbols:
  kCopy,
  kReverse,
  kSort,    // ascending by id
  kRecall,  // key value key value ... -> the same pairs in another order, of
            // which the values are what is to be told (Arora et al. 2023)
};

// As configs spell it.
constexpr std::string_view PairTaskName(PairTask task) {
  switch (task) {
    case PairTask::kContinue:
      return "continue";
    case PairTask::kFill:
      return "fill";
    case PairTask::kCipher:
      return "cipher";
    case PairTask::kCopy:
      return "copy";
    case PairTask::kReverse:
      return "reverse";
    case PairTask::kSort:
      return "sort";
    case PairTask::kRecall:
      return "recall";
  }
  return "unknown";
}
bool NeedsText(PairTask task);

struct PairTaskOptions {
  PairTask task = PairTask::kContinue;
  uint64_t seed = 0;
  // Tokens of the input, drawn evenly from [min, max] for each pair. (kFill
  // counts the passage, kRecall the pairs of key and value.)
  int64_t min_input = 64;
  int64_t max_input = 64;
  int64_t output = 64;  // kContinue: tokens of the output
  // The ids that random symbols, and the code of kCipher, are made of. kRecall
  // takes keys from the lower half and values from the upper.
  Token first_symbol = 3;
  int64_t symbols = 64;
  // kFill: T5's settings. Sentinels are first_sentinel, first_sentinel + 1, ..
  double fill_share = 0.15;
  double fill_span = 3;  // tokens of a span on average
  Token first_sentinel = 3;
  int64_t sentinels = 100;
  // kCipher: a verse ends with this token, or without one after so many.
  std::optional<Token> verse_end;
  int64_t verse_tokens = 8;
};

// Of pairs whose input, separator and output fill at most N columns, in a
// vocabulary of V, whose first 3 ids are no symbols. N must be at least 16 and
// V at least 12.
PairTaskOptions PairsWithin(PairTask task, int64_t N, int64_t V);

// Tokens of a pair, the output's end among them: the mean where they vary. A
// fraction of a token is dropped.
struct PairLengths {
  int64_t input = 0;
  int64_t output = 0;
};
PairLengths MeanLengths(const PairTaskOptions& options);

// Immutable after construction: any number of threads at a time.
class PairMaker {
 public:
  // `text` may be null where NeedsText is false; it is borrowed. Throws
  // std::invalid_argument for options that contradict each other, and a text
  // that is too short.
  PairMaker(const PairTaskOptions& options, const TokenStream* text);

  SequencePair Make(int64_t index) const;
  // Pairs [first, first + count).
  std::vector<SequencePair> Make(int64_t first, int64_t count) const;

 private:
  SequencePair Fill(std::vector<Token> passage, int64_t index) const;
  SequencePair Cipher(std::vector<Token> passage) const;
  SequencePair Recall(int64_t pairs, int64_t index) const;

  PairTaskOptions options_;
  const TokenStream* text_;
  std::vector<Token> code_;  // of first_symbol + i
};

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_PAIR_TASKS_H_
