// Memory files, attached to a text of a tiny model. It needs no corpus: the
// mutator starts from files that Remember writes, so that names and hashes are
// always current.

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "engine/session.h"
#include "fuzz/input.h"
#include "fuzz/safetensors_mutator.h"
#include "memory/memory.h"
#include "memory/memory_file.h"
#include "tests/tiny_model.h"

namespace ropewalk {
namespace {

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBf16,
                            DType::kQ8_0, DType::kQ4_0};

// Laws that attend to stored keys and to rotated copies of them.
const std::vector<std::string> kLaws = {"far:alone=0", "place:skip=0,alone=0",
                                        "order:distance=1,alone=0"};

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

// A memory of `tokens` tokens in parts of 40.
std::string Written(DType type, int64_t tokens) {
  std::vector<Token> ids;
  for (int64_t i = 0; i < tokens; ++i) {
    ids.push_back(static_cast<Token>(3 + i % 250));
  }
  const std::string path = TemporaryPath("memory");
  memory::Remember(*TinyEngine(), {"a name", "a source", std::move(ids)},
                   {.part = 40, .overlap = 4, .type = type}, path,
                   [](int64_t) {});
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  std::filesystem::remove(path);
  return bytes;
}

const std::vector<std::string>& Seeds() {
  static const std::vector<std::string> seeds = [] {
    std::vector<std::string> all;
    for (const DType type : kTypes) {
      for (const int64_t tokens : {1, 60}) all.push_back(Written(type, tokens));
    }
    return all;
  }();
  return seeds;
}

// One token read beside the memory must never crash, whatever it holds.
void Attend(const std::shared_ptr<const memory::Memory>& memory,
            const std::string& law) {
  engine::Session session(TinyEngine(),
                          {.length = 64, .kv_type = memory->type});
  session.Attach(memory::Arrange({&memory, 1}, memory::ParseLaw(law),
                                 *TinyEngine(), session.sequence().stack()));
  fuzz::Claim(session.Read(std::vector<Token>{5}).size() == 260,
              "a text beside a memory has logits");
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
  fuzz::Accepts([&] { memory::ReadInfo(file.path()); });
  fuzz::Accepts([&] { memory::VerifyMemory(file.path()); });
  std::shared_ptr<const memory::Memory> memory;
  if (!fuzz::Accepts(
          [&] { memory = memory::OpenMemory(file.path(), *TinyEngine()); })) {
    return 0;
  }
  for (const std::string& law : kLaws) {
    fuzz::Accepts([&] { Attend(memory, law); });
  }
  return 0;
}
