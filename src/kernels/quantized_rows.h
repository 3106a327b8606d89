// Activations in 8 bits, shared by all integer products that read them.
//
// Each run of 32 columns of a token (a unit) has a scale of its own:
//
//   scale = max |x| / 127, code = nearest integer to x (127 / max |x|), ties to
//   even, in float32
//
// A few channels of a trained model are many times as large as the others, and
// beside such a one the other 31 codes of a unit would be small. So a unit
// whose max |x| is above 3 times the mean of that over the token's units is
// refined: the rest x - scale code gets codes too, with the scale scale / 254,
// and the unit is multiplied twice.
//
// A unit below 2^-100 becomes zeros; one with an infinity or a NaN gets the
// scale NaN, so that the product is NaN as well. Tokens are kept in panels of
// 12, 4, 2 or 1 neighbours, step by step: the units in order, each followed by
// its rest if any token of the panel has one there (the others have zeros).
// That is how the kernels read them.

#ifndef ROPEWALK_KERNELS_QUANTIZED_ROWS_H_
#define ROPEWALK_KERNELS_QUANTIZED_ROWS_H_

#include <cstdint>
#include <vector>

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

// The factor above which a unit is refined.
inline constexpr float kRefined = 3;

struct QuantizedPanel {
  int64_t first = 0;  // token
  int64_t tokens = 0;
  int64_t steps = 0;               // at most two for each unit
  const int32_t* units = nullptr;  // of each step
  // [step][tokens][32]; where rows are biased 128 is added to each.
  const uint8_t* codes = nullptr;
  const float* scales = nullptr;  // [step][tokens]
  // Sums of the codes without bias: [step][3][tokens], over the unit, its first
  // 16 columns, its last 16.
  const float* sums = nullptr;
};

struct QuantizedRows {
  std::vector<QuantizedPanel> panels;
  int64_t T = 0;
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
  AlignedBuffer<int32_t> units_;
  AlignedBuffer<float> maxima_;
};

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_QUANTIZED_ROWS_H_
