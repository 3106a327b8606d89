#include "lab/optim/fused.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

// The build is -O2, whose vectoriser wants loop counts known beforehand, and
// comparisons become vectors only without traps. Functions of the standard
// library keep the flags of their headers and would not be inlined below.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3,no-trapping-math")
#endif

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && \
    defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#define ROPEWALK_CLONES \
  __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define ROPEWALK_CLONES
#endif

namespace ropewalk::lab::optim::fused {
namespace {

constexpr int64_t kGrain = 1 << 15;  // 128 KiB; below it threads cost more
constexpr int64_t kLanes = 8;

ROPEWALK_CLONES bool AnyNonZero(const float* __restrict x, int64_t n) {
  int any = 0;
  for (int64_t i = 0; i < n; ++i) any |= x[i] != 0 ? 1 : 0;
  return any != 0;
}

// Elements whose intermediate results stay in the first-level cache.
constexpr int64_t kTile = 256;

// root[i] = sqrt(v[i]). By hand, because sqrt may set errno and then does not
// become a vector; wider vectors have no faster square roots.
void Roots(const float* v, int64_t n, float* root) {
  int64_t i = 0;
#ifdef __SSE2__
  for (; i + 4 <= n; i += 4) {
    _mm_storeu_ps(root + i, _mm_sqrt_ps(_mm_loadu_ps(v + i)));
  }
#endif
  for (; i < n; ++i) root[i] = std::sqrt(v[i]);
}

inline float Sign(float x) { return x > 0 ? 1.0f : (x < 0 ? -1.0f : 0.0f); }

inline float Flush(float x, float smallest) {
  return __builtin_fabsf(x) < smallest ? 0.0f : x;
}

}  // namespace

// Eight sums side by side, which vectors of any width give alike.
ROPEWALK_CLONES double BlockSumSquares(const float* x, int64_t n) noexcept {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = x[i + lane];
      lanes[lane] += value * value;
    }
  }
  for (; i < n; ++i) {
    const double value = x[i];
    lanes[i % kLanes] += value * value;
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

void OverElements(int64_t n,
                  const std::function<void(int64_t, int64_t)>& body) {
  at::parallel_for(0, n, kGrain, body);
}

void OverRows(int64_t rows, int64_t width,
              const std::function<void(int64_t)>& body) {
  const int64_t grain =
      std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width));
  at::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

double SumSquares(const float* x, int64_t n) {
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<size_t>(blocks));
  at::parallel_for(0, blocks, kGrain / kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kBlock;
      sums[static_cast<size_t>(block)] =
          BlockSumSquares(x + first, std::min(kBlock, n - first));
    }
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

void NonZeroRows(const float* x, int64_t rows, int64_t width, bool* used) {
  OverRows(rows, width, [&](int64_t row) {
    used[row] = AnyNonZero(x + row * width, width);
  });
}

ROPEWALK_CLONES void Average(const AverageArgs& args) noexcept {
  const auto [m_in, g_in, n, keep, add, smallest] = args;
  float* __restrict m = m_in;
  const float* __restrict g = g_in;
  for (int64_t i = 0; i < n; ++i) {
    m[i] = Flush(keep * m[i] + add * g[i], smallest);
  }
}

ROPEWALK_CLONES void Tiger(const TigerArgs& args) noexcept {
  const auto [x_in, m_in, g_in, n, keep, add, rate, decay, smallest] = args;
  float* __restrict x = x_in;
  float* __restrict m = m_in;
  const float* __restrict g = g_in;
  for (int64_t i = 0; i < n; ++i) {
    const float mean = Flush(keep * m[i] + add * g[i], smallest);
    m[i] = mean;
    x[i] -= rate * (Sign(mean) + decay * x[i]);
  }
}

ROPEWALK_CLONES void Shrink(float* x_in, int64_t n, float ratio,
                            float centre) noexcept {
  float* __restrict x = x_in;
  for (int64_t i = 0; i < n; ++i) x[i] = (x[i] - centre) * ratio + centre;
}

ROPEWALK_CLONES void Lion(const LionArgs& args) noexcept {
  const auto [x_in, m_in, g_in, n, keep1, add1, keep2, add2, rate, decay,
              smallest, move] = args;
  float* __restrict x = x_in;
  float* __restrict m = m_in;
  const float* __restrict g = g_in;
  if (move) {
    for (int64_t i = 0; i < n; ++i) {
      const float mean = Flush(keep1 * m[i] + add1 * g[i], smallest);
      m[i] = Flush(keep2 * m[i] + add2 * g[i], smallest);
      x[i] -= rate * (Sign(mean) + decay * x[i]);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) {
      m[i] = Flush(keep2 * m[i] + add2 * g[i], smallest);
    }
  }
}

ROPEWALK_CLONES void AdamW(const AdamWArgs& args) noexcept {
  const auto [x_in, m_in, v_in, g_in, n, scale, keep1, add1, keep2, add2,
              shrink, rate, root, epsilon, smallest, move] = args;
  float roots[kTile];
  for (int64_t begin = 0; begin < n; begin += kTile) {
    const int64_t size = std::min(kTile, n - begin);
    float* __restrict x = x_in + begin;
    float* __restrict m = m_in + begin;
    float* __restrict v = v_in + begin;
    const float* __restrict g = g_in + begin;
    for (int64_t i = 0; i < size; ++i) {
      const float slope = g[i] * scale;
      m[i] = Flush(keep1 * m[i] + add1 * slope, smallest);
      v[i] = Flush(keep2 * v[i] + add2 * (slope * slope), smallest);
    }
    if (!move) continue;
    Roots(v, size, roots);
    for (int64_t i = 0; i < size; ++i) {
      x[i] = x[i] * shrink - rate * m[i] / (roots[i] * root + epsilon);
    }
  }
}

// u of up to kTile elements from `begin`.
ROPEWALK_CLONES void LambDirection(const LambArgs& args, int64_t begin,
                                   int64_t size, float* u_out) noexcept {
  const float* __restrict x = args.x + begin;
  const float* __restrict m = args.m + begin;
  float* __restrict u = u_out;
  const float unbias = args.unbias;
  const float root = args.root;
  const float epsilon = args.epsilon;
  const float decay = args.decay;
  Roots(args.v + begin, size, u);
  for (int64_t i = 0; i < size; ++i) {
    u[i] = m[i] * unbias / (u[i] * root + epsilon) + decay * x[i];
  }
}

void LambNorms(const LambArgs& args, double* direction,
               double* weight) noexcept {
  float u[kTile];
  for (int64_t begin = 0; begin < args.n; begin += kTile) {
    const int64_t size = std::min(kTile, args.n - begin);
    LambDirection(args, begin, size, u);
    *direction += BlockSumSquares(u, size);
    *weight += BlockSumSquares(args.x + begin, size);
  }
}

ROPEWALK_CLONES void LambMove(const LambArgs& args, float rate) noexcept {
  float u[kTile];
  for (int64_t begin = 0; begin < args.n; begin += kTile) {
    const int64_t size = std::min(kTile, args.n - begin);
    LambDirection(args, begin, size, u);
    float* __restrict x = args.x + begin;
    for (int64_t i = 0; i < size; ++i) x[i] -= rate * u[i];
  }
}

}  // namespace ropewalk::lab::optim::fused
