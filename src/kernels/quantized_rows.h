// Activations in 8 bits, shared by all integer products that read them.
//
// Each run of 32 columns of a token (a unit) has a scale of its own:
//
//   scale = max |x| / 127, code = nearest integer to x (127 / max |x|), ties to
//   even, in float32
//
// A run below 2^-100 becomes zeros; one with an infinity or a NaN gets the
// scale NaN, so that the product is NaN as well. Tokens are kept in panels of
// 12, 4, 2 or 1 neighbours, unit by unit, which is how the kernels read them.

#ifndef ROPEWALK_KERNELS_QUANTIZED_ROWS_H_
#define ROPEWALK_KERNELS_QUANTIZED_ROWS_H_

#include <cstdint>

#include "base/aligned.h"
#include "base/parallel.h"

namespace ropewalk::kernels {

// The widest panel.
inline constexpr int64_t kPanelTokens = 12;

// The width of the panel that begins at a token with `left` tokens from it on.
constexpr int64_t PanelTokens(int64_t left) {
  if (left >= kPanelTokens) return kPanelTokens;
  return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

// Calls use(first, tokens) for each panel of T tokens.
template <class Use>
void ForPanels(int64_t T, const Use& use) {
  for (int64_t first = 0; first < T;) {
    const int64_t tokens = PanelTokens(T - first);
    use(first, tokens);
    first += tokens;
  }
}

// A panel that begins at token `first` and has n tokens starts at element
// first * units * 32 of the codes, first * units of the scales and
// first * units * 3 of the sums.
struct QuantizedRows {
  // [unit][n][32]; `biased` says that 128 is added to each.
  uint8_t* codes = nullptr;
  float* scales = nullptr;  // [unit][n]
  // Sums of the codes without bias: [unit][3][n], over the unit, its first 16
  // columns, its last 16.
  float* sums = nullptr;
  int64_t T = 0;
  int64_t units = 0;
  bool biased = false;
};

// Owns the memory of quantised rows; grows on first use.
class RowQuantizer {
 public:
  // Quantises x [T, columns], columns a multiple of 32. What it returns is
  // valid until the next call.
  const QuantizedRows& Quantize(const float* x, int64_t T, int64_t columns,
                                ParallelFor& threads);

 private:
  QuantizedRows rows_;
  AlignedBuffer<uint8_t> codes_;
  AlignedBuffer<float> scales_;
  AlignedBuffer<float> sums_;
};

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_QUANTIZED_ROWS_H_
