// The choice of the next token.

#ifndef ROPEWALK_ENGINE_SAMPLER_H_
#define ROPEWALK_ENGINE_SAMPLER_H_

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/token.h"

namespace ropewalk::engine {

// Applied in this order: top-k, top-p, min-p, temperature.
struct SampleOptions {
  double temperature = 0.8;  // 0 picks the most likely token
  int64_t top_k = 40;        // 0 keeps every token
  double top_p = 0.95;       // cumulative probability kept, in (0, 1]
  double min_p = 0.05;       // least probability against the best, in [0, 1]
};

// Throws std::invalid_argument naming the option out of range.
void Validate(const SampleOptions& options);

// One thread at a time; keeps memory between calls.
class Sampler {
 public:
  // Throws like Validate.
  Sampler(const SampleOptions& options, uint64_t seed);

  // A token of `logits` [V]. At temperature 0 the first of the most likely
  // ones. Logits that are not finite are never chosen; when none is finite
  // throws std::runtime_error, since the model's numbers are broken.
  Token Sample(std::span<const float> logits);

 private:
  struct Candidate {
    Token token = 0;
    double logit = 0;
  };

  SampleOptions options_;
  Rng rng_;
  std::vector<Candidate> candidates_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_SAMPLER_H_
