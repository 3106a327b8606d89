// The cost of position schemes in attention alone, for prefill and decode,
// relative to plain rope and to the limits of the machine.
//
//   make bench BENCH=attention
//   build/bench/attention --benchmark_filter='^prefill/.*/D:64/n:16384'
//   ROPEWALK_ISA=avx2 build/bench/attention
//
// Every benchmark has two sides, which take turns within each iteration.
// `ratio` is the median over the iterations of one time over the other, so that
// a machine whose speed drifts favours neither side.
//
//   prefill/SCHEME   time of the scheme over that of rope
//   sgemm/SCHEME     useful FLOP/s over those of OpenBLAS sgemm, n = 2048
//   deep/SCHEME/TYPE time of 512 tokens at the depth over that of rope with f32
//   same/SCHEME/TYPE the same over that of rope with the same type
//   decode/SCHEME    time of a token at the depth over that of rope
//   read/TYPE        bytes of keys and values a second, decoding with rope,
//                    over those of a plain loop that reads memory
//   store/TYPE       time of a token at the depth over that with f32
//
// Useful work is 4 (n^2 / 2) D H. Decoding cycles through so many layers that
// their keys and values are four times as large as the last-level cache, or as
// large as --kv-mib says.
// 8 query and 2 key heads; prompts in chunks of 512 tokens.

#include "attention/serving/attention.h"

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "bench/blas.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/kernels.h"
#include "position/scheme.h"

