// The cost of training with rerope: forward and backward of one head in three
// ways, and plain rope for comparison.
//
//   make bench BENCH=training_attention
//   build/bench/training_attention --benchmark_filter='D:64/n:4096'
//
// The ways are those of bench/rerope_ways.h.
//
// Runs are interleaved, and the table at the end compares medians, so that a
// machine whose speed drifts favours no way. GFLOP/s counts useful work, 4 D
// n^2 / 2 forward and 10 D n^2 / 2 backward, not the operations of each way.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/blas.h"
#include "bench/rerope_ways.h"
#include "kernels/cpu/isa.h"

namespace ropewalk {
namespace {

using bench::Floats;
using bench::Head;

// The largest difference divided by the largest entry.
double Apart(const Floats& got, const Floats& want) {
  double apart = 0;
  double most = 0;
  for (int64_t at = 0; at < want.size(); ++at) {
    apart = std::max(apart, std::abs(double(got[at]) - double(want[at])));
    most = std::max(most, std::abs(double(want[at])));
  }
  return apart / most;
}

// Checks that the ways compute the same; else their times could not be
// compared. They sum up to n float32 products in different orders, so the
// tolerance is n 2^-24 of the largest entry.
void CheckThatWaysAgree() {
  const int64_t n = 1200;
  Head want{n, 64};
  const auto ours = bench::MakeWay("ours", n, 64);
  ours->Forward(want);
  ours->Backward(want);
  for (const char* name : {"twice", "classic"}) {
    if (std::string(name) == "classic" && !bench::kHasBlas) continue;
    Head got{n, 64};
    const auto way = bench::MakeWay(name, n, 64);
    way->Forward(got);
    way->Backward(got);
    for (const auto& [x, y] : {std::pair(&got.out, &want.out),
                               {&got.d_q, &want.d_q},
                               {&got.d_k, &want.d_k},
                               {&got.d_v, &want.d_v}}) {
      const double apart = Apart(*x, *y);
      if (!(apart < n * 0x1p-24)) {
        std::fprintf(stderr, "%s and ours are %.1e apart\n", name, apart);
        std::exit(1);
      }
    }
  }
  std::printf("the ways agree to n 2^-24\n");
}

void Run(benchmark::State& state, const std::string& name, int64_t n, int64_t D,
         bool back) {
  Head head{n, D};
  const auto way = bench::MakeWay(name, n, D);
  way->Forward(head);  // also makes tables and scratch
  if (back) way->Backward(head);
  for (auto _ : state) {
    if (back) {
      way->Backward(head);
      benchmark::DoNotOptimize(head.d_q.data());
    } else {
      way->Forward(head);
      benchmark::DoNotOptimize(head.out.data());
    }
  }
}

// Keeps the medians, and prints them as a table.
class TableReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.aggregate_name != "median") continue;
      // In the unit of the run, for one iteration.
      seconds_[run.run_name.function_name] = 1e-3 * run.GetAdjustedRealTime();
    }
  }

  void Finalize() override {
    ConsoleReporter::Finalize();
    const auto peak = seconds_.find("sgemm");
    if (peak != seconds_.end()) {
      std::printf("\n%s, n = 2048: %.0f GFLOP/s\n", bench::BlasName().c_str(),
                  2e-9 * 2048 * 2048 * 2048 / peak->second);
    }
    std::printf(
        "\nmedians; x ours: time over ours, forward and backward together\n"
        "%5s %6s %-8s %20s %20s %20s %7s\n",
        "D", "n", "way", "forward ms GFLOP/s", "backward ms GFLOP/s",
        "both ms GFLOP/s", "x ours");
    for (const int64_t D : {64, 128}) {
      for (const int64_t n : {1024, 4096, 16384}) {
        for (const char* way : bench::kWays) Row(way, n, D);
      }
    }
  }

 private:
  double Seconds(const char* what, const std::string& way, int64_t n,
                 int64_t D) const {
    const auto found =
        seconds_.find(std::string(what) + "/" + way +
                      "/D:" + std::to_string(D) + "/n:" + std::to_string(n));
    return found == seconds_.end() ? 0 : found->second;
  }

  void Row(const std::string& way, int64_t n, int64_t D) const {
    const double forward = Seconds("forward", way, n, D);
    const double backward = Seconds("backward", way, n, D);
    if (forward == 0 || backward == 0) return;
    const double unit =
        1e-9 * static_cast<double>(n) * static_cast<double>(n * D) / 2;
    const double ours =
        Seconds("forward", "ours", n, D) + Seconds("backward", "ours", n, D);
    std::printf("%5ld %6ld %-8s %12.2f %7.0f %12.2f %7.0f %12.2f %7.0f %7.2f\n",
                D, n, way.c_str(), 1e3 * forward, 4 * unit / forward,
                1e3 * backward, 10 * unit / backward,
                1e3 * (forward + backward), 14 * unit / (forward + backward),
                (forward + backward) / ours);
  }

  std::map<std::string, double> seconds_;
};

void Register() {
  const auto add = [](const std::string& name, auto body) {
    benchmark::RegisterBenchmark(name.c_str(), body)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->Repetitions(7)
        ->ReportAggregatesOnly();
  };
  if (bench::kHasBlas) add("sgemm", bench::SgemmPeak);
  for (const int64_t D : {64, 128}) {
    for (const int64_t n : {1024, 4096, 16384}) {
      for (const char* way : bench::kWays) {
        // This way needs sgemm.
        if (std::string(way) == "classic" && !bench::kHasBlas) continue;
        const std::string tail = std::string("/") + way +
                                 "/D:" + std::to_string(D) +
                                 "/n:" + std::to_string(n);
        for (const bool back : {false, true}) {
          add((back ? "backward" : "forward") + tail,
              [way, n, D, back](benchmark::State& state) {
                Run(state, way, n, D, back);
              });
        }
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk

int main(int argc, char** argv) {
  ropewalk::bench::ChooseBlasKernels(argv);
  std::vector<char*> arguments(argv, argv + argc);
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  std::string time = "--benchmark_min_time=0.05";
  arguments.insert(arguments.begin() + 1, {interleave.data(), time.data()});
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  ropewalk::kernels::ChooseIsaFromEnvironment();
  ropewalk::CheckThatWaysAgree();
  ropewalk::Register();
  ropewalk::TableReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}
