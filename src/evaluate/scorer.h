// What an evaluation needs of a model: either wing's models give this.

#ifndef ROPEWALK_EVALUATE_SCORER_H_
#define ROPEWALK_EVALUATE_SCORER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/token.h"
#include "position/model_positions.h"
#include "position/plan.h"

namespace ropewalk::evaluate {

// How well one token was foreseen.
struct TokenScore {
  double loss = 0;       // -ln p(token), nats
  bool correct = false;  // the token was the most likely one
};

// `logits` [V] against the token that came. Of equal logits the first counts
// as the most likely. Sums run in float64.
TokenScore ScoreLogits(std::span<const float> logits, Token target);

using OnTokens = std::function<void(int64_t tokens, double work)>;

class Scorer {
 public:
  virtual ~Scorer() = default;

  virtual const position::ModelPositions& positions() const = 0;
  virtual int64_t layers() const = 0;
  virtual int64_t vocabulary() const = 0;

  // Reads ids[0 .. n-2] afresh under `stack`, whose plans hold for n - 1
  // tokens, and scores the targets ids[first_target .. n-1], each from what
  // stands before it.
  //
  //   1 <= first_target < n; every id within the vocabulary
  //   on_tokens   called with the tokens read since the last call and the
  //               work they were, in the unit of Work; may throw
  //               (Interrupted) to stop
  virtual std::vector<TokenScore> Score(const position::Stack& stack,
                                        std::span<const Token> ids,
                                        int64_t first_target,
                                        const OnTokens& on_tokens) = 0;

  // About what reading tokens [first, first + T) costs, in multiplications:
  // for progress bars, since later tokens of a text look back on more.
  virtual double Work(const position::Stack& stack, int64_t first,
                      int64_t T) const = 0;

  // Keys and values that the last Score held at its end; the least that its
  // laws need where nothing is kept.
  virtual int64_t kv_bytes() const = 0;
};

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_SCORER_H_
