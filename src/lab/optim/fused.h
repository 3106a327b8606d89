// The update rules as one pass over memory each: contiguous float32 on the CPU.
//
// Loops are compiled for several instruction sets and chosen at load time. All
// of them round alike (no contraction, elementwise, fixed order of sums), so
// results depend neither on the machine's instructions nor on its threads.

#ifndef ROPEWALK_LAB_OPTIM_FUSED_H_
#define ROPEWALK_LAB_OPTIM_FUSED_H_

#include <cstdint>
#include <functional>

namespace ropewalk::lab::optim::fused {

// Length of the blocks of a sum: part of its definition.
constexpr int64_t kBlock = 1 << 14;

// body(begin, end) over pieces of [0, n), on ATen's threads where n is worth
// it. Pieces differ with the number of threads.
void OverElements(int64_t n, const std::function<void(int64_t, int64_t)>& body);

// body(row) for rows of `width` elements.
void OverRows(int64_t rows, int64_t width,
              const std::function<void(int64_t)>& body);

// In float64 over blocks of fixed length.
double SumSquares(const float* x, int64_t n);

// used[row] = some element of the row is not 0.
void NonZeroRows(const float* x, int64_t rows, int64_t width, bool* used);

// The functions below run on the calling thread. All arrays have n elements.
// Numbers of a magnitude below `smallest` are stored as 0; 0 keeps all.

// The sum of squares, in float64, of up to about kBlock numbers.
double BlockSumSquares(const float* x, int64_t n) noexcept;

// m = keep * m + add * g
struct AverageArgs {
  float* m;
  const float* g;
  int64_t n;
  float keep, add, smallest;
};
void Average(const AverageArgs& args) noexcept;

// m as above, then x -= rate * (sign(m) + decay * x)
struct TigerArgs {
  float *x, *m;
  const float* g;
  int64_t n;
  float keep, add, rate, decay, smallest;
};
void Tiger(const TigerArgs& args) noexcept;

// x = (x - centre) * ratio + centre
void Shrink(float* x, int64_t n, float ratio, float centre) noexcept;

// x -= rate * (sign(keep1 * m + add1 * g) + decay * x), then
// m = keep2 * m + add2 * g. The first is left out where `move` is false.
struct LionArgs {
  float *x, *m;
  const float* g;
  int64_t n;
  float keep1, add1, keep2, add2, rate, decay, smallest;
  bool move;
};
void Lion(const LionArgs& args) noexcept;

// g *= scale; m = keep1 * m + add1 * g; v = keep2 * v + add2 * g * g; then
// x = x * shrink - rate * m / (sqrt(v) * root + epsilon), left out where
// `move` is false.
struct AdamWArgs {
  float *x, *m, *v;
  const float* g;
  int64_t n;
  float scale, keep1, add1, keep2, add2, shrink, rate, root, epsilon, smallest;
  bool move;
};
void AdamW(const AdamWArgs& args) noexcept;

// LAMB's direction u = m * unbias / (sqrt(v) * root + epsilon) + decay * x,
// never stored: its sum of squares and x's are added to `direction` and
// `weight`, in float64 ...
struct LambArgs {
  float* x;
  const float *m, *v;
  int64_t n;
  float unbias, root, epsilon, decay;
};
void LambNorms(const LambArgs& args, double* direction,
               double* weight) noexcept;
// ... and x -= rate * u.
void LambMove(const LambArgs& args, float rate) noexcept;

}  // namespace ropewalk::lab::optim::fused

#endif  // ROPEWALK_LAB_OPTIM_FUSED_H_
