#include "kernels/stored.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/half.h"

namespace ropewalk::kernels {
namespace {

// Calls body with the conversions from and to the elements of a plain type.
template <typename Body>
void WithPlain(DType type, const Body& body) {
  if (type == DType::kF32) {
    body(
        float(), [](float x) { return x; }, [](float x) { return x; });
  } else if (type == DType::kF16) {
    body(uint16_t(), F16ToFloat, FloatToF16);
  } else {
    body(uint16_t(), Bf16ToFloat, FloatToBf16);
  }
}

// The scale of a block as f16, and its inverse.
struct Scale {
  uint16_t bits = 0;
  float inverse = 0;
};

// max |x|, or NaN if a number is not finite.
float LargestOf(const float* x, int64_t size) {
  float largest = 0;
  for (int64_t i = 0; i < size; ++i) {
    if (!std::isfinite(x[i])) return std::nanf("");
    largest = std::max(largest, std::abs(x[i]));
  }
  return largest;
}

Scale ScaleOf(const float* x, int64_t size) {
  const float largest = LargestOf(x, size);
  if (std::isnan(largest)) return {FloatToF16(largest), 0};
  const uint16_t bits = FloatToF16(largest / 127);
  const float scale = F16ToFloat(bits);
  return {bits, scale > 0 ? 1 / scale : 0};
}

int8_t Quantise(float x, const Scale& scale) {
  if (scale.inverse == 0) return 0;
  return static_cast<int8_t>(
      std::clamp(RoundToEven(x * scale.inverse), -127.0f, 127.0f));
}

// The scale of a block of a query, and its inverse, or 0 if the block is zero
// or not finite; the scale is then 0 or NaN. In f32, like strip_ints.cc, which
// must round to the same bits.
struct QueryScale {
  float scale = 0;
  float inverse = 0;
};

QueryScale QueryScaleOf(const float* x, int64_t size) {
  const float largest = LargestOf(x, size);
  if (std::isnan(largest)) return {largest, 0};
  if (largest < 0x1p-100f) return {0, 0};
  return {largest / 127, 127 / largest};
}

int64_t QuantAt(int64_t d, int64_t column) {
  return (d / 2 * kKeyPanel + column) * 2 + d % 2;
}

}  // namespace

bool CanStore(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBf16 ||
         type == DType::kQ8_0;
}

int64_t KeyPanelBytes(DType type, int64_t D) {
  ROPEWALK_CHECK(CanStore(type));
  if (type != DType::kQ8_0) return RowBytes(type, D * kKeyPanel);
  return (QuantPairs(D) + QuantBlocks(D)) * 2 * kKeyPanel;
}

int64_t ValueBytes(DType type, int64_t keys, int64_t columns) {
  ROPEWALK_CHECK(CanStore(type));
  if (type != DType::kQ8_0) return RowBytes(type, keys * columns);
  return keys * columns + 2 * keys * QuantBlocks(columns);
}

void PackKey(DType type, const float* key, int64_t D, void* panel,
             int64_t column) noexcept {
  if (type != DType::kQ8_0) {
    WithPlain(type, [&](auto element, const auto&, const auto& narrow) {
      auto* at = static_cast<decltype(element)*>(panel) + column;
      for (int64_t d = 0; d < D; ++d) at[d * kKeyPanel] = narrow(key[d]);
    });
    return;
  }
  auto* quants = static_cast<int8_t*>(panel);
  auto* scales =
      reinterpret_cast<uint16_t*>(quants + QuantPairs(D) * 2 * kKeyPanel);
  for (int64_t first = 0; first < D; first += kQuantBlock) {
    const int64_t end = std::min(D, first + kQuantBlock);
    const Scale scale = ScaleOf(key + first, end - first);
    scales[first / kQuantBlock * kKeyPanel + column] = scale.bits;
    for (int64_t d = first; d < end; ++d) {
      quants[QuantAt(d, column)] = Quantise(key[d], scale);
    }
  }
  if (D % 2 != 0) quants[QuantAt(D, column)] = 0;
}

void PackValue(DType type, const float* value, int64_t columns, void* values,
               int64_t keys, int64_t row) noexcept {
  if (type != DType::kQ8_0) {
    WithPlain(type, [&](auto element, const auto&, const auto& narrow) {
      auto* at = static_cast<decltype(element)*>(values) + row * columns;
      for (int64_t c = 0; c < columns; ++c) at[c] = narrow(value[c]);
    });
    return;
  }
  auto* scales = static_cast<uint16_t*>(values);
  auto* quants =
      reinterpret_cast<int8_t*>(scales + QuantBlocks(columns) * keys);
  for (int64_t first = 0; first < columns; first += kQuantBlock) {
    const int64_t end = std::min(columns, first + kQuantBlock);
    const Scale scale = ScaleOf(value + first, end - first);
    scales[first / kQuantBlock * keys + row] = scale.bits;
    for (int64_t c = first; c < end; ++c) {
      quants[row * columns + c] = Quantise(value[c], scale);
    }
  }
}

void UnpackKey(DType type, const void* panel, int64_t D, int64_t column,
               float* key) noexcept {
  if (type != DType::kQ8_0) {
    WithPlain(type, [&](auto element, const auto& widen, const auto&) {
      const auto* at = static_cast<const decltype(element)*>(panel) + column;
      for (int64_t d = 0; d < D; ++d) key[d] = widen(at[d * kKeyPanel]);
    });
    return;
  }
  const auto* quants = static_cast<const int8_t*>(panel);
  const auto* scales =
      reinterpret_cast<const uint16_t*>(quants + QuantPairs(D) * 2 * kKeyPanel);
  for (int64_t d = 0; d < D; ++d) {
    key[d] = static_cast<float>(quants[QuantAt(d, column)]) *
             F16ToFloat(scales[d / kQuantBlock * kKeyPanel + column]);
  }
}

void UnpackValue(DType type, const void* values, int64_t keys, int64_t columns,
                 int64_t row, float* value) noexcept {
  if (type != DType::kQ8_0) {
    WithPlain(type, [&](auto element, const auto& widen, const auto&) {
      const auto* at =
          static_cast<const decltype(element)*>(values) + row * columns;
      for (int64_t c = 0; c < columns; ++c) value[c] = widen(at[c]);
    });
    return;
  }
  const auto* scales = static_cast<const uint16_t*>(values);
  const auto* quants =
      reinterpret_cast<const int8_t*>(scales + QuantBlocks(columns) * keys);
  for (int64_t c = 0; c < columns; ++c) {
    value[c] = static_cast<float>(quants[row * columns + c]) *
               F16ToFloat(scales[c / kQuantBlock * keys + row]);
  }
}

void QuantiseQueries(const float* queries, int64_t rows, int64_t D,
                     int16_t* quants, float* scales) noexcept {
  const int64_t blocks = QuantBlocks(D);
  const int64_t width = 2 * QuantPairs(D);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t first = b * kQuantBlock;
      const int64_t end = std::min(D, first + kQuantBlock);
      const QueryScale scale =
          QueryScaleOf(queries + r * D + first, end - first);
      scales[r * blocks + b] = scale.scale;
      for (int64_t i = first; i < end; ++i) {
        quants[r * width + i] = static_cast<int16_t>(
            scale.inverse == 0
                ? 0
                : RoundToEven(queries[r * D + i] * scale.inverse));
      }
    }
    if (D % 2 != 0) quants[r * width + D] = 0;
  }
}

void RoundQueries(float* queries, int64_t rows, int64_t D) noexcept {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t first = 0; first < D; first += kQuantBlock) {
      const int64_t size = std::min(D - first, kQuantBlock);
      float* x = queries + r * D + first;
      const QueryScale scale = QueryScaleOf(x, size);
      for (int64_t i = 0; i < size; ++i) {
        x[i] = scale.inverse == 0
                   ? scale.scale
                   : RoundToEven(x[i] * scale.inverse) * scale.scale;
      }
    }
  }
}

}  // namespace ropewalk::kernels
