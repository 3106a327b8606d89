// DRY ("don't repeat yourself"): a penalty on tokens that would prolong a
// repetition of an earlier part of the text. The penalty grows exponentially
// with its length, so a loop ends even if the model is sure of it. p-e-w
// proposed it for text-generation-webui (pull request 5677); llama.cpp has it
// too.

#ifndef ROPEWALK_ENGINE_DRY_H_
#define ROPEWALK_ENGINE_DRY_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/token.h"

namespace ropewalk::engine {

// Let n be the largest number of last tokens of the text that also occur
// earlier within the last `last` tokens and are followed there by the token t.
// If n is at least allowed_length, the logit of t falls by
//   multiplier * base^(n - allowed_length).
// Only tokens behind the last breaker count for n. A token that is a breaker or
// would complete one gets no penalty.
struct DryOptions {
  double multiplier = 0;       // 0 turns DRY off
  double base = 1.75;          // at least 1
  int64_t allowed_length = 2;  // at least 1
  int64_t last = -1;           // 0: no tokens, -1: all
  // Texts that end repetitions. One may be part of a token or of several.
  std::vector<std::string> breakers = {"\n", ":", "\"", "*"};
  std::vector<Token> breaker_tokens;  // tokens that do the same
};

// Throws std::invalid_argument naming the option out of range.
void Validate(const DryOptions& options);

// Returns the bytes of a token within a text.
using TokenText = std::function<std::string(Token)>;

// Keeps the last `last` tokens of a text and computes penalties. One thread at
// a time.
class Dry {
 public:
  // `text_of` is called only if breakers are texts. Throws like Validate, and
  // std::invalid_argument if `text_of` is empty but needed.
  Dry(const DryOptions& options, TokenText text_of);

  // Appends `token` to the text.
  void Accept(Token token);

  // Applies the penalties to `logits` [V]; tokens beyond V are ignored. The
  // time is proportional to the number of tokens kept.
  void Apply(std::span<double> logits);

 private:
  // Whether `token`, after the text so far, is a breaker or completes one.
  bool Breaks(Token token) const;
  // The last `last` of the kept tokens.
  std::span<const Token> Window() const;

  DryOptions options_;
  TokenText text_of_;
  bool active_;
  size_t longest_breaker_ = 0;  // bytes
  std::vector<Token> history_;
  int64_t since_break_ = 0;  // tokens behind the last breaker
  std::string tail_;  // the last bytes: one less than the longest breaker
  // Scratch of Apply.
  std::vector<int64_t> matches_;
  std::unordered_map<Token, int64_t> longest_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_DRY_H_
