// Logits of tiny models, read whole or in chunks.

#ifndef TESTS_MODEL_LOGITS_H_
#define TESTS_MODEL_LOGITS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "model/context.h"
#include "model/model.h"
#include "position/scheme.h"
#include "tests/tiny_model.h"

namespace ropewalk::model {

// The most by which logits of tiny models may differ between two orders of sums
// (in other chunks, in another program, in float64). A float32 sum of n <= 160
// products is off by at most n half-ulps of the sum of their magnitudes, which
// is about 10: n 2^-24 10 = 1e-4. Errors mostly cancel, by a factor of sqrt(n),
// so a bound for one sum holds for all sums of a few layers.
inline constexpr double kSameLogits = 1e-4;

inline std::string TinyPath(const std::string& name,
                            const TinyModelOptions& options = {}) {
  const std::string path =
      (std::filesystem::path(testing::TempDir()) / ("ropewalk_" + name))
          .string();
  WriteTinyModel(path, options);
  return path;
}

inline position::Stack MakeStack(const Model& model,
                                 const std::string& spelling, int64_t length) {
  const auto& positions = model.config().positions;
  return position::BuildStack(
      position::Resolve(position::ParseScheme(spelling), positions, length),
      positions, length, model.config().L);
}

inline std::vector<Token> RandomTokens(const Model& model, int64_t n,
                                       uint64_t seed) {
  Rng rng(seed);
  std::vector<Token> tokens(static_cast<size_t>(n));
  for (Token& token : tokens) {
    token = static_cast<Token>(rng.Below(model.config().V));
  }
  return tokens;
}

// The logits [n, V] if the tokens are read in chunks of the given sizes; the
// last size repeats.
inline std::vector<float> Logits(const Model& model,
                                 const std::string& spelling,
                                 const std::vector<Token>& tokens,
                                 const std::vector<int64_t>& chunks,
                                 int64_t workers = 2) {
  const auto n = static_cast<int64_t>(tokens.size());
  const auto threads = MakeThreadPool(workers);
  Context context(model, MakeStack(model, spelling, n), {.length = n},
                  *threads);
  std::vector<float> all;
  for (size_t at = 0; context.size() < n; ++at) {
    const int64_t first = context.size();
    const int64_t T =
        std::min(chunks[std::min(at, chunks.size() - 1)], n - first);
    context.Forward(std::span(tokens).subspan(static_cast<size_t>(first),
                                              static_cast<size_t>(T)));
    const auto logits = context.Logits(0, T);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

}  // namespace ropewalk::model

#endif  // TESTS_MODEL_LOGITS_H_
