// Prompt caches, as a context of a tiny model takes them. No corpus is needed:
// the mutator starts from what SaveSession writes today, so that names and
// fingerprints are never out of date.

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "base/parallel.h"
#include "fuzz/input.h"
#include "fuzz/safetensors_mutator.h"
#include "model/context.h"
#include "model/model.h"
#include "model/session.h"
#include "position/scheme.h"
#include "tests/tiny_model.h"

namespace ropewalk {
namespace {

constexpr int64_t kLength = 300;  // tokens: three tiles

// Schemes that keep different things: all, a near store beside it, the newest
// keys, and these with the first.
const std::vector<std::string> kSpellings = {
    "rope", "rerope:window=5", "window:size=3", "sink-window:size=4,sinks=2"};

std::string TemporaryPath(const std::string& name) {
  return (std::filesystem::temp_directory_path() /
          ("ropewalk_fuzz_" + std::to_string(getpid()) + "_" + name))
      .string();
}

const model::Model& TinyModel() {
  static const model::Model model = [] {
    const std::string path = TemporaryPath("model");
    WriteTinyModel(path, {.L = 1, .E = 8, .H = 2, .G = 1, .F = 8, .V = 260});
    model::Model loaded = model::Model::Load(path);
    std::filesystem::remove(path);
    return loaded;
  }();
  return model;
}

std::unique_ptr<model::Context> NewContext(const std::string& spelling,
                                           ParallelFor& threads) {
  const auto& positions = TinyModel().config().positions;
  const position::Scheme scheme =
      position::Resolve(position::ParseScheme(spelling), positions, kLength);
  return std::make_unique<model::Context>(
      TinyModel(),
      position::BuildStack(scheme, positions, kLength, TinyModel().config().L),
      model::ContextOptions{.length = kLength, .chunk = 32}, threads);
}

// A session of `tokens` tokens, as it is saved.
std::string Saved(const std::string& spelling, int64_t tokens) {
  SerialFor threads;
  const auto context = NewContext(spelling, threads);
  for (int64_t i = 0; i < tokens; ++i) {
    context->Forward(std::vector<Token>{static_cast<Token>(i % 260)});
  }
  const std::string path = TemporaryPath("session");
  model::SaveSession(path, TinyModel(), context->sequence(), spelling);
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
  SerialFor threads;
  const auto context = NewContext(spelling, threads);
  context->Forward(std::vector<Token>{1, 2, 3});
  const bool taken = fuzz::Accepts(
      [&] { model::LoadSession(path, TinyModel(), context->sequence()); });
  if (!taken)
    fuzz::Claim(context->size() == 3, "a refused file changes nothing");
  // What was taken can be gone on with.
  fuzz::Accepts([&] {
    context->Forward(std::vector<Token>{4, 5});
    context->Logits(1, 1);
  });
  fuzz::Accepts([&] { context->sequence().Shift(1, 2); });
  fuzz::Accepts([&] { context->sequence().Trim(context->size() / 2); });
  fuzz::Accepts([&] { context->Forward(std::vector<Token>{6}); });
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
  // A file names its scheme; contexts of the others would refuse it at once.
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
