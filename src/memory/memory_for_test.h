// Helpers of the memory tests: tiny models, documents, and what a call says.

#ifndef ROPEWALK_MEMORY_MEMORY_FOR_TEST_H_
#define ROPEWALK_MEMORY_MEMORY_FOR_TEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/session.h"
#include "memory/memory.h"
#include "tests/tiny_model.h"

namespace ropewalk::memory {

inline std::string TestPath(const std::string& name) {
  return testing::TempDir() + "ropewalk_memory_" + name;
}

inline std::shared_ptr<engine::Engine> NewEngine(
    const std::string& name, const TinyModelOptions& options = {}) {
  const std::string path = TestPath(name + ".gguf");
  WriteTinyModel(path, options);
  return std::make_shared<engine::Engine>(
      engine::EngineOptions{.path = path, .threads = 2});
}

inline std::vector<Token> RandomIds(int64_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<Token> ids;
  for (int64_t i = 0; i < n; ++i) {
    ids.push_back(static_cast<Token>(3 + rng.Below(297)));
  }
  return ids;
}

inline std::vector<Token> Cut(const std::vector<Token>& ids, size_t first,
                              size_t count) {
  return {ids.begin() + static_cast<int64_t>(first),
          ids.begin() + static_cast<int64_t>(first + count)};
}

inline std::shared_ptr<const Memory> Read(
    engine::Engine& engine, int64_t tokens, uint64_t seed,
    const ReadOptions& options = {
        .part = 48, .overlap = 8, .type = DType::kF32}) {
  return std::make_shared<const Memory>(
      ReadMemory(engine, "document " + std::to_string(seed), "a test",
                 RandomIds(tokens, seed), options, [](int64_t) {}));
}

inline engine::Session Open(const std::shared_ptr<engine::Engine>& engine,
                            const std::string& position = "auto",
                            DType type = DType::kF32, int64_t length = 400) {
  return {engine,
          {.length = length,
           .position = position,
           .kv_type = type,
           .allow_failing = true}};
}

using Memories = std::vector<std::shared_ptr<const Memory>>;

inline void Attach(engine::Session& session, const Memories& memories,
                   const std::string& law) {
  session.Attach(Arrange(memories, ParseLaw(law), session.engine(),
                         session.sequence().stack()));
}

inline double LargestDifference(const std::vector<float>& a,
                                const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (size_t at = 0; at < std::min(a.size(), b.size()); ++at) {
    most = std::max(most, std::abs(static_cast<double>(a[at]) - b[at]));
  }
  return most;
}

// What `call` throws, which must be an Error; empty where it throws nothing.
template <typename Error>
std::string Refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("of another kind: ") + error.what();
  }
  return "";
}

// Every message is one line that a terminal can show.
inline void ExpectOneLine(const std::string& message) {
  EXPECT_FALSE(message.empty());
  EXPECT_TRUE(std::ranges::all_of(message, [](char c) {
    return static_cast<unsigned char>(c) >= 0x20;
  })) << message;
}

}  // namespace ropewalk::memory

#endif  // ROPEWALK_MEMORY_MEMORY_FOR_TEST_H_
