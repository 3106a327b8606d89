// Encoding speed in megabytes a second, on a novel and on texts that repeat one
// piece, with the vocabularies below $ROPEWALK_TEST_DATA and, for Gemma 3,
// below
// ~/.cache/ropewalk/models.
//
//   ROPEWALK_TEST_DATA=../shared/data build/bench/tokenizer

#include "tokenizer/tokenizer.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "formats/gguf.h"
#include "formats/text_file.h"
#include "tests/test_data.h"

namespace ropewalk {
namespace {

struct Vocabulary {
  const char* name;
  std::string path;  // empty if there is no such file
};

std::string GemmaPath() {
  const char* home = std::getenv("HOME");
  const std::string path = std::string(home == nullptr ? "" : home) +
                           "/.cache/ropewalk/models/gemma-3-270m-Q4_K_M.gguf";
  return std::filesystem::exists(path) ? path : "";
}

std::string Repeated(std::string_view unit, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return text;
}

void Load(benchmark::State& state, const std::string& path) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        tokenizer::Tokenizer::FromGguf(formats::GgufFile(path)));
  }
}

void Encode(benchmark::State& state, const std::string& path,
            const std::string& text) {
  const auto tokenizer =
      tokenizer::Tokenizer::FromGguf(formats::GgufFile(path));
  int64_t tokens = 0;
  for (auto _ : state) tokens += std::ssize(tokenizer.Encode(text));
  state.SetBytesProcessed(state.iterations() * std::ssize(text));
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(tokens),
                                                  benchmark::Counter::kIsRate);
}

void Register(const Vocabulary& vocabulary) {
  if (vocabulary.path.empty()) return;
  const auto add = [&](const std::string& what, const std::string& text) {
    benchmark::RegisterBenchmark(
        (std::string(vocabulary.name) + "/" + what).c_str(),
        [path = vocabulary.path, text](benchmark::State& state) {
          Encode(state, path, text);
        })
        ->Unit(benchmark::kMillisecond);
  };
  benchmark::RegisterBenchmark(
      (std::string(vocabulary.name) + "/load").c_str(),
      [path = vocabulary.path](benchmark::State& state) { Load(state, path); })
      ->Unit(benchmark::kMillisecond);
  const std::string novel =
      TestDataPath("text/novels-heldout/ENG18632_Reade.txt.gz");
  if (!novel.empty()) add("novel", formats::ReadTextFile(novel));
  constexpr size_t kBytes = 10'000'000;
  add("10MB_of_a", Repeated("a", kBytes));
  add("10MB_of_spaces", Repeated(" ", kBytes));
  add("10MB_of_CJK",
      Repeated("的一是不了在人有我他这个们中来上大为和国地到", kBytes));
  add("10MB_of_<unused", Repeated("<unused", kBytes));
}

const int kRegistered = [] {
  Register({"smollm2", TestDataPath("models/smollm2-135m-instruct/"
                                    "SmolLM2-135M-Instruct.Q4_1.gguf")});
  Register({"gemma3", GemmaPath()});
  Register({"llama", TestDataPath("tokenizers/ggml-vocab-llama-spm.gguf")});
  return 0;
}();

}  // namespace
}  // namespace ropewalk
