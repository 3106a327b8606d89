// Prompt caches, restored into a session of a tiny model. It needs no corpus:
// the mutator starts from files that SaveCache writes, so that names and
// fingerprints are always current.

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "engine/session.h"
#include "fuzz/input.h"
#include "fuzz/safetensors_mutator.h"
#include "tests/tiny_model.h"

namespace ropewalk {
namespace {

constexpr int64_t kLength = 300;  // tokens: three tiles

// Schemes that keep different keys: all keys, also a near ring, the newest
// keys, and the newest and the first keys.
const std::vector<std::string> kSpellings = {
    "rope", "rerope:window=5", "window:size=3", "sink-window:size=4,sinks=2"};

std::string TemporaryPath(const std::string& name) {
  return (std::filesystem::temp_directory_path() /
          ("ropewalk_fuzz_" + std::to_string(getpid()) + "_" + name))
      .string();
}

const std::shared_ptr<engine::Engine>& TinyEngine() {
  static const auto engine = [] {
    const std::string path = TemporaryPath("model");
    WriteTinyModel(path, {.L = 1, .E = 8, .H = 2, .G = 1, .F = 8, .V = 260});
    auto loaded = std::make_shared<engine::Engine>(
        engine::EngineOptions{.path = path, .threads = 1});
    std::filesystem::remove(path);
    return loaded;
  }();
  return engine;
}

engine::Session NewSession(const std::string& spelling) {
  return {TinyEngine(),
          {.length = kLength, .position = spelling, .allow_failing = true}};
}

// A saved session of `tokens` tokens.
std::string Saved(const std::string& spelling, int64_t tokens) {
  engine::Session session = NewSession(spelling);
  std::vector<Token> ids;
  for (int64_t i = 0; i < tokens; ++i) {
    ids.push_back(static_cast<Token>(i % 260));
  }
  session.Read(ids);
  const std::string path = TemporaryPath("session");
  session.SaveCache(path);
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  std::filesystem::remove(path);
  return bytes;
}

const std::vector<std::string>& Seeds() {
  static const std::vector<std::string> seeds = [] {
    std::vector<std::string> all;
    for (const std::string& spelling : kSpellings) {
      for (const int64_t tokens : {0, 2, 130}) {
        all.push_back(Saved(spelling, tokens));
      }
    }
    return all;
  }();
  return seeds;
}

void Load(const std::string& path, const std::string& spelling) {
  engine::Session session = NewSession(spelling);
  const std::vector<Token> prompt = {0, 1, 2, 3, 4};
  const bool taken = fuzz::Accepts([&] { session.LoadCache(path, prompt); });
  if (!taken) {
    fuzz::Claim(session.size() == 0, "a refused file changes nothing");
  }
  // A restored session must be usable.
  fuzz::Accepts([&] { session.Read(std::vector<Token>{4, 5}); });
  fuzz::Accepts([&] { session.sequence().Shift(1, 2); });
  fuzz::Accepts([&] { session.sequence().Trim(session.size() / 2); });
  fuzz::Accepts([&] { session.Read(std::vector<Token>{6}); });
}

}  // namespace
}  // namespace ropewalk

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned seed) {
  using namespace ropewalk;
  if (size < 64 || seed % 64 == 0) {
    const std::string& start = Seeds()[seed / 64 % Seeds().size()];
    size = std::min(start.size(), max_size);
    std::memcpy(data, start.data(), size);
  }
  return fuzz::MutateSafetensors(data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const fuzz::MemoryFile file(fuzz::View(data, size));
  // The context must have the scheme that the file names, or it would refuse
  // the file at once.
  bool named = false;
  for (const std::string& spelling : kSpellings) {
    if (fuzz::View(data, size).find(spelling) == std::string_view::npos)
      continue;
    named = true;
    Load(file.path(), spelling);
  }
  if (!named) Load(file.path(), kSpellings.front());
  return 0;
}
