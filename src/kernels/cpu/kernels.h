// The fast kernels: float32 on raw pointers, in one thread, without allocation.
//
// Each has its plain float64 definition in kernels/reference/, and tests
// compare the two on every instruction set. Matrices are row-major; a stride
// counts elements from one row to the next.

#ifndef ROPEWALK_KERNELS_CPU_KERNELS_H_
#define ROPEWALK_KERNELS_CPU_KERNELS_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels {

// c[m, n] = sum_k a[m, k] b[k, n], or += with `accumulate`. The order of the
// sums in a row of c does not depend on the number of rows. Memory outside the
// given sizes is neither read nor written.
struct GemmArgs {
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
  int64_t rows = 0;     // of a and c
  int64_t columns = 0;  // of b and c
  int64_t depth = 0;    // columns of a, rows of b
  int64_t a_stride = 0;
  int64_t b_stride = 0;
  int64_t c_stride = 0;
  bool accumulate = false;
  // Elements from one column of a to the next. To read a transposed matrix in
  // place, set a_stride to 1 and this to the stride of the matrix.
  int64_t a_step = 1;
};
void Gemm(const GemmArgs& args) noexcept;

// One step of online softmax over a tile of scores [rows, columns]:
//
//   new = max(running_max, max(scores)); scores = 2^(scores - new)
//   decay = 2^(running_max - new); running_sum = running_sum decay + sum
//   output row *= decay
//
// Scores are logarithms to base 2. A score of -inf is a masked pair. If all
// pairs of a row are masked, its scores become 0 and its state stays as it is.
// running_max starts at -inf and running_sum at 0.
struct OnlineSoftmaxArgs {
  float* scores = nullptr;        // [rows, columns] in, weights out
  float* running_max = nullptr;   // [rows]
  double* running_sum = nullptr;  // [rows]
  float* output = nullptr;        // [rows, width]
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t width = 0;
  int64_t scores_stride = 0;
  int64_t output_stride = 0;
};
void OnlineSoftmax(const OnlineSoftmaxArgs& args) noexcept;

// y = scale * (x rotated), for `heads` rows of width D. Pair (m, m + pairs) is
// rotated by the angle with cos[m] and sin[m]; components from 2 * pairs on are
// only scaled. y may be x.
struct RotateArgs {
  const float* x = nullptr;
  float* y = nullptr;
  int64_t heads = 0;
  int64_t D = 0;
  int64_t x_stride = 0;
  int64_t y_stride = 0;
  int64_t pairs = 0;
  const float* cos = nullptr;  // [pairs]
  const float* sin = nullptr;  // [pairs]
  float scale = 1;
};
void Rotate(const RotateArgs& args) noexcept;

// Rotate for rows that each have their own angle and scale: row r takes
// cos + r * angle_stride, sin + r * angle_stride, and scale[r].
struct RotateRowsArgs {
  const float* x = nullptr;  // [rows, D]
  float* y = nullptr;        // [rows, D]; may be x unless `accumulate`
  int64_t rows = 0;
  int64_t D = 0;
  int64_t x_stride = 0;
  int64_t y_stride = 0;
  int64_t pairs = 0;
  const float* cos = nullptr;
  const float* sin = nullptr;
  int64_t angle_stride = 0;      // 0: all rows have the same angle
  const float* scale = nullptr;  // [rows]; null stands for 1
  bool back = false;             // rotates by minus the angle
  bool accumulate = false;       // y += instead of y =
};
void RotateRows(const RotateRowsArgs& args) noexcept;

// y[c, r] = x[r, c] for x [rows, columns].
void Transpose(const float* x, int64_t x_stride, int64_t rows, int64_t columns,
               float* y, int64_t y_stride) noexcept;

// y = x / sqrt(mean(x^2) + epsilon) * weight, for one row of `size` elements. A
// null weight stands for 1. The sum is formed in float64. y may be x.
void RmsNorm(const float* x, const float* weight, float epsilon, int64_t size,
             float* y) noexcept;

// y = (x - mean(x)) / sqrt(var(x) + epsilon) * weight + bias, for one row of
// `size` elements; var divides by `size`. A null weight stands for 1, a null
// bias for 0. Sums are formed in float64. y may be x.
void LayerNorm(const float* x, const float* weight, const float* bias,
               float epsilon, int64_t size, float* y) noexcept;

// The activation of a feed-forward layer. Each result is within 5e-7 |x| of the
// definition. An infinite x gives NaN where the limit of the definition is 0.
enum class Activation {
  kSilu,       // x / (1 + exp(-x))
  kGelu,       // x (1 + erf(x / sqrt(2))) / 2
  kGeluTanh,   // x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
  kRelu,       // max(x, 0)
  kQuickGelu,  // x / (1 + exp(-1.702 x))
};

// y = act(x); y may be x.
void Activate(Activation kind, const float* x, int64_t size, float* y) noexcept;

// y = act(gate) * up; y may be either.
void GatedActivation(Activation kind, const float* gate, const float* up,
                     int64_t size, float* y) noexcept;

// GatedActivation with kSilu.
void SwiGlu(const float* gate, const float* up, int64_t size,
            float* y) noexcept;

// y = cap tanh(y / cap), relative error below 5e-7; cap > 0.
void SoftCap(float cap, int64_t size, float* y) noexcept;

// y += x.
void Add(const float* x, int64_t size, float* y) noexcept;

// y += factor x.
void AddScaled(const float* x, float factor, int64_t size, float* y) noexcept;

// y *= factor.
void Scale(float factor, int64_t size, float* y) noexcept;

// sum_i x[i] row[i] for a row that is stored as `type`. The result has the same
// bits as for the row unpacked by UnpackRow.
float Dot(DType type, const void* row, const float* x, int64_t size) noexcept;

// y[t, r] = sum_i weights[r, i] x[t, i]. Each element has the same bits as Dot
// with kF32.
struct DotTileArgs {
  const float* weights = nullptr;  // [rows, columns]
  const float* x = nullptr;        // [T, columns]
  float* y = nullptr;              // [T, rows]
  int64_t rows = 0;
  int64_t T = 0;
  int64_t columns = 0;
  int64_t weight_stride = 0;
  int64_t x_stride = 0;
  int64_t y_stride = 0;
};
void DotTile(const DotTileArgs& args) noexcept;

// y = exp(x), relative error below 2e-7; 0 below -87.3, exp(88.3) above 88.3.
void Exp(const float* x, int64_t size, float* y) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_KERNELS_H_
