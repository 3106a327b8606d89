// The gain of decoding many sequences in one pass over the weights.
//
//   make bench BENCH=many_sequences
//   ROPEWALK_BENCH_MODEL=model.gguf build/bench/many_sequences
//
// Without a model of its own it takes models/novels-4m.gguf. 64 sequences under
// four schemes, at 256 tokens and more, write one token each in one pass, and
// in passes of their own; both take turns within each iteration. `gain` is the
// median over the iterations of the tokens a second of the one over those of
// the other.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/data_files.h"
#include "base/random.h"
#include "engine/session.h"

namespace ropewalk {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsOf(const std::function<void()>& work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void ManySequences(benchmark::State& state) {
  const char* path = std::getenv("ROPEWALK_BENCH_MODEL");
  const auto engine = std::make_shared<engine::Engine>(engine::EngineOptions{
      .path = path != nullptr
                  ? path
                  : FindData("models").value_or(".") + "/novels-4m.gguf"});
  constexpr int64_t kDepth = 256;
  constexpr size_t kAlone =
      8;  // sequences that are timed in passes of their own
  const std::vector<std::string> schemes = {"rope", "rerope+logn-clip",
                                            "leaky-rerope", "window:size=200"};
  Rng rng(1);
  const int64_t V = engine->model().config().V;
  const auto count = static_cast<size_t>(state.range(0));
  std::vector<engine::Session> sessions;
  std::vector<Token> next(count);
  for (size_t s = 0; s < count; ++s) {
    sessions.emplace_back(engine,
                          engine::SessionOptions{.length = 4 * kDepth,
                                                 .position = schemes[s % 4],
                                                 .allow_failing = true});
    std::vector<Token> text(kDepth);
    for (Token& token : text) token = static_cast<Token>(rng.Below(V));
    sessions.back().Read(text);
    next[s] = static_cast<Token>(rng.Below(V));
  }
  std::vector<engine::SessionSlice> slices;
  for (size_t s = 0; s < count; ++s) {
    slices.push_back({&sessions[s], {&next[s], 1}});
  }
  std::vector<double> gains;
  for (auto _ : state) {
    const double alone = SecondsOf([&] {
      for (size_t s = 0; s < std::min(kAlone, count); ++s) {
        benchmark::DoNotOptimize(
            engine::ReadTogether({&slices[s], 1}).front().front());
      }
    });
    const double together = SecondsOf([&] {
      benchmark::DoNotOptimize(engine::ReadTogether(slices).front().front());
    });
    state.SetIterationTime(together);
    const auto timed = static_cast<double>(std::min(kAlone, count));
    gains.push_back(static_cast<double>(count) / together / (timed / alone));
  }
  std::nth_element(gains.begin(), gains.begin() + gains.size() / 2,
                   gains.end());
  state.counters["gain"] = gains[gains.size() / 2];
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(count * state.iterations()),
                         benchmark::Counter::kIsRate);
}
BENCHMARK(ManySequences)
    ->Arg(1)
    ->Arg(4)
    ->Arg(16)
    ->Arg(64)
    ->UseManualTime()
    ->Iterations(7)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ropewalk
