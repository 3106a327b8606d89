// The rate at which this machine reads memory: a plain loop that adds up a
// buffer, each thread its own part of it.
//
//   c++ -O3 -march=native -std=c++20 -pthread bench/read_loop.cc -o read_loop
//   ./read_loop [THREADS [MIB [PASSES]]]
//
// Prints GB/s of the fastest pass, and of the median one. Decoding one token
// reads every weight of the model once, so this rate over the bytes of the
// weights bounds the tokens a second.
//
// The buffer is by default four times the last-level cache, and at least 1 GiB:
// a loop over less would find part of it in the cache.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// Integers, because compilers add them in vectors without being asked to, and
// because an addition takes a cycle: one running sum keeps up with memory.
uint64_t Sum(const uint64_t* words, int64_t n) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += words[i];
  return sum;
}

int64_t DefaultMib() {
  int64_t cache = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
  cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
  return std::max<int64_t>(1024, 4 * cache / (1 << 20));
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, int64_t otherwise) {
    return argc > i ? std::strtoll(argv[i], nullptr, 10) : otherwise;
  };
  const int64_t threads =
      argument(1, static_cast<int64_t>(std::thread::hardware_concurrency()));
  const int64_t mib = argument(2, DefaultMib());
  const int64_t passes = argument(3, 7);
  if (threads < 1 || mib < 1 || passes < 1) {
    std::fprintf(stderr, "usage: read_loop [THREADS [MIB [PASSES]]]\n");
    return 2;
  }
  const int64_t share = mib * (1 << 20) / 8 / threads;
  std::vector<uint64_t> words(static_cast<size_t>(share * threads), 1);
  std::vector<double> rates;
  for (int64_t pass = 0; pass < passes; ++pass) {
    std::vector<uint64_t> sums(static_cast<size_t>(threads));
    std::vector<std::thread> workers;
    const Clock::time_point begin = Clock::now();
    for (int64_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        sums[static_cast<size_t>(t)] = Sum(words.data() + t * share, share);
      });
    }
    for (std::thread& worker : workers) worker.join();
    const double seconds =
        std::chrono::duration<double>(Clock::now() - begin).count();
    uint64_t sum = 0;
    for (const uint64_t part : sums) sum += part;
    if (sum != words.size()) return 1;  // and the loop has to be run
    rates.push_back(static_cast<double>(words.size()) * 8 / seconds / 1e9);
  }
  std::ranges::sort(rates);
  std::printf("%.2f GB/s, median %.2f; %lld threads, %lld MiB\n", rates.back(),
              rates[rates.size() / 2], static_cast<long long>(threads),
              static_cast<long long>(mib));
  return 0;
}
