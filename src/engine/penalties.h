// Penalties on tokens that already occur in the text.

#ifndef ROPEWALK_ENGINE_PENALTIES_H_
#define ROPEWALK_ENGINE_PENALTIES_H_

#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>

#include "base/token.h"

namespace ropewalk::engine {

struct PenaltyOptions {
  // A positive logit is divided by this and a negative one multiplied (Keskar
  // et al. 2019, CTRL). Above 0; 1 changes nothing, less invites repetition.
  double repetition = 1;
  // As OpenAI defines them: logit - count * frequency - (count > 0) * presence.
  double frequency = 0;
  double presence = 0;
  // The number of last tokens that are counted; 0: no tokens, -1: all.
  int64_t last = 64;
};

// Throws std::invalid_argument naming the option out of range.
void Validate(const PenaltyOptions& options);

// Counts the last tokens of a text. Memory is bounded by `last` or, if all
// tokens count, by the vocabulary. One thread at a time.
class Penalties {
 public:
  // Throws like Validate.
  explicit Penalties(const PenaltyOptions& options);

  // Appends `token` to the text.
  void Accept(Token token);

  // Changes the logits of the tokens that were counted: repetition first, then
  // frequency and presence. `logits` [V]; tokens beyond V are ignored.
  void Apply(std::span<double> logits) const;

 private:
  PenaltyOptions options_;
  bool active_;
  std::deque<Token> window_;  // the counted tokens; empty if all are
  std::unordered_map<Token, int64_t> counts_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_PENALTIES_H_
