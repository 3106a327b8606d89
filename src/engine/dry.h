// DRY ("don't repeat yourself"): a penalty on tokens that would prolong a
// sequence that the text already has. The penalty grows exponentially with the
// sequence, so that a loop ends however sure the model is of it. Proposed by
// p-e-w for text-generation-webui (pull request 5677), also in llama.cpp.

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

// Let a token t have followed, somewhere in the last `last` tokens, a sequence
// that ends the text now, and let n be the length of the longest such sequence.
// For n >= allowed_length the logit of t falls by
//   multiplier * base^(n - allowed_length).
// A sequence begins behind the last breaker of the text; a token that is a
// breaker itself, or that would complete one, gets no penalty.
struct DryOptions {
  double multiplier = 0;       // 0: off
  double base = 1.75;          // at least 1
  int64_t allowed_length = 2;  // at least 1
  int64_t last = -1;           // 0 none, -1 all
  // Texts that divide the sequences. They may lie in a token or across several.
  std::vector<std::string> breakers = {"\n", ":", "\"", "*"};
  std::vector<Token> breaker_tokens;  // divide them too
};

// Throws std::invalid_argument naming the option out of range.
void Validate(const DryOptions& options);

// The bytes of a token within a text.
using TokenText = std::function<std::string(Token)>;

// Keeps the last `last` tokens of a text, or all. One thread at a time.
class Dry {
 public:
  // `text_of` is asked only where there are breakers that are texts. Throws
  // like Validate, and where it is empty but needed.
  Dry(const DryOptions& options, TokenText text_of);

  // The text goes on with `token`.
  void Accept(Token token);

  // `logits` [V]; tokens beyond V are ignored. Takes time in proportion to the
  // tokens that are kept, whatever they are.
  void Apply(std::span<double> logits);

 private:
  // Whether `token` is a breaker, or completes one, behind the text so far.
  bool Breaks(Token token) const;
  // The kept tokens that count now.
  std::span<const Token> Window() const;

  DryOptions options_;
  TokenText text_of_;
  bool active_;
  size_t longest_breaker_ = 0;  // bytes
  std::vector<Token> history_;
  int64_t since_break_ = 0;  // tokens behind the last breaker
  std::string tail_;         // last bytes, fewer than the longest breaker has
  // Scratch of Apply.
  std::vector<int64_t> matches_;
  std::unordered_map<Token, int64_t> longest_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_DRY_H_
