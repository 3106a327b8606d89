#include "kernels/stored.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/half.h"
#include "kernels/nibbles.h"

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

// max |x|, or NaN if a number is not finite.
float LargestOf(const float* x, int64_t size) {
  float largest = 0;
  for (int64_t i = 0; i < size; ++i) {
    if (!std::isfinite(x[i])) return std::nanf("");
    largest = std::max(largest, std::abs(x[i]));
  }
  return largest;
}

// How blocks of a type are rounded: integers from `least` to `most` times a
// scale in f16.
struct Rounding {
  float least = 0;
  float most = 0;
};

Rounding RoundingOf(DType type) {
  return type == DType::kQ4_0 ? Rounding{-8, 7} : Rounding{-127, 127};
}

// The scale of a block as f16, and its inverse.
struct Scale {
  uint16_t bits = 0;
  float inverse = 0;
};

Scale ScaleOf(DType type, const float* x, int64_t size) {
  const float largest = LargestOf(x, size);
  if (std::isnan(largest)) return {FloatToF16(largest), 0};
  float step = largest / 127;
  if (type == DType::kQ4_0) {
    // The number of the largest magnitude becomes -8, of which there is no 8.
    const bool negative = std::any_of(
        x, x + size, [largest](float number) { return number == -largest; });
    step = largest / (negative ? 8.0f : -8.0f);
  }
  const uint16_t bits = FloatToF16(step);
  const float scale = F16ToFloat(bits);
  return {bits, scale != 0 ? 1 / scale : 0};
}

int Quantise(float x, const Scale& scale, const Rounding& rounding) {
  if (scale.inverse == 0) return 0;
  return static_cast<int>(std::clamp(RoundToEven(x * scale.inverse),
                                     rounding.least, rounding.most));
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

// Where the integers of a panel of keys, or of values, lie, and their scales.
struct KeyQuants {
  DType type;
  int64_t D;
  uint8_t* quants;
  int64_t column;

  uint16_t* ScaleAt(int64_t d) const {
    const int64_t bytes =
        QuantPairs(D) * kKeyPanel * (type == DType::kQ4_0 ? 1 : 2);
    return reinterpret_cast<uint16_t*>(quants + bytes) +
           d / kQuantBlock * kKeyPanel + column;
  }
  // The byte of component d; of q4_0 it has another one too.
  uint8_t* At(int64_t d) const {
    const int64_t pair = d / 2 * kKeyPanel + column;
    return quants + (type == DType::kQ4_0 ? pair : pair * 2 + d % 2);
  }
  static bool IsUpper(int64_t d) { return d % 2 != 0; }
};

struct ValueQuants {
  DType type;
  int64_t columns;
  uint8_t* values;
  int64_t keys;
  int64_t row;

  uint16_t* ScaleAt(int64_t c) const {
    return reinterpret_cast<uint16_t*>(values) + c / kQuantBlock * keys + row;
  }
  uint8_t* At(int64_t c) const {
    uint8_t* quants = values + 2 * QuantBlocks(columns) * keys;
    if (type == DType::kQ8_0) return quants + row * columns + c;
    return quants + row * NibbleBytes(columns) +
           c / kQuantBlock * kQuantBlock / 2 + c % (kQuantBlock / 2);
  }
  static bool IsUpper(int64_t c) { return c % kQuantBlock >= kQuantBlock / 2; }
};

template <class Place>
void SetQuant(const Place& place, int64_t i, int quant) {
  uint8_t* byte = place.At(i);
  const auto bits = static_cast<uint8_t>(quant);
  if (place.type == DType::kQ8_0) {
    *byte = bits;
  } else if (Place::IsUpper(i)) {
    *byte = static_cast<uint8_t>((*byte & 15) | (bits << 4));
  } else {
    *byte = static_cast<uint8_t>((*byte & 0xf0) | (bits & 15));
  }
}

template <class Place>
int QuantAt(const Place& place, int64_t i) {
  const uint8_t byte = *place.At(i);
  if (place.type == DType::kQ8_0) return static_cast<int8_t>(byte);
  const int nibble = Place::IsUpper(i) ? byte >> 4 : byte & 15;
  return nibble - (nibble >= 8 ? 16 : 0);
}

template <class Place>
void PackQuants(const Place& place, const float* x, int64_t width) {
  const Rounding rounding = RoundingOf(place.type);
  for (int64_t first = 0; first < width; first += kQuantBlock) {
    const int64_t end = std::min(width, first + kQuantBlock);
    const Scale scale = ScaleOf(place.type, x + first, end - first);
    *place.ScaleAt(first) = scale.bits;
    for (int64_t i = first; i < end; ++i) {
      SetQuant(place, i, Quantise(x[i], scale, rounding));
    }
  }
}

template <class Place>
void UnpackQuants(const Place& place, int64_t width, float* x) {
  for (int64_t i = 0; i < width; ++i) {
    x[i] =
        static_cast<float>(QuantAt(place, i)) * F16ToFloat(*place.ScaleAt(i));
  }
}

}  // namespace

