// Integer products of quantised activations with interleaved weights, and the
// quantisation itself, in one thread.
//
// y[t, r] is formed over the steps of a panel in order (quantized_rows.h):
//
//   p = s_0 d_0 (+ s_1 d_1) (+ o_0 m_0) (+ o_1 m_1)      y += scale[t, step] p
//
// d are the integer products of centred codes, exact; s and o are the scale and
// offset of a subgroup, m the sum of the activations' codes over it. Every sum
// after the first product is a fused multiply-add where the instruction set has
// one. So the bits of y[t, r] depend on no other token, since a step that
// belongs to others alone adds zero, and not on the number of tokens.
// reference::MultiplyQuantized is the definition.

#ifndef ROPEWALK_KERNELS_CPU_INTERLEAVED_H_
#define ROPEWALK_KERNELS_CPU_INTERLEAVED_H_

#include <cstdint>

#include "kernels/interleaved.h"
#include "kernels/quantized_rows.h"

namespace ropewalk::kernels {

// Up to this number of tokens codes are read from the weights as they are;
// above it they are first unpacked to bytes, once for all tokens.
inline constexpr int64_t kStreamTokens = 4;

// Says whether codes of T tokens are to be biased on this instruction set.
bool BiasesCodes(int64_t T) noexcept;

// Quantises a panel of n tokens x [n, units * 32] and returns its steps. The
// arrays, of which 2 * units steps may be written, are those of QuantizedPanel.
struct QuantizePanelArgs {
  const float* x = nullptr;
  int64_t n = 0;
  int64_t units = 0;
  bool biased = false;
  float* maxima = nullptr;  // [units][n], scratch
  uint8_t* codes = nullptr;
  float* scales = nullptr;
  float* sums = nullptr;
  int32_t* unit_of_step = nullptr;
};
int64_t QuantizePanel(const QuantizePanelArgs& args) noexcept;

// y[t, r] for the 16 rows of one group and all tokens, y [T, matrix.rows]. For
// at most kStreamTokens tokens.
void MultiplyStreamed(const InterleavedMatrix& matrix, int64_t group,
                      const QuantizedRows& x, float* y) noexcept;

// The same for any number of tokens and `groups` groups from `group` on.
// `scratch` has UnpackedBytes(matrix) bytes for each group, aligned to 64.
void MultiplyUnpacked(const InterleavedMatrix& matrix, int64_t group,
                      int64_t groups, const QuantizedRows& x, float* y,
                      uint8_t* scratch) noexcept;

// Codes as bytes, and at most six numbers for each row and unit.
inline int64_t UnpackedBytes(const InterleavedMatrix& matrix) {
  return matrix.units() * kGroupRows * (kUnitColumns + 6 * 4);
}

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_INTERLEAVED_H_
