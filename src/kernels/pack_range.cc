#include "kernels/pack_range.h"

#include <algorithm>
#include <cmath>

#include "base/half.h"

namespace ropewalk::kernels {
namespace {

// How a type spaces the numbers of a group.
struct Scheme {
  int64_t group;     // numbers that share a scale
  float levels;      // steps from 0, or from the least number, to the largest
  bool from_least;   // an offset is stored beside the scale
  float scale_unit;  // the stored f16 is scale / scale_unit
};

Scheme SchemeOf(DType type) {
  switch (type) {
    case DType::kQ8_0:
      return {32, 127, false, 1};
    case DType::kQ4_0:
      return {32, 8, false, 1};
    case DType::kQ4_1:
      return {32, 15, true, 1};
    case DType::kQ5_0:
      return {32, 16, false, 1};
    case DType::kQ5_1:
      return {32, 31, true, 1};
    case DType::kQ4K:
      return {256, 15, true, 63};
    case DType::kQ5K:
      return {256, 31, true, 63};
    default:
      return {256, 32, false, 128};  // q6_K
  }
}

// The squared relative error of a scale that is stored as f16.
double HalfError(float value) {
  if (value == 0) return 0;
  const double stored = F16ToFloat(FloatToF16(value));
  const double error = (stored - value) / value;
  return error * error;
}

// `x` is one group.
RangeLoss LossOf(const Scheme& scheme, const float* x) {
  // In blocks of 256 an offset is at most 0; in blocks of 32 it has any sign.
  float least = scheme.group == 32 ? x[0] : 0;
  float largest = least;
  float magnitude = 0;
  double squares = 0;
  for (int64_t i = 0; i < scheme.group; ++i) {
    least = std::min(least, x[i]);
    largest = std::max(largest, x[i]);
    magnitude = std::max(magnitude, std::abs(x[i]));
    squares += static_cast<double>(x[i]) * x[i];
  }
  const float range = scheme.from_least ? largest - least : magnitude;
  const float step = range / scheme.levels;
  RangeLoss loss;
  loss.range = HalfError(step / scheme.scale_unit) * squares;
  if (scheme.from_least) {
    const float stored = least / scheme.scale_unit;
    loss.range += HalfError(stored) * static_cast<double>(least) * least *
                  static_cast<double>(scheme.group);
  }
  loss.steps =
      static_cast<double>(step) * step / 12 * static_cast<double>(scheme.group);
  return loss;
}

}  // namespace

RangeLoss RangeLossOf(DType type, const float* x, int64_t size) noexcept {
  RangeLoss loss;
  if (type == DType::kF32) return loss;
  for (int64_t i = 0; i < size; ++i) {
    if (!std::isfinite(x[i])) return {INFINITY, 0};
  }
  if (type == DType::kQ8K) return loss;  // its scales are float32
  if (type == DType::kF16 || type == DType::kBf16) {
    const bool half = type == DType::kF16;
    for (int64_t i = 0; i < size; ++i) {
      const double stored =
          half ? F16ToFloat(FloatToF16(x[i])) : Bf16ToFloat(FloatToBf16(x[i]));
      const double error = stored - x[i];
      const double step = x[i] * (half ? 0x1p-10 : 0x1p-7);
      loss.range += error * error;
      loss.steps += step * step / 12;
    }
    return loss;
  }
  const Scheme scheme = SchemeOf(type);
  for (int64_t i = 0; i < size; i += scheme.group) {
    loss += LossOf(scheme, x + i);
  }
  return loss;
}

}  // namespace ropewalk::kernels
