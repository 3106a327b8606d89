// Holds a model to the logits of its published implementation.

#ifndef TESTS_PUBLISHED_LOGITS_H_
#define TESTS_PUBLISHED_LOGITS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "model/model.h"
#include "tests/model_logits.h"

namespace ropewalk::model {

// Compares with logits of 80 tokens from the published implementation
// (`transformers`) of a tiny random model: ids.json and logits.f32 of `folder`.
// Windows have 16 tokens.
inline void ExpectPublishedLogits(const Model& model,
                                  const std::filesystem::path& folder) {
  std::vector<Token> tokens;
  {
    std::ifstream in(folder / "ids.json");
    char separator = 0;
    in >> separator;
    for (Token token = 0; in >> token; in >> separator) tokens.push_back(token);
  }
  ASSERT_EQ(tokens.size(), 80u);
  std::vector<float> want(80 * static_cast<size_t>(model.config().V));
  std::ifstream in(folder / "logits.f32", std::ios::binary);
  in.read(reinterpret_cast<char*>(want.data()),
          static_cast<std::streamsize>(want.size() * sizeof(float)));
  ASSERT_TRUE(in.good());
  for (const std::vector<int64_t>& chunks :
       {std::vector<int64_t>{80}, {1}, {33, 7}}) {
    for (const int64_t threads : {1, 2}) {
      const std::vector<float> got =
          Logits(model, "rope", tokens, chunks, threads);
      ASSERT_EQ(got.size(), want.size());
      double largest = 0;
      for (size_t at = 0; at < got.size(); ++at) {
        largest =
            std::max(largest, std::abs(double{got[at]} - double{want[at]}));
      }
      EXPECT_LT(largest, kSameLogits)
          << folder << " in chunks of " << chunks.front() << " on " << threads
          << " threads";
    }
  }
}

}  // namespace ropewalk::model

#endif  // TESTS_PUBLISHED_LOGITS_H_
