// What the targets that load whole models share. A header, so that targets
// which have no model need not link one.

#ifndef FUZZ_SMALL_MODEL_H_
#define FUZZ_SMALL_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "fuzz/input.h"
#include "model/context.h"
#include "model/model.h"
#include "position/scheme.h"

namespace ropewalk::fuzz {

inline constexpr int64_t kMostWeights = 1 << 20;
inline constexpr int64_t kLength = 12;

// Small numbers in every float type: 0.0078 to 0.0156 in f32.
inline std::string MadeUpData(uint64_t size) {
  std::string data(size, '\0');
  uint32_t state = 1;
  for (uint64_t i = 0; i < size; ++i) {
    state = state * 1664525 + 1013904223;
    data[i] = i % 4 == 3 ? '\x3c' : static_cast<char>(state >> 24 & 0x87);
  }
  return data;
}

inline bool IsSmall(const model::Model& model) {
  const model::Config& config = model.config();
  return model.WeightBytes() <= kMostWeights && config.L <= 16;
}

// Reads a few tokens in two parts, like a prompt and an answer.
inline void Read(const model::Model& model, const std::string& spelling) {
  const auto& positions = model.config().positions;
  const position::Scheme scheme =
      position::Resolve(position::ParseScheme(spelling), positions, kLength);
  SerialFor threads;
  model::Context context(
      model, position::BuildStack(scheme, positions, kLength, model.config().L),
      {.length = kLength, .chunk = 4}, threads);
  const int64_t V = model.config().V;
  const Token last = static_cast<Token>(V - 1);
  context.Forward(std::vector<Token>{0, last, last / 2});
  Claim(context.Logits(2, 1).size() == static_cast<size_t>(V),
        "a row of logits has the size of the vocabulary");
  context.Forward(std::vector<Token>{last});
  context.Logits(0, 1);
}

// Reads the model, if it is small, under its own scheme and under one that
// `seed` chooses.
inline void ReadSmall(const model::Model& model, size_t seed) {
  static const std::vector<std::string> kSpellings = {
      "rope", "auto",          "rerope:window=3+logn-clip",  "self-extend",
      "dca",  "window:size=2", "sink-window:size=2,sinks=1", "nope+logn",
      "yarn"};
  if (!IsSmall(model)) return;
  Accepts([&] { Read(model, "rope"); });
  const std::string& other = kSpellings[seed % kSpellings.size()];
  Accepts([&] { Read(model, other); });
}

}  // namespace ropewalk::fuzz

#endif  // FUZZ_SMALL_MODEL_H_