namespace ropewalk {
namespace {

constexpr int64_t kTrained = 4096;
constexpr int64_t kChunk = 512;
constexpr int64_t kHeads = 8;
constexpr int64_t kKeyHeads = 2;
constexpr int64_t kDepth = 16384;

int64_t kv_bytes = 0;  // keys and values that decoding cycles through

std::vector<float> Normals(int64_t size) {
  Rng rng(1);
  std::vector<float> out(static_cast<size_t>(size));
  for (float& x : out) x = static_cast<float>(rng.Normal());
  return out;
}

double Seconds(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

position::Plan MakePlan(const std::string& spelling, int64_t D, int64_t n) {
  const position::ModelPositions model{.head_width = D,
                                       .rotary_width = D,
                                       .train_length = kTrained,
                                       .original_length = kTrained};
  return position::BuildStack(
             position::Resolve(position::ParseScheme(spelling), model, n),
             model, n, 1)
      .front();
}

// Layers under one scheme, and inputs for a chunk. All layers get the same keys
// and values.
class Layers {
 public:
  Layers(const std::string& spelling, int64_t D, int64_t n, int64_t count = 1,
         DType type = DType::kF32)
      : attention_(MakePlan(spelling, D, n), {kHeads, kKeyHeads, D}),
        queries_(Normals(kChunk * kHeads * D)),
        keys_(Normals(kChunk * kKeyHeads * D)),
        values_(Normals(kChunk * kKeyHeads * D)),
        output_(queries_.size()) {
    for (int64_t l = 0; l < count; ++l) {
      stores_.push_back(attention_.NewStore(type, pool_));
    }
  }

  int64_t size() const { return stores_.front().size(); }
  int64_t count() const { return static_cast<int64_t>(stores_.size()); }
  int64_t bytes() const {
    int64_t sum = 0;
    for (const auto& store : stores_) sum += store.bytes();
    return sum;
  }

  // Passes T tokens through every layer; without queries they are only stored.
  void Feed(int64_t T, bool attend = true) {
    tables_.Begin(size(), T);
    for (attention::KvStore& store : stores_) {
      store.Append(keys_.data(), values_.data(), T, tables_, *threads_);
      if (!attend) continue;
      const attention::QuerySlice slice{.queries = queries_.data(),
                                        .output = output_.data(),
                                        .T = T,
                                        .store = &store,
                                        .tables = &tables_};
      attention_.Attend({&slice, 1}, nullptr, *threads_, scratch_);
    }
    benchmark::DoNotOptimize(output_.data());
  }

  void TrimTo(int64_t depth) {
    for (attention::KvStore& store : stores_) store.Trim(depth);
  }

  void FillTo(int64_t depth) {
    while (size() < depth) Feed(std::min(kChunk, depth - size()), false);
  }

 private:
  attention::BandedAttention attention_;
  std::shared_ptr<attention::TilePool> pool_ = attention::TilePool::Make();
  std::vector<attention::KvStore> stores_;
  std::unique_ptr<ParallelFor> threads_ = MakeThreadPool(0);
  attention::RotationTables tables_;
  attention::AttentionScratch scratch_;
  std::vector<float> queries_;
  std::vector<float> keys_;
  std::vector<float> values_;
  std::vector<float> output_;
};

void Prefill(const std::string& spelling, int64_t D, int64_t n) {
  Layers layers(spelling, D, n);
  while (layers.size() < n) layers.Feed(kChunk);
}

double PrefillFlops(int64_t D, int64_t n) {
  return 2.0 * static_cast<double>(n) * static_cast<double>(n) *
         static_cast<double>(D * kHeads);
}

double Median(std::vector<double> x) {
  std::nth_element(x.begin(), x.begin() + static_cast<int64_t>(x.size() / 2),
                   x.end());
  return x[x.size() / 2];
}

// Times `ours` and `theirs` in turn; ratio = Median(score(ours, theirs)).
void Pair(benchmark::State& state, const std::function<void()>& ours,
          const std::function<void()>& theirs,
          const std::function<double(double, double)>& score) {
  std::vector<double> ratios;
  std::vector<double> base;
  bool turn = false;
  ours();
  theirs();
  for (auto _ : state) {
    double our_time = 0;
    double their_time = 0;
    if (turn) their_time = Seconds(theirs);
    our_time = Seconds(ours);
    if (!turn) their_time = Seconds(theirs);
    turn = !turn;
    ratios.push_back(score(our_time, their_time));
    base.push_back(their_time);
    state.SetIterationTime(our_time);
  }
  state.counters["ratio"] = Median(ratios);
  state.counters["other_ms"] = 1e3 * Median(base);
}

double TimeRatio(double ours, double theirs) { return ours / theirs; }

void ComparePrefill(benchmark::State& state, const std::string& scheme,
                    int64_t D, int64_t n) {
  Pair(
      state, [&] { Prefill(scheme, D, n); }, [&] { Prefill("rope", D, n); },
      TimeRatio);
  Layers other(scheme, D, n);
  Layers rope("rope", D, n);
  other.FillTo(n);
  rope.FillTo(n);
  state.counters["kv"] =
      static_cast<double>(other.bytes()) / static_cast<double>(rope.bytes());
}

// Passes a chunk of a prompt through one layer at the depth, again and again.
void CompareDeep(benchmark::State& state, const std::string& scheme, int64_t D,
                 DType type, DType rope_type) {
  Layers ours(scheme, D, kDepth + kChunk, 1, type);
  Layers rope("rope", D, kDepth + kChunk, 1, rope_type);
  ours.FillTo(kDepth);
  rope.FillTo(kDepth);
  const auto chunk = [](Layers& layers) {
    layers.Feed(kChunk);
    layers.TrimTo(kDepth);
  };
  const double flops = 4.0 * static_cast<double>(D * kHeads * kChunk) *
                       static_cast<double>(kDepth + kChunk / 2);
  std::vector<double> rates;
  Pair(
      state, [&] { chunk(ours); }, [&] { chunk(rope); },
      [&](double our_time, double rope_time) {
        rates.push_back(1e-9 * flops / our_time);
        return our_time / rope_time;
      });
  state.counters["GFLOP/s"] = Median(rates);
  state.counters["faster"] = 1 / state.counters["ratio"];
}

void CompareSgemm(benchmark::State& state, const std::string& scheme, int64_t D,
                  int64_t n) {
  const int64_t side = 2048;
  const auto a = Normals(side * side);
  const auto b = Normals(side * side);
  std::vector<float> c(static_cast<size_t>(side * side));
  const double sgemm_flops = 2e-9 * static_cast<double>(side) *
                             static_cast<double>(side) *
                             static_cast<double>(side);
  // As many products as take about the same time.
  const int64_t products = std::max<int64_t>(
      1, static_cast<int64_t>(1e-9 * PrefillFlops(D, n) / sgemm_flops));
  const auto sgemm = [&] {
    for (int64_t p = 0; p < products; ++p) {
      bench::Sgemm({.a = a.data(),
                    .b = b.data(),
                    .c = c.data(),
                    .rows = side,
                    .columns = side,
                    .depth = side,
                    .a_stride = side,
                    .b_stride = side,
                    .c_stride = side});
    }
    benchmark::DoNotOptimize(c.data());
  };
  std::vector<double> rates;
  std::vector<double> peaks;
  Pair(
      state, [&] { Prefill(scheme, D, n); }, sgemm,
      [&](double ours, double theirs) {
        rates.push_back(1e-9 * PrefillFlops(D, n) / ours);
        peaks.push_back(static_cast<double>(products) * sgemm_flops / theirs);
        return rates.back() / peaks.back();
      });
  state.counters["GFLOP/s"] = Median(rates);
  state.counters["sgemm"] = Median(peaks);
}

int64_t LayersFor(int64_t D, DType type) {
  Layers one("rope", D, kDepth, 1, type);
  one.FillTo(kDepth);
  return (kv_bytes + one.bytes() - 1) / one.bytes();
}

void CompareDecode(benchmark::State& state, const std::string& scheme,
                   int64_t D, DType type) {
  const int64_t count = LayersFor(D, type);
  Layers ours(scheme, D, kDepth + 1024, count, type);
  Layers rope("rope", D, kDepth + 1024, count, type);
  ours.FillTo(kDepth);
  rope.FillTo(kDepth);
  Pair(
      state, [&] { ours.Feed(1); }, [&] { rope.Feed(1); }, TimeRatio);
  state.counters["kv"] =
      static_cast<double>(ours.bytes()) / static_cast<double>(rope.bytes());
}

// Passes a token through one layer; both sides cycle through the same amount of
// memory.
void CompareStore(benchmark::State& state, int64_t D, DType type) {
  Layers ours("rope", D, kDepth + 1024, LayersFor(D, type), type);
  Layers f32("rope", D, kDepth + 1024, LayersFor(D, DType::kF32));
  ours.FillTo(kDepth);
  f32.FillTo(kDepth);
  const auto layers = [](const Layers& x) {
    return static_cast<double>(x.count());
  };
  Pair(
      state, [&] { ours.Feed(1); }, [&] { f32.Feed(1); },
      [&](double our_time, double f32_time) {
        return (our_time / layers(ours)) / (f32_time / layers(f32));
      });
  state.counters["faster"] = 1 / state.counters["ratio"];
}

void CompareRead(benchmark::State& state, int64_t D, DType type) {
  Layers ours("rope", D, kDepth + 1024, LayersFor(D, type), type);
  ours.FillTo(kDepth);
  const int64_t bytes = ours.bytes();
  // The plain loop: every worker sums a part of the same amount of memory.
  const auto threads = MakeThreadPool(0);
  const int64_t share =
      bytes / threads->workers() / static_cast<int64_t>(sizeof(float));
  AlignedBuffer<float> memory(share * threads->workers());
  for (int64_t at = 0; at < memory.size(); ++at) {
    memory[at] = static_cast<float>(at % 1000);
  }
  std::vector<float> ones(1 << 12, 1.0f);
  const auto read = [&] {
    threads->Run(threads->workers(), [&](int64_t task, int64_t) {
      float sum = 0;
      const auto step = static_cast<int64_t>(ones.size());
      for (int64_t at = 0; at + step <= share; at += step) {
        sum += kernels::Dot(DType::kF32, memory.data() + task * share + at,
                            ones.data(), step);
      }
      benchmark::DoNotOptimize(sum);
    });
  };
  std::vector<double> rates;
  Pair(
      state, [&] { ours.Feed(1); }, read,
      [&](double our_time, double plain) {
        rates.push_back(1e-9 * static_cast<double>(bytes) / our_time);
        return plain / our_time;
      });
  state.counters["GB/s"] = Median(rates);
}

void Register() {
  const auto add = [](const std::string& name, int64_t iterations, auto body) {
    benchmark::RegisterBenchmark(name.c_str(), body)
        ->Unit(benchmark::kMillisecond)
        ->UseManualTime()
        ->Iterations(iterations);
  };
  struct Named {
    std::string scheme;
    bool prefill_64k;
  };
  const std::vector<Named> schemes = {
      {"rope", false},  // against itself, which shows the noise
      {"rerope:window=512", true},
      {"rerope:window=1024+logn-clip", false},
      {"leaky-rerope:window=512,k=16", false},
      {"self-extend:window=512,group=16", false},
      {"dca:chunk=3072", false},
      {"window:size=512", false},
      {"sink-window:size=508,sinks=4", false}};
  for (const int64_t D : {64, 128}) {
    const std::string width = "/D:" + std::to_string(D);
    for (const int64_t n : {4096, 16384, 65536}) {
      const std::string length = "/n:" + std::to_string(n);
      const bool long_one = n == 65536;
      if (bench::kHasBlas && n == 16384) {
        for (const char* scheme : {"rope", "rerope:window=512"}) {
          add("sgemm/" + std::string(scheme) + width + length, 7,
              [=](benchmark::State& state) {
                CompareSgemm(state, scheme, D, n);
              });
        }
      }
      for (const auto& [scheme, also_64k] : schemes) {
        if (long_one && (!also_64k || D != 64)) continue;
        const int64_t iterations = n == 4096 ? 21 : long_one ? 3 : 7;
        add("prefill/" + scheme + width + length, iterations,
            [scheme = scheme, D, n](benchmark::State& state) {
              ComparePrefill(state, scheme, D, n);
            });
      }
    }
    for (const auto& [scheme, unused] : schemes) {
      add("decode/" + scheme + width + "/n:" + std::to_string(kDepth), 21,
          [scheme = scheme, D](benchmark::State& state) {
            CompareDecode(state, scheme, D, DType::kF32);
          });
    }
    add("decode/rerope:window=512+q8_0" + width +
            "/n:" + std::to_string(kDepth),
        21, [D](benchmark::State& state) {
          CompareDecode(state, "rerope:window=512", D, DType::kQ8_0);
        });
    for (const DType type :
         {DType::kF32, DType::kF16, DType::kBf16, DType::kQ8_0, DType::kQ4_0}) {
      const std::string name(InfoOf(type).name);
      for (const char* scheme : {"rope", "rerope:window=512"}) {
        add("deep/" + std::string(scheme) + "/" + name + width, 11,
            [=](benchmark::State& state) {
              CompareDeep(state, scheme, D, type, DType::kF32);
            });
        add("same/" + std::string(scheme) + "/" + name + width, 21,
            [=](benchmark::State& state) {
              CompareDeep(state, scheme, D, type, type);
            });
      }
      add("read/" + name + width, 21,
          [D, type](benchmark::State& state) { CompareRead(state, D, type); });
      if (type == DType::kF32) continue;
      add("store/" + name + width, 21,
          [D, type](benchmark::State& state) { CompareStore(state, D, type); });
    }
  }
}

}  // namespace
}  // namespace ropewalk

int main(int argc, char** argv) {
  using namespace ropewalk;
  bench::ChooseBlasKernels(argv);
  std::vector<char*> arguments;
  const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  kv_bytes = 4 * std::max<int64_t>(cache, 32 << 20);
  for (char* argument : std::vector<char*>(argv, argv + argc)) {
    constexpr std::string_view kOption = "--kv-mib=";
    if (std::string_view(argument).starts_with(kOption)) {
      kv_bytes = std::atoll(argument + kOption.size()) << 20;
    } else {
      arguments.push_back(argument);
    }
  }
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  kernels::ChooseIsaFromEnvironment();
  std::printf("kernels %s, %s, %lld MiB of keys and values in decoding\n",
              kernels::ActiveIsa().c_str(), bench::BlasName().c_str(),
              static_cast<long long>(kv_bytes >> 20));
  Register();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
