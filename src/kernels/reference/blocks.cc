#include "kernels/reference/blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"

namespace ropewalk::kernels {
namespace {

constexpr int64_t kBlock = 32;
constexpr int64_t kQ80Bytes = 34;
constexpr int64_t kQ40Bytes = 18;

float ReadScale(const uint8_t* block) {
  uint16_t half = 0;
  std::memcpy(&half, block, sizeof(half));
  return F16ToFloat(half);
}

// Stores the scale and returns its inverse as the reader will see it: 0 for a
// block of zeros.
float WriteScale(float scale, uint8_t* block) {
  const uint16_t half = FloatToF16(scale);
  std::memcpy(block, &half, sizeof(half));
  return scale != 0 ? 1 / scale : 0;
}

void UnpackQ80(const uint8_t* block, float* out) {
  const float scale = ReadScale(block);
  for (int64_t i = 0; i < kBlock; ++i) {
    out[i] = scale * static_cast<float>(static_cast<int8_t>(block[2 + i]));
  }
}

void UnpackQ40(const uint8_t* block, float* out) {
  const float scale = ReadScale(block);
  for (int64_t i = 0; i < kBlock / 2; ++i) {
    const int byte = block[2 + i];
    out[i] = scale * static_cast<float>((byte & 15) - 8);
    out[i + kBlock / 2] = scale * static_cast<float>((byte >> 4) - 8);
  }
}

void PackQ80(const float* x, uint8_t* block) {
  float largest = 0;
  for (int64_t i = 0; i < kBlock; ++i) {
    largest = std::max(largest, std::abs(x[i]));
  }
  const float inverse = WriteScale(largest / 127, block);
  for (int64_t i = 0; i < kBlock; ++i) {
    const float q = std::clamp(std::round(x[i] * inverse), -127.0f, 127.0f);
    block[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(q));
  }
}

void PackQ40(const float* x, uint8_t* block) {
  float extreme = 0;
  for (int64_t i = 0; i < kBlock; ++i) {
    if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
  }
  // The extreme element becomes -8, which the 4-bit range reaches and +8 not.
  const float inverse = WriteScale(extreme / -8, block);
  const auto nibble = [&](float value) {
    return static_cast<int>(
        std::clamp(std::floor(value * inverse + 8.5f), 0.0f, 15.0f));
  };
  for (int64_t i = 0; i < kBlock / 2; ++i) {
    block[2 + i] =
        static_cast<uint8_t>(nibble(x[i]) | (nibble(x[i + kBlock / 2]) << 4));
  }
}

}  // namespace

void UnpackRow(DType type, const void* row, int64_t size, float* out) noexcept {
  const auto* bytes = static_cast<const uint8_t*>(row);
  const auto* halves = static_cast<const uint16_t*>(row);
  switch (type) {
    case DType::kF32:
      std::memcpy(out, row, static_cast<size_t>(size) * sizeof(float));
      return;
    case DType::kF16:
      for (int64_t i = 0; i < size; ++i) out[i] = F16ToFloat(halves[i]);
      return;
    case DType::kBf16:
      for (int64_t i = 0; i < size; ++i) out[i] = Bf16ToFloat(halves[i]);
      return;
    case DType::kQ8_0:
      for (int64_t b = 0; b < size / kBlock; ++b) {
        UnpackQ80(bytes + b * kQ80Bytes, out + b * kBlock);
      }
      return;
    case DType::kQ4_0:
      for (int64_t b = 0; b < size / kBlock; ++b) {
        UnpackQ40(bytes + b * kQ40Bytes, out + b * kBlock);
      }
      return;
  }
}

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
    case DType::kQ8_0:
      for (int64_t b = 0; b < size / kBlock; ++b) {
        PackQ80(x + b * kBlock, bytes + b * kQ80Bytes);
      }
      return;
    case DType::kQ4_0:
      for (int64_t b = 0; b < size / kBlock; ++b) {
        PackQ40(x + b * kBlock, bytes + b * kQ40Bytes);
      }
      return;
  }
}

}  // namespace ropewalk::kernels
