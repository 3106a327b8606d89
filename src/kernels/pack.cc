// Packing of the plain types and of blocks of 32.

#include "kernels/pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "kernels/block_tables.h"
#include "kernels/blocks.h"

namespace ropewalk::kernels {
namespace {

void StoreHalf(float value, uint8_t* bytes) {
  const uint16_t half = FloatToF16(value);
  std::memcpy(bytes, &half, sizeof(half));
}

// Stores the scale as f16 and returns the inverse of the unrounded scale, as
// ggml does; 0 for a block of zeros.
float StoreScale(float scale, uint8_t* block) {
  StoreHalf(scale, block);
  return scale != 0 ? 1 / scale : 0;
}

// The integer part of `value`, within [0, largest]; 0 for NaN.
int Code(float value, int largest) {
  if (!(value > 0)) return 0;
  return value < static_cast<float>(largest) ? static_cast<int>(value)
                                             : largest;
}

void PackQ80(const float* x, uint8_t* block) {
  float largest = 0;
  for (int64_t i = 0; i < kSmallBlock; ++i) {
    largest = std::max(largest, std::abs(x[i]));
  }
  const float inverse = StoreScale(largest / 127, block);
  for (int64_t i = 0; i < kSmallBlock; ++i) {
    const float q = std::round(x[i] * inverse);
    const int code = Code(std::abs(q), 127);
    block[2 + i] = static_cast<uint8_t>(q < 0 ? -code : code);
  }
}

// Stores the codes of 32 elements: elements 0-15 in the low nibbles of 16
// bytes, elements 16-31 in the high nibbles. Where codes have five bits, bit 4
// of each goes to `high`.
void StoreCodes(const int* codes, uint8_t* nibbles, uint8_t* high) {
  for (int64_t i = 0; i < 16; ++i) {
    nibbles[i] =
        static_cast<uint8_t>((codes[i] & 15) | ((codes[i + 16] & 15) << 4));
  }
  if (high == nullptr) return;
  for (int64_t i = 0; i < 4; ++i) {
    int byte = 0;
    for (int64_t bit = 0; bit < 8; ++bit) {
      byte |= (codes[8 * i + bit] >> 4) << bit;
    }
    high[i] = static_cast<uint8_t>(byte);
  }
}

// The extreme becomes -zero: codes reach -zero but not +zero.
void PackCentred(const float* x, int zero, uint8_t* block, uint8_t* nibbles,
                 uint8_t* high) {
  float extreme = 0;
  for (int64_t i = 0; i < kSmallBlock; ++i) {
    if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
  }
  const auto middle = static_cast<float>(zero);
  const float inverse = StoreScale(extreme / -middle, block);
  int codes[kSmallBlock];
  for (int64_t i = 0; i < kSmallBlock; ++i) {
    codes[i] = Code(x[i] * inverse + (middle + 0.5f), 2 * zero - 1);
  }
  StoreCodes(codes, nibbles, high);
}

void PackFromLeast(const float* x, int largest, uint8_t* block,
                   uint8_t* nibbles, uint8_t* high) {
  const auto [least, most] = std::minmax_element(x, x + kSmallBlock);
  const float inverse =
      StoreScale((*most - *least) / static_cast<float>(largest), block);
  StoreHalf(*least, block + 2);
  int codes[kSmallBlock];
  for (int64_t i = 0; i < kSmallBlock; ++i) {
    codes[i] = Code((x[i] - *least) * inverse + 0.5f, largest);
  }
  StoreCodes(codes, nibbles, high);
}

void PackBlock(DType type, const float* x, uint8_t* block) {
  switch (type) {
    case DType::kQ8_0:
      return PackQ80(x, block);
    case DType::kQ4_0:
      return PackCentred(x, 8, block, block + 2, nullptr);
    case DType::kQ4_1:
      return PackFromLeast(x, 15, block, block + 4, nullptr);
    case DType::kQ5_0:
      return PackCentred(x, 16, block, block + 6, block + 2);
    case DType::kQ5_1:
      return PackFromLeast(x, 31, block, block + 8, block + 4);
    case DType::kQ4K:
      return PackQ4K(x, block);
    case DType::kQ5K:
      return PackQ5K(x, block);
    case DType::kQ6K:
      return PackQ6K(x, block);
    case DType::kQ8K:
      return PackQ8K(x, block);
    default:
      ROPEWALK_CHECK(false && "this type cannot be packed");
  }
}

}  // namespace

void PackRow(DType type, const float* x, int64_t size, void* row) noexcept {
  auto* bytes = static_cast<uint8_t*>(row);
  auto* halves = static_cast<uint16_t*>(row);
  switch (type) {
    case DType::kF32:
      std::memcpy(row, x, static_cast<size_t>(size) * sizeof(float));
      return;
    case DType::kF16:
      for (int64_t i = 0; i < size; ++i) halves[i] = FloatToF16(x[i]);
      return;
    case DType::kBf16:
      for (int64_t i = 0; i < size; ++i) halves[i] = FloatToBf16(x[i]);
      return;
    default:
      break;
  }
  const DTypeInfo& info = InfoOf(type);
  for (int64_t b = 0; b < size / info.block_elements; ++b) {
    PackBlock(type, x + b * info.block_elements, bytes + b * info.block_bytes);
  }
}

}  // namespace ropewalk::kernels
