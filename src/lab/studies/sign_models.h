// The models of the study sign-embedding.

#ifndef ROPEWALK_LAB_STUDIES_SIGN_MODELS_H_
#define ROPEWALK_LAB_STUDIES_SIGN_MODELS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lab/studies/setting.h"
#include "lab/studies/study.h"

namespace ropewalk::lab::studies {

// An optimizer at a constant rate, its decay, a remedy.
struct SignVariant {
  const char* name;  // of the model
  const char* row;
  double lambda;
  bool seeds;  // every seed: what claims rest on
  std::vector<std::string> overrides;
};

// Tokens of a Zipf distribution steep enough that the last ids occur about once
// in a run.
const std::vector<SignVariant>& ToyVariants();
// A language model on 512 tokens a step.
const std::vector<SignVariant>& TextVariants();

std::string SignModelName(const SignVariant& variant, bool toy);
ModelSpec SignModel(const Setting& setting, const SignVariant& variant,
                    bool toy, uint64_t seed);

// Optimizers at equal steps, under a schedule, each at several rates: the best
// has one on either side of it.
struct OptimizerChoice {
  const char* name;
  const char* title;
  std::vector<double> rates;
  size_t best;  // of them, by seed 1 at `small`: the one that has every seed
  std::vector<std::string> overrides;
};
const std::vector<OptimizerChoice>& OptimizerChoices();

std::string OptimizerRow(const OptimizerChoice& choice, size_t rate);
ModelSpec OptimizerModel(const Setting& setting, const OptimizerChoice& choice,
                         size_t rate, uint64_t seed);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_SIGN_MODELS_H_
