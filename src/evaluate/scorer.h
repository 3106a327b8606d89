// The interface through which evaluations use a model.
//
// The folder evaluate/ measures models: loss by length (measure.h), passkeys
// (needle.h), attention entropy (attention_entropy.h). Measurements see a model
// only as a Scorer, which the runtime (model_scorer.h) and the lab implement,
// so that both give the same numbers. The protocols define published numbers; a
// change of one needs new measurements.

#ifndef ROPEWALK_EVALUATE_SCORER_H_
#define ROPEWALK_EVALUATE_SCORER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/parallel.h"
#include "base/time_left.h"
#include "base/token.h"
#include "position/model_positions.h"
#include "position/plan.h"

namespace ropewalk::evaluate {

// How well the model predicted one token.
struct TokenScore {
  double loss = 0;       // -ln p(token), nats
  bool correct = false;  // the token was the most likely one
};

// Scores `logits` [V] against the token that follows. Of equal logits the first
// counts as the most likely. Sums are formed in float64.
TokenScore ScoreLogits(std::span<const float> logits, Token target);

// Scores the targets of rows 0, 1, ... of a pass. `logits` gives the logits
// [rows, vocabulary] of rows [first, first + rows), a few rows at a time, so
// that a vocabulary of 262144 does not need hundreds of megabytes.
std::vector<TokenScore> ScoreRows(
    ParallelFor& threads, std::span<const Token> targets, int64_t vocabulary,
    const std::function<std::span<const float>(int64_t first, int64_t rows)>&
        logits);

using OnTokens = std::function<void(int64_t tokens, const Workload& work)>;

class Scorer {
 public:
  virtual ~Scorer() = default;

  virtual const position::ModelPositions& positions() const = 0;
  virtual int64_t layers() const = 0;
  virtual int64_t vocabulary() const = 0;

  // Reads ids[0 .. n-2] from the start under `stack`, whose plans hold for n -
  // 1 tokens, and scores the targets ids[first_target .. n-1], each from the
  // ids before it.
  //
  //   1 <= first_target < n; every id within the vocabulary
  //   on_tokens   called with the number of tokens read since the last call and
  //               their work, in the unit of Work; may throw (Interrupted) to
  //               stop
  virtual std::vector<TokenScore> Score(const position::Stack& stack,
                                        std::span<const Token> ids,
                                        int64_t first_target,
                                        const OnTokens& on_tokens) = 0;

  // The approximate cost of reading tokens [first, first + T), in
  // multiplications. For the time left, because later tokens read more keys.
  virtual Workload Work(const position::Stack& stack, int64_t first,
                        int64_t T) const = 0;
  // That of the logits of a token that is scored, beside its Work.
  virtual double ScoreWork() const { return 0; }

  // Bytes of the keys and values that the last Score had stored at its end. A
  // model that stores nothing gives the least that its plans need.
  virtual int64_t kv_bytes() const = 0;
};

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_SCORER_H_
