// What a model costs to run, for ledgers and for speed against the machine's.

#include <algorithm>

#include "lab/nn/model.h"

namespace ropewalk::lab::nn {
namespace {

// Pairs of a causal sequence of n tokens that see no further than `reach`.
double CausalPairs(int64_t n, int64_t reach) {
  const auto all = static_cast<double>(n);
  const auto hidden = static_cast<double>(n - std::min(reach, n));
  return (all * (all + 1) - hidden * (hidden + 1)) / 2;
}

// Of both directions, the diagonal once.
double BothPairs(int64_t n, int64_t reach) {
  return 2 * CausalPairs(n, reach) - static_cast<double>(n);
}

}  // namespace

double Model::ForwardFlops(int64_t S, int64_t T) const {
  const bool cross = config_.architecture != Architecture::kDecoder;
  const bool shared =
      config_.architecture == Architecture::kEncoderDecoderShared;
  const auto input = static_cast<double>(S);
  const auto output = static_cast<double>(T);
  double products = 0;
  for (const Parameter& parameter : parameters_) {
    const std::string& name = parameter.name;
    const auto size = static_cast<double>(parameter.value.numel());
    if (name.find("layers.") == std::string::npos) continue;
    const bool of_input = name.starts_with("encoder.") ||
                          name.find("cross_key_value") != std::string::npos;
    const bool of_both = !cross || shared;
    products += size * (of_both ? input + output : of_input ? input : output);
    // Cross attention runs the weights of self-attention once more.
    if (!shared) continue;
    const auto E = static_cast<double>(config_.E);
    const auto D = static_cast<double>(config_.D);
    if (name.find("qkv.") != std::string::npos) {
      products += E * D *
                  (static_cast<double>(config_.H) * output +
                   2 * static_cast<double>(config_.G) * input);
    } else if (name.find("attention_output.") != std::string::npos) {
      products += size * output;
    }
  }
  const auto E = static_cast<double>(config_.E);
  products += static_cast<double>(config_.V) * E * output;
  if (config_.head == Head::kTiedOrthogonal) products += E * E * output;
  double pairs = 0;
  for (int64_t l = 0; l < config_.L; ++l) {
    const int64_t reach = training_[static_cast<size_t>(l)]->Reach();
    if (cross) {
      pairs += CausalPairs(T, reach) + input * output;
      pairs +=
          config_.causal_encoder ? CausalPairs(S, reach) : BothPairs(S, reach);
    } else if (config_.mask == Mask::kBidirectional) {
      pairs += BothPairs(S + T, reach);
    } else {
      pairs += CausalPairs(S + T, reach);
      if (config_.mask == Mask::kPrefix) {
        pairs += BothPairs(S, reach) - CausalPairs(S, reach);
      }
    }
  }
  // The width of a score and that of a value.
  const double width = config_.block == Block::kGau
                           ? static_cast<double>(config_.D + config_.F)
                           : static_cast<double>(2 * config_.H * config_.D);
  return 2 * products + 2 * width * pairs;
}

double Model::TrainingFlops(int64_t T) const {
  const bool cross = config_.architecture != Architecture::kDecoder;
  return 3 * ForwardFlops(cross ? T : 0, T);
}

}  // namespace ropewalk::lab::nn
