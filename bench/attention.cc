// What a position scheme costs: attention alone, prefill and decode, as ratios
// to plain rope in one run.
//
//   make bench BENCH=attention
//   build/bench/attention --benchmark_filter='prefill.*/D:64/'
//
// Runs of all schemes are interleaved, and the ratios at the end compare
// medians, so that a machine whose speed drifts favours none. GFLOP/s counts
// useful work: 4 (n^2 / 2) D H for a prefill of n tokens. `gemm` is our own
// matrix kernel over the threads, as this machine's limit for comparison.

#include "attention/attention.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/kernels.h"
#include "position/scheme.h"

namespace ropewalk {
namespace {

constexpr int64_t kTrained = 4096;
constexpr int64_t kChunk = 512;
const char* const kSchemes[] = {
    "rope", "rerope:window=1024", "leaky-rerope:window=1024,k=16",
    "self-extend:window=1024,group=16", "dca:chunk=3072"};

std::vector<float> Normals(int64_t size) {
  Rng rng(1);
  std::vector<float> out(static_cast<size_t>(size));
  for (float& x : out) x = static_cast<float>(rng.Normal());
  return out;
}

// One layer's attention with 8 query and 2 key heads, and inputs for a chunk.
struct Layer {
  attention::HeadShape shape;
  attention::BandedAttention attention;
  attention::KvStore store;
  std::unique_ptr<ParallelFor> threads = MakeThreadPool(0);
  attention::RotationTables tables;
  attention::AttentionScratch scratch;
  std::vector<float> queries;
  std::vector<float> keys;
  std::vector<float> values;
  std::vector<float> output;

  Layer(const std::string& spelling, int64_t D, int64_t n)
      : shape{8, 2, D},
        attention(MakePlan(spelling, D, n), shape),
        store(attention.NewStore()),
        queries(Normals(kChunk * 8 * D)),
        keys(Normals(kChunk * 2 * D)),
        values(Normals(kChunk * 2 * D)),
        output(queries.size()) {}

  static position::Plan MakePlan(const std::string& spelling, int64_t D,
                                 int64_t n) {
    const position::ModelPositions model{.head_width = D,
                                         .rotary_width = D,
                                         .train_length = kTrained,
                                         .original_length = kTrained};
    return position::BuildStack(
               position::Resolve(position::ParseScheme(spelling), model, n),
               model, n, 1)
        .front();
  }

  void Feed(int64_t T) {
    tables.Begin(store.size(), T);
    store.Append(keys.data(), values.data(), T, tables, *threads);
    const attention::QuerySlice slice{.queries = queries.data(),
                                      .output = output.data(),
                                      .T = T,
                                      .store = &store,
                                      .tables = &tables};
    attention.Attend({&slice, 1}, nullptr, *threads, scratch);
  }
};

void Prefill(benchmark::State& state, const std::string& spelling, int64_t D,
             int64_t n) {
  for (auto _ : state) {
    Layer layer(spelling, D, n);
    while (layer.store.size() < n) layer.Feed(kChunk);
    benchmark::DoNotOptimize(layer.output.data());
  }
  const auto pairs = static_cast<double>(n) * static_cast<double>(n) / 2;
  state.counters["GFLOP/s"] =
      benchmark::Counter(4e-9 * pairs * static_cast<double>(8 * D),
                         benchmark::Counter::kIsIterationInvariantRate);
}

void Decode(benchmark::State& state, const std::string& spelling, int64_t D,
            int64_t depth) {
  Layer layer(spelling, D, depth + (1 << 20));
  // The scores of the cached tokens do not matter, so only append them.
  while (layer.store.size() < depth) {
    layer.tables.Begin(layer.store.size(), kChunk);
    layer.store.Append(layer.keys.data(), layer.values.data(), kChunk,
                       layer.tables, *layer.threads);
  }
  for (auto _ : state) layer.Feed(1);
  state.counters["kv_bytes"] = static_cast<double>(layer.store.bytes());
}

void GemmPeak(benchmark::State& state) {
  const int64_t n = 1024;
  const auto threads = MakeThreadPool(0);
  const auto a = Normals(n * n);
  const auto b = Normals(n * n);
  std::vector<float> c(static_cast<size_t>(n * n));
  for (auto _ : state) {
    threads->Run(n / 64, [&](int64_t task, int64_t) {
      // A strip of 64 columns stays in the caches.
      for (int64_t k = 0; k < n; k += 256) {
        kernels::Gemm({.a = a.data() + k,
                       .b = b.data() + k * n + task * 64,
                       .c = c.data() + task * 64,
                       .rows = n,
                       .columns = 64,
                       .depth = 256,
                       .a_stride = n,
                       .b_stride = n,
                       .c_stride = n,
                       .accumulate = k > 0});
      }
    });
    benchmark::DoNotOptimize(c.data());
  }
  const auto side = static_cast<double>(n);
  state.counters["GFLOP/s"] = benchmark::Counter(
      2e-9 * side * side * side, benchmark::Counter::kIsIterationInvariantRate);
}

// Keeps the medians and prints them against rope's.
class RatioReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.aggregate_name == "median") {
        medians_[run.run_name.function_name] = run.real_accumulated_time;
      }
    }
  }

  void Finalize() override {
    ConsoleReporter::Finalize();
    std::printf("\ntime against rope, medians\n");
    for (const auto& [name, seconds] : medians_) {
      const size_t start = name.find('/') + 1;
      const size_t end = name.find('/', start);
      if (end == std::string::npos) continue;
      const auto rope =
          medians_.find(name.substr(0, start) + "rope" + name.substr(end));
      if (rope == medians_.end()) continue;
      std::printf("%-58s %6.3f\n", name.c_str(), seconds / rope->second);
    }
  }

 private:
  std::map<std::string, double> medians_;
};

void Register() {
  const auto add = [](const std::string& name, auto body) {
    benchmark::RegisterBenchmark(name.c_str(), body)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->Repetitions(7)
        ->ReportAggregatesOnly();
  };
  add("gemm", GemmPeak);
  for (const int64_t D : {64, 128}) {
    const std::string width = "/D:" + std::to_string(D);
    for (const char* scheme : kSchemes) {
      for (const int64_t n : {4096, 16384}) {
        const std::string tail =
            std::string("/") + scheme + width + "/n:" + std::to_string(n);
        add("prefill" + tail, [scheme, D, n](benchmark::State& state) {
          Prefill(state, scheme, D, n);
        });
        add("decode" + tail, [scheme, D, n](benchmark::State& state) {
          Decode(state, scheme, D, n);
        });
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  std::string time = "--benchmark_min_time=0.05";
  arguments.insert(arguments.begin() + 1, {interleave.data(), time.data()});
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  ropewalk::kernels::ChooseIsaFromEnvironment();
  ropewalk::Register();
  ropewalk::RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}
