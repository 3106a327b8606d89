// One token against quantised weights that no cache holds: bytes of weights a
// second, beside a loop that only reads the same memory with the same threads.
//
//   bench/decode --benchmark_filter=q4_K
//   ROPEWALK_THREADS=1 ROPEWALK_MEGABYTES=512 bench/decode
//
// "of_read" is the share of the read loop's pace, which is measured right
// before each line.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/large_memory.h"
#include "base/parallel.h"
#include "kernels/blocks.h"
#include "kernels/interleaved.h"
#include "kernels/matmul.h"

namespace ropewalk::kernels {
namespace {

constexpr int64_t kColumns = 2048;

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

#if defined(__x86_64__)
#define ROPEWALK_BENCH_WIDE __attribute__((target("avx2")))
#else
#define ROPEWALK_BENCH_WIDE
#endif

// The sum of all words, so that each is loaded; eight chains.
ROPEWALK_BENCH_WIDE uint64_t Sum(const uint8_t* from, int64_t bytes) {
  typedef uint64_t Vector __attribute__((vector_size(32), may_alias));
  Vector sums[8] = {};
  const auto* at = reinterpret_cast<const Vector*>(from);
  for (int64_t i = 0; i + 8 <= bytes / 32; i += 8) {
#pragma GCC unroll 8
    for (int c = 0; c < 8; ++c) sums[c] += at[i + c];
  }
  Vector all = {};
  for (const Vector& sum : sums) all += sum;
  return all[0] + all[1] + all[2] + all[3];
}

// Bytes a second of the read loop, the best of a few runs.
double ReadPace(const LargeMemory& memory, ParallelFor& threads) {
  constexpr int64_t kPart = 1 << 20;
  double best = 0;
  for (int run = 0; run < 3; ++run) {
    const auto start = std::chrono::steady_clock::now();
    threads.Run(memory.size() / kPart, [&](int64_t task, int64_t) {
      uint64_t sum = Sum(memory.data() + task * kPart, kPart);
      benchmark::DoNotOptimize(sum);
    });
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(memory.size()) / time.count());
  }
  return best;
}

void BM_Decode(benchmark::State& state, DType type) {
  const auto threads = MakeThreadPool(FromEnvironment("ROPEWALK_THREADS", 0));
  const int64_t bytes = FromEnvironment("ROPEWALK_MEGABYTES", 768) << 20;
  const int64_t group_bytes = InterleavedGroupBytes(type, kColumns);
  const int64_t groups = bytes / group_bytes;
  const LargeMemory memory(groups * group_bytes);
  // Any bytes are weights; these are halves of about 0.1.
  std::memset(memory.data(), 0x2e, static_cast<size_t>(memory.size()));
  const InterleavedMatrix matrix{type, memory.data(), groups * kGroupRows,
                                 kColumns};
  std::vector<float> x(kColumns, 0.5f);
  std::vector<float> y(static_cast<size_t>(matrix.rows));
  const Product product{.interleaved = &matrix, .y = y.data()};
  MatMulScratch scratch;
  const double pace = ReadPace(memory, *threads);
  for (auto _ : state) {
    MatMul(x.data(), RowsOf(1), {&product, 1}, *threads, scratch);
  }
  state.SetBytesProcessed(state.iterations() * memory.size());
  state.counters["of_read"] =
      benchmark::Counter(static_cast<double>(memory.size()) / pace,
                         benchmark::Counter::kIsIterationInvariantRate);
}

const bool kRegistered = [] {
  for (const DTypeInfo& info : AllDTypes()) {
    if (!CanInterleave(info.type)) continue;
    benchmark::RegisterBenchmark(
        std::string(info.name).c_str(),
        [type = info.type](benchmark::State& state) { BM_Decode(state, type); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  return true;
}();

}  // namespace
}  // namespace ropewalk::kernels