bool CanStore(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBf16 ||
         StoresQuants(type);
}

int64_t KeyPanelBytes(DType type, int64_t D) {
  ROPEWALK_CHECK(CanStore(type));
  if (!StoresQuants(type)) return RowBytes(type, D * kKeyPanel);
  const int64_t scales = QuantBlocks(D) * 2 * kKeyPanel;
  return scales + QuantPairs(D) * kKeyPanel * (type == DType::kQ4_0 ? 1 : 2);
}

int64_t ValueBytes(DType type, int64_t keys, int64_t columns) {
  ROPEWALK_CHECK(CanStore(type));
  if (!StoresQuants(type)) return RowBytes(type, keys * columns);
  return keys * ((type == DType::kQ4_0 ? NibbleBytes(columns) : columns) +
                 2 * QuantBlocks(columns));
}

void PackKey(DType type, const float* key, int64_t D, void* panel,
             int64_t column) noexcept {
  if (StoresQuants(type)) {
    const KeyQuants place{type, D, static_cast<uint8_t*>(panel), column};
    PackQuants(place, key, D);
    if (D % 2 != 0) SetQuant(place, D, 0);
    return;
  }
  WithPlain(type, [&](auto element, const auto&, const auto& narrow) {
    auto* at = static_cast<decltype(element)*>(panel) + column;
    for (int64_t d = 0; d < D; ++d) at[d * kKeyPanel] = narrow(key[d]);
  });
}

void PackValue(DType type, const float* value, int64_t columns, void* values,
               int64_t keys, int64_t row) noexcept {
  if (StoresQuants(type)) {
    PackQuants(
        ValueQuants{type, columns, static_cast<uint8_t*>(values), keys, row},
        value, columns);
    return;
  }
  WithPlain(type, [&](auto element, const auto&, const auto& narrow) {
    auto* at = static_cast<decltype(element)*>(values) + row * columns;
    for (int64_t c = 0; c < columns; ++c) at[c] = narrow(value[c]);
  });
}

void UnpackKey(DType type, const void* panel, int64_t D, int64_t column,
               float* key) noexcept {
  if (StoresQuants(type)) {
    auto* quants = static_cast<uint8_t*>(const_cast<void*>(panel));
    UnpackQuants(KeyQuants{type, D, quants, column}, D, key);
    return;
  }
  WithPlain(type, [&](auto element, const auto& widen, const auto&) {
    const auto* at = static_cast<const decltype(element)*>(panel) + column;
    for (int64_t d = 0; d < D; ++d) key[d] = widen(at[d * kKeyPanel]);
  });
}

void UnpackValue(DType type, const void* values, int64_t keys, int64_t columns,
                 int64_t row, float* value) noexcept {
  if (StoresQuants(type)) {
    auto* quants = static_cast<uint8_t*>(const_cast<void*>(values));
    UnpackQuants(ValueQuants{type, columns, quants, keys, row}, columns, value);
    return;
  }
  WithPlain(type, [&](auto element, const auto& widen, const auto&) {
    const auto* at =
        static_cast<const decltype(element)*>(values) + row * columns;
    for (int64_t c = 0; c < columns; ++c) value[c] = widen(at[c]);
  });
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
