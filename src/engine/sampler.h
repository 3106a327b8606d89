// The choice of the next token.

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

// The steps, in this order:
//
//   1. logit bias
//   2. repetition, then frequency and presence penalties
//   3. DRY
//   4. top-k
//   5. typical-p
//   6. top-p and min-p
//   7. temperature
//
// Steps 5 and 6 see the probabilities, at temperature 1, of the tokens that are
// left by then. Temperature 0 takes the most likely token after step 3.
struct SampleOptions {
  double temperature = 0.8;  // 0 picks the most likely token
  int64_t top_k = 40;        // 0 keeps every token
  double top_p = 0.95;       // cumulative probability kept, in (0, 1]
  double min_p = 0.05;       // least probability against the best, in [0, 1]
  // Locally typical sampling (Meister et al. 2022): keeps this much cumulative
  // probability, in (0, 1], of the tokens whose -log p is closest to the
  // entropy. 1: off.
  double typical_p = 1;
  // Added to the logits of these tokens; -infinity bans one.
  std::map<Token, double> logit_bias;
  PenaltyOptions penalties;
  DryOptions dry;
};

// Throws std::invalid_argument naming the option out of range.
void Validate(const SampleOptions& options);

// The same seed, options and tokens accepted give the same choices. One thread
// at a time; keeps memory between calls.
class Sampler {
 public:
  // Throws like Validate, and where DRY has breakers that are texts.
  Sampler(const SampleOptions& options, uint64_t seed);

  // With the texts of tokens, for DRY; a breaker that the vocabulary spells
  // like a control piece ("<|im_end|>") is taken as that token. Borrows
  // `tokenizer`, which must outlive the sampler. Throws like Validate, and for
  // tokens that the vocabulary does not have.
  Sampler(const SampleOptions& options, uint64_t seed,
          const tokenizer::Tokenizer& tokenizer);

  // The text goes on with these tokens, of a prompt or chosen: penalties act on
  // what was accepted. Sample does not accept what it chooses. Throws
  // std::invalid_argument for a negative token, and with a tokenizer and DRY
  // for one out of range.
  void Accept(Token token);
  void Accept(std::span<const Token> tokens);

  // A token of `logits` [V]. At temperature 0 the first of the most likely
  // ones. Logits that are not finite are never chosen; when none is finite
  // throws std::runtime_error, since the model's numbers are broken. Throws
  // std::invalid_argument when a biased token is not below V, and when the
  // bias bans every token.
  Token Sample(std::span<const float> logits);

 private:
  struct Candidate {
    Token token = 0;
    double logit = 0;
  };

  Sampler(const SampleOptions& options, uint64_t seed, TokenText text_of);

  // Ties go to the smaller id, so that a run repeats itself exactly.
  static bool Likelier(const Candidate& a, const Candidate& b);
  // Steps 1 to 3: the tokens that can be chosen, in order of their ids.
  void FindCandidates(std::span<const float> logits);
  // The other steps. Candidates stand in order of their logits from here on.
  void KeepTopK();
  void KeepTypical();
  void KeepTopPAndMinP();
  Token Draw();

  // Sum of exp((logit - that of the best) / temperature) over the candidates.
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
