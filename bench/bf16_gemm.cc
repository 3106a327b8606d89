// Matrix products of training in bfloat16 on AMX tiles, compared with sgemm:
// the three products of a projection of R tokens (forward, gradient of the
// input, gradient of the weight), for the shapes of a small and of a large
// model.
//
//   make bench BENCH=bf16_gemm
//   build/bench/bf16_gemm --benchmark_filter=640
//
// Both use one thread, and runs are interleaved. The column `x sgemm` is the
// speed of the tiles over that of sgemm.

#include "kernels/cpu/bf16_gemm.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "bench/blas.h"

namespace ropewalk {
namespace {

// y [R, out] = x [R, in] w^T [in, out].
struct Projection {
  int64_t R, in, out;
};
constexpr Projection kProjections[] = {
    {4096, 128, 384},  {4096, 192, 576},  {4096, 192, 640}, {4096, 320, 192},
    {1024, 192, 2048}, {2048, 768, 2304}, {2048, 768, 768}, {2048, 2048, 768}};
constexpr const char* kPasses[] = {"forward", "input", "weight"};

struct Case {
  int64_t M, N, K;
  bool a_transposed, b_transposed;
};

Case CaseOf(const Projection& p, const std::string& pass) {
  if (pass == "forward") return {p.R, p.out, p.in, false, true};
  if (pass == "input") return {p.R, p.in, p.out, false, false};
  return {p.out, p.in, p.R, true, false};
}

std::vector<float> Numbers(int64_t count) {
  Rng rng(1);
  std::vector<float> x(static_cast<size_t>(count));
  for (float& one : x) one = static_cast<float>(rng.Uniform() - 0.5);
  return x;
}

void Run(benchmark::State& state, const Case& t, bool tiles) {
  const std::vector<float> a = Numbers(t.M * t.K);
  const std::vector<float> b = Numbers(t.K * t.N);
  std::vector<float> c(static_cast<size_t>(t.M * t.N));
  const int64_t a_stride = t.a_transposed ? t.M : t.K;
  const int64_t b_stride = t.b_transposed ? t.K : t.N;
  const auto pool = MakeThreadPool(1);
  kernels::Bf16Scratch scratch;
  for (auto _ : state) {
    if (tiles) {
      kernels::Bf16Gemm(t.M, t.N, t.K, {a.data(), a_stride, t.a_transposed},
                        {b.data(), b_stride, t.b_transposed}, c.data(), t.N,
                        false, *pool, scratch);
    } else {
      bench::Sgemm({.a = a.data(),
                    .b = b.data(),
                    .c = c.data(),
                    .rows = t.M,
                    .columns = t.N,
                    .depth = t.K,
                    .a_stride = a_stride,
                    .b_stride = b_stride,
                    .c_stride = t.N,
                    .turn_a = t.a_transposed,
                    .turn_b = t.b_transposed});
    }
    benchmark::DoNotOptimize(c.data());
  }
}

std::string NameOf(const Projection& p, const char* pass, const char* way) {
  return std::string(way) + "/" + pass + "/" + std::to_string(p.R) + "x" +
         std::to_string(p.in) + "x" + std::to_string(p.out);
}

// Keeps the medians, and prints them as a table.
class TableReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.aggregate_name != "median") continue;
      seconds_[run.run_name.function_name] = 1e-6 * run.GetAdjustedRealTime();
    }
  }

  void Finalize() override {
    ConsoleReporter::Finalize();
    std::printf("\nmedians; sgemm: %s\n%-16s %-8s %9s %9s %8s\n",
                bench::BlasName().c_str(), "R x in x out", "pass", "GFLOP/s",
                "of sgemm", "x sgemm");
    for (const Projection& p : kProjections) {
      for (const char* pass : kPasses) Row(p, pass);
    }
  }

 private:
  void Row(const Projection& p, const char* pass) const {
    const auto tiles = seconds_.find(NameOf(p, pass, "tiles"));
    if (tiles == seconds_.end()) return;
    const double work = 2e-9 * static_cast<double>(p.R * p.in * p.out);
    std::printf(
        "%-16s %-8s %9.0f",
        NameOf(p, pass, "").substr(2 + std::string(pass).size()).c_str(), pass,
        work / tiles->second);
    const auto sgemm = seconds_.find(NameOf(p, pass, "sgemm"));
    if (sgemm != seconds_.end()) {
      std::printf(" %9.0f %8.2f", work / sgemm->second,
                  sgemm->second / tiles->second);
    }
    std::printf("\n");
  }

  std::map<std::string, double> seconds_;
};

void Register() {
  for (const Projection& p : kProjections) {
    for (const char* pass : kPasses) {
      for (const bool tiles : {true, false}) {
        if (!tiles && !bench::kHasBlas) continue;
        const std::string name = NameOf(p, pass, tiles ? "tiles" : "sgemm");
        benchmark::RegisterBenchmark(
            name.c_str(),
            [t = CaseOf(p, pass), tiles](benchmark::State& state) {
              Run(state, t, tiles);
            })
            ->Unit(benchmark::kMicrosecond)
            ->UseRealTime()
            ->Repetitions(5)
            ->ReportAggregatesOnly();
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk

int main(int argc, char** argv) {
  ropewalk::bench::ChooseBlasKernels(argv);
  ropewalk::bench::UseBlasThreads(1);
  std::vector<char*> arguments(argv, argv + argc);
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  std::string time = "--benchmark_min_time=0.05";
  arguments.insert(arguments.begin() + 1, {interleave.data(), time.data()});
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  if (!ropewalk::kernels::HasBf16Tiles()) {
    std::fprintf(stderr, "this processor has no tiles for bfloat16\n");
    return 1;
  }
  ropewalk::Register();
  ropewalk::TableReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}
