// Matrix products with quantised weights, in one thread: billions of operations
// a second (a multiplication and an addition are two) beside the same in
// float32 and the processor's own limit for 8-bit integers.
//
//   bench/matmul --benchmark_filter='q8_0'
//
// Each line is TYPE/ROWS/COLUMNS/TOKENS; "of_peak" is the share of the limit,
// which a loop of the instruction alone reaches. "bytes" are those of the
// weights, which matter for one token.

#include "kernels/matmul.h"

#include <benchmark/benchmark.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/blocks.h"
#include "kernels/cpu/interleaved.h"
#include "kernels/cpu/isa.h"
#include "kernels/interleaved.h"
#include "kernels/quantized_rows.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ropewalk::kernels {
namespace {

#if defined(__x86_64__)
// Twelve chains of products hide the latency of an addition. Returns
// operations.
__attribute__((target("avx512f,avx512bw,avx512vnni"))) double Avx512Vnni(
    int64_t rounds) {
  __m512i sums[12] = {};
  __m512i w = _mm512_set1_epi8(3);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < 12; ++c) sums[c] = _mm512_dpbusd_epi32(sums[c], w, w);
    asm volatile("" : "+v"(w));
  }
  for (__m512i& sum : sums) benchmark::DoNotOptimize(sum);
  return 12.0 * 64 * 2 * static_cast<double>(rounds);
}

__attribute__((target("avx2"))) double Avx2(int64_t rounds) {
  __m256i sums[8] = {};
  __m256i w = _mm256_set1_epi8(3);
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 8
    for (int c = 0; c < 8; ++c) {
      sums[c] = _mm256_add_epi32(
          sums[c], _mm256_madd_epi16(_mm256_maddubs_epi16(w, w), ones));
    }
    asm volatile("" : "+x"(w));
  }
  for (__m256i& sum : sums) benchmark::DoNotOptimize(sum);
  return 8.0 * 32 * 2 * static_cast<double>(rounds);
}
#endif

// The most 8-bit operations a second of this processor with the instruction set
// in use; 0 where no loop is known. It is measured again for every line, since
// the clock changes with what runs beside.
double Peak() {
#if defined(__x86_64__)
  const std::string isa = ActiveIsa();
  double (*loop)(int64_t) = isa == "avx3_vnni" ? Avx512Vnni
                            : isa == "avx2"    ? Avx2
                                               : nullptr;
  if (loop == nullptr) return 0;
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const double operations = loop(2'000'000);
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    best = std::max(best, operations / time.count());
  }
  return best;
#else
  return 0;
#endif
}

void BM_Integers(benchmark::State& state, DType type) {
  const int64_t rows = state.range(0);
  const int64_t columns = state.range(1);
  const int64_t T = state.range(2);
  Rng rng(1);
  std::vector<float> values(static_cast<size_t>(rows * columns));
  for (float& value : values) value = static_cast<float>(rng.Normal());
  std::vector<uint8_t> stored(
      static_cast<size_t>(rows * RowBytes(type, columns)));
  PackRow(type, values.data(), rows * columns, stored.data());
  const int64_t groups = rows / kGroupRows;
  const int64_t bytes = InterleavedGroupBytes(type, columns);
  AlignedBuffer<uint8_t> interleaved(groups * bytes);
  for (int64_t g = 0; g < groups; ++g) {
    InterleaveGroup(type,
                    stored.data() + g * kGroupRows * RowBytes(type, columns),
                    kGroupRows, columns, interleaved.data() + g * bytes);
  }
  const InterleavedMatrix matrix{type, interleaved.data(), rows, columns};
  values.resize(static_cast<size_t>(T * columns));
  std::vector<float> y(static_cast<size_t>(T * rows));
  RowQuantizer quantizer;
  SerialFor threads;
  constexpr int64_t kStep = 4;
  AlignedBuffer<uint8_t> scratch(kStep * UnpackedBytes(matrix));
  const double peak = Peak();
  for (auto _ : state) {
    const QuantizedRows& x =
        quantizer.Quantize(values.data(), T, columns, threads);
    if (T <= kStreamTokens) {
      for (int64_t g = 0; g < groups; ++g) {
        MultiplyStreamed(matrix, g, x, y.data());
      }
    } else {
      for (int64_t g = 0; g < groups; g += kStep) {
        MultiplyUnpacked(matrix, g, std::min(kStep, groups - g), x, y.data(),
                         scratch.data());
      }
    }
    benchmark::DoNotOptimize(y.data());
  }
  const double work = 2.0 * static_cast<double>(rows * columns * T);
  state.counters["GOP/s"] = benchmark::Counter(
      work / 1e9, benchmark::Counter::kIsIterationInvariantRate);
  if (peak > 0) {
    state.counters["of_peak"] = benchmark::Counter(
        work / peak, benchmark::Counter::kIsIterationInvariantRate);
  }
  state.SetBytesProcessed(state.iterations() * groups * bytes);
}

void BM_Floats(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const int64_t columns = state.range(1);
  const int64_t T = state.range(2);
  std::vector<float> weights(static_cast<size_t>(rows * columns), 0.5f);
  std::vector<float> x(static_cast<size_t>(T * columns), 0.25f);
  std::vector<float> y(static_cast<size_t>(T * rows));
  SerialFor threads;
  MatMulScratch scratch;
  for (auto _ : state) {
    MatMul(x.data(), RowsOf(T), {DType::kF32, weights.data(), rows, columns},
           y.data(), threads, scratch);
    benchmark::DoNotOptimize(y.data());
  }
  state.counters["GOP/s"] =
      benchmark::Counter(2e-9 * static_cast<double>(rows * columns * T),
                         benchmark::Counter::kIsIterationInvariantRate);
  state.SetBytesProcessed(state.iterations() * rows * columns * 4);
}

void Shapes(benchmark::internal::Benchmark* line) {
  line->Args({2048, 2048, 512})->Args({2048, 2048, 4})->Args({2048, 2048, 1});
}

BENCHMARK(BM_Floats)->Name("f32")->Apply(Shapes);

const bool kRegistered = [] {
  for (const DTypeInfo& info : AllDTypes()) {
    if (!info.packed || !CanInterleave(info.type)) continue;
    benchmark::RegisterBenchmark(std::string(info.name).c_str(),
                                 [type = info.type](benchmark::State& state) {
                                   BM_Integers(state, type);
                                 })
        ->Apply(Shapes);
  }
  return true;
}();

}  // namespace
}  // namespace ropewalk::kernels
