// How `run` chooses tokens, when it stops, and what it tells of its choices.

#ifndef ROPEWALK_CLI_SAMPLING_OPTIONS_H_
#define ROPEWALK_CLI_SAMPLING_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/sampler.h"

namespace ropewalk::cli {

// --temp, --top-k, --top-p, --min-p, --typical-p, --logit-bias, --seed; the
// penalties; --stop; --logprobs.
struct SamplingOptions {
  // What CLI11 fills in; the functions below check it and read the texts.
  engine::SampleOptions numbers;
  std::vector<std::string> biases;    // ID=BIAS
  std::vector<std::string> breakers;  // none given: those of numbers.dry
  std::vector<std::string> stops;
  int64_t logprobs = -1;         // -1: not asked for
  std::optional<uint64_t> seed;  // nothing: a new one

  void Add(CLI::App& command);

  // All of them need no model, so that a wrong call fails at once, and throw
  // std::invalid_argument. `escape`: texts are read as --escape says.

  engine::SampleOptions ForSampler(bool escape) const;
  // Never empty strings; none at all where none was given.
  std::vector<std::string> StopTexts(bool escape) const;
  // How many of the most likely tokens to report beside each chosen one;
  // nothing: report no log probabilities.
  std::optional<int64_t> LogProbabilities() const;
  // The seed that was given, or a new one at each call.
  uint64_t Seed() const;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_SAMPLING_OPTIONS_H_
