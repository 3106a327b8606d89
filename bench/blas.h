// OpenBLAS for the programs of bench/: sgemm for comparisons, and its rate as
// the limit of this machine.
//
// This is a header, because each file of bench/ is a program of its own.
// Without OpenBLAS, kHasBlas is false and only ChooseBlasKernels may be called,
// which then does nothing.

#ifndef ROPEWALK_BENCH_BLAS_H_
#define ROPEWALK_BENCH_BLAS_H_

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#ifdef ROPEWALK_BENCH_BLAS
#include <cblas.h>
#include <unistd.h>
#endif

namespace ropewalk::bench {

// c[m, n] = alpha sum_k op(a)[m, k] op(b)[k, n] + beta c[m, n], with all
// threads; op may transpose. Strides count elements from row to row.
struct SgemmArgs {
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t depth = 0;
  int64_t a_stride = 0;
  int64_t b_stride = 0;
  int64_t c_stride = 0;
  bool turn_a = false;
  bool turn_b = false;
  float alpha = 1;
  float beta = 0;
};

#ifdef ROPEWALK_BENCH_BLAS

inline constexpr bool kHasBlas = true;

inline std::string BlasName() {
  return std::string("OpenBLAS ") + openblas_get_corename() + ", " +
         std::to_string(openblas_get_num_threads()) + " threads";
}

inline void UseBlasThreads(int count) { openblas_set_num_threads(count); }

// Starts the program again with other kernels, if OpenBLAS is older than the
// processor and has chosen kernels for a much older one. With ROPEWALK_ISA=avx2
// it chooses those for AVX2, as our kernels do. Threads of OpenBLAS sleep
// between calls, so that they take no core from ours.
inline void ChooseBlasKernels(char** argv) {
#if defined(__x86_64__)
  constexpr const char* kCoreType = "OPENBLAS_CORETYPE";
  if (std::getenv(kCoreType) != nullptr) return;
  const std::string_view core = openblas_get_corename();
  const char* best = nullptr;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    best = "HASWELL";
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq")) {
    best = "SKYLAKEX";
  }
  const char* isa = std::getenv("ROPEWALK_ISA");
  if (isa != nullptr && std::string_view(isa) == "avx2") best = "HASWELL";
  if (best == nullptr) return;
  for (const std::string_view young :
       {"Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids"}) {
    if (core == young && isa == nullptr) best = young.data();
  }
  setenv(kCoreType, best, 1);
  setenv("OMP_WAIT_POLICY", "passive", 0);
  execv("/proc/self/exe", argv);
#else
  (void)argv;
#endif
}

inline void Sgemm(const SgemmArgs& g) {
  const auto narrow = [](int64_t x) { return static_cast<blasint>(x); };
  cblas_sgemm(CblasRowMajor, g.turn_a ? CblasTrans : CblasNoTrans,
              g.turn_b ? CblasTrans : CblasNoTrans, narrow(g.rows),
              narrow(g.columns), narrow(g.depth), g.alpha, g.a,
              narrow(g.a_stride), g.b, narrow(g.b_stride), g.beta, g.c,
              narrow(g.c_stride));
}

#else

inline constexpr bool kHasBlas = false;
inline std::string BlasName() { return "none"; }
inline void UseBlasThreads(int) {}
inline void ChooseBlasKernels(char**) {}
inline void Sgemm(const SgemmArgs&) { std::abort(); }

#endif

// The rate of a square product of n = 2048, the limit of the machine.
inline void SgemmPeak(benchmark::State& state) {
  const int64_t n = 2048;
  const std::vector<float> a(static_cast<size_t>(n * n), 0.5f);
  const std::vector<float> b(static_cast<size_t>(n * n), 0.25f);
  std::vector<float> c(static_cast<size_t>(n * n));
  for (auto _ : state) {
    Sgemm({.a = a.data(),
           .b = b.data(),
           .c = c.data(),
           .rows = n,
           .columns = n,
           .depth = n,
           .a_stride = n,
           .b_stride = n,
           .c_stride = n});
    benchmark::DoNotOptimize(c.data());
  }
  const auto side = static_cast<double>(n);
  state.counters["GFLOP/s"] = benchmark::Counter(
      2e-9 * side * side * side, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace ropewalk::bench

#endif  // ROPEWALK_BENCH_BLAS_H_
