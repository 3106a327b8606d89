// Sampling: the choice of the next token.

#ifndef ROPEWALK_ENGINE_SAMPLER_H_
#define ROPEWALK_ENGINE_SAMPLER_H_

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/random.h"
#include "base/token.h"
#include "engine/dry.h"
#include "engine/penalties.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

// Sampling takes these steps, in this order, on the tokens that a grammar
// allows if there is one:
//
//   1. logit bias
//   2. repetition, then frequency and presence penalties
//   3. DRY
//   4. top-k
//   5. typical-p
//   6. top-p and min-p
//   7. temperature
//
// Steps 5 and 6 use the probabilities, at temperature 1, of the tokens that are
// left at that step. Temperature 0 takes the most likely token after step 3.
struct SampleOptions {
  double temperature = 0.8;  // 0 picks the most likely token
  int64_t top_k = 40;        // 0 keeps every token
  double top_p = 0.95;       // cumulative probability kept, in (0, 1]
  double min_p = 0.05;       // least share of the best probability, in [0, 1]
  // Locally typical sampling (Meister et al. 2022): keeps the tokens whose -log
  // p is closest to the entropy, up to this cumulative probability, in (0, 1].
  // 1 turns it off.
  double typical_p = 1;
  // Added to the logits of these tokens; -infinity bans one.
  std::map<Token, double> logit_bias;
  PenaltyOptions penalties;
  DryOptions dry;
};

// Throws std::invalid_argument naming the option out of range.
void Validate(const SampleOptions& options);

// The same seed, options and accepted tokens give the same choices. One thread
// at a time.
class Sampler {
 public:
  // Throws like Validate, and if DRY is on and has breakers that are texts.
  Sampler(const SampleOptions& options, uint64_t seed);

  // Takes the texts of tokens, for DRY, from `tokenizer`, which must outlive
  // the sampler. A breaker that is the spelling of a control piece
  // ("<|im_end|>") stands for that token. Throws like Validate, and for tokens
  // that the vocabulary does not have.
  Sampler(const SampleOptions& options, uint64_t seed,
          const tokenizer::Tokenizer& tokenizer);

  // Appends tokens, of the prompt or chosen, to the text that penalties count.
  // Sample does not accept the token it chooses. Throws std::invalid_argument
  // for a negative token and, with a tokenizer and DRY, for one outside the
  // vocabulary.
  void Accept(Token token);
  void Accept(std::span<const Token> tokens);

  // Chooses a token by `logits` [V]; at temperature 0 it is the first of the
  // most likely ones. Tokens whose logits are not finite are never chosen.
  // Throws std::runtime_error if no logit is finite, and std::invalid_argument
  // if a biased token is not below V or if the bias bans every token.
  //
  // `allowed`, if given, has a bit for each of the V tokens
  // (grammar::TokenSet); others are not chosen.
  Token Sample(std::span<const float> logits,
               std::span<const uint64_t> allowed = {});

 private:
  struct Candidate {
    Token token = 0;
    double logit = 0;
  };

  Sampler(const SampleOptions& options, uint64_t seed, TokenText text_of);

  // Of equal logits the smaller id comes first, so that a run can be repeated.
  static bool Likelier(const Candidate& a, const Candidate& b);
  // Steps 1 to 3: sets candidates_ to the tokens that can be chosen, by id.
  void FindCandidates(std::span<const float> logits,
                      std::span<const uint64_t> allowed);
  // Steps 4 to 7. From here on candidates are in order of their logits.
  void KeepTopK();
  void KeepTypical();
  void KeepTopPAndMinP();
  Token Draw();

  // The sum of exp((logit - best logit) / temperature) over the candidates.
  double SumAt(double temperature) const;

  SampleOptions options_;
  Rng rng_;
  Penalties penalties_;
  Dry dry_;
  std::vector<double> changed_;  // [V] logits after steps 1 to 3
  std::vector<Candidate> candidates_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_SAMPLER_H_
