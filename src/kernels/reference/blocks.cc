#include "kernels/reference/blocks.h"

#include <bit>
#include <cstring>

#include "base/half.h"
#include "kernels/block_tables.h"

namespace ropewalk::kernels::reference {
namespace {

float Half(const uint8_t* bytes) {
  uint16_t half = 0;
  std::memcpy(&half, bytes, sizeof(half));
  return F16ToFloat(half);
}

int Low(uint8_t byte) { return byte & 15; }
int High(uint8_t byte) { return byte >> 4; }

// Nibble i of 16 bytes: 0-15 are the low ones, 16-31 the high ones.
int Nibble(const uint8_t* bytes, int64_t i) {
  return i < 16 ? Low(bytes[i]) : High(bytes[i - 16]);
}

int Bit(const uint8_t* bytes, int64_t i) {
  return (bytes[i / 8] >> (i % 8)) & 1;
}

void Q8_0(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 32; ++i) {
    out[i] =
        Half(block) * static_cast<float>(static_cast<int8_t>(block[2 + i]));
  }
}

void Q4_0(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 32; ++i) {
    out[i] = Half(block) * static_cast<float>(Nibble(block + 2, i) - 8);
  }
}

void Q4_1(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 32; ++i) {
    out[i] = Half(block) * static_cast<float>(Nibble(block + 4, i)) +
             Half(block + 2);
  }
}

void Q5_0(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 32; ++i) {
    const int q = Nibble(block + 6, i) + 16 * Bit(block + 2, i);
    out[i] = Half(block) * static_cast<float>(q - 16);
  }
}

void Q5_1(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 32; ++i) {
    const int q = Nibble(block + 8, i) + 16 * Bit(block + 4, i);
    out[i] = Half(block) * static_cast<float>(q) + Half(block + 2);
  }
}

// Element i of 256 numbers of two bits: each 32 bytes hold 128 of them, 32 at
// the same two bits.
int TwoBits(const uint8_t* bytes, int64_t i) {
  return (bytes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
}

void Q2K(const uint8_t* block, float* out) {
  const uint8_t* quants = block + 16;
  const float scale = Half(block + 80);
  const float least = Half(block + 82);
  for (int64_t i = 0; i < 256; ++i) {
    const uint8_t both = block[i / 16];
    out[i] = scale * static_cast<float>(Low(both)) *
                 static_cast<float>(TwoBits(quants, i)) -
             least * static_cast<float>(High(both));
  }
}

void Q3K(const uint8_t* block, float* out) {
  const uint8_t* high = block;  // bit i / 32 of byte i % 32
  const uint8_t* quants = block + 32;
  const uint8_t* scales = block + 96;  // 16 of 6 bits
  for (int64_t i = 0; i < 256; ++i) {
    const int64_t s = i / 16;
    const int low = s < 8 ? Low(scales[s]) : High(scales[s - 8]);
    const int top = (scales[8 + s % 4] >> (s / 4 * 2)) & 3;
    const float scale =
        Half(block + 108) * static_cast<float>(low + 16 * top - 32);
    const int missing = (high[i % 32] >> (i / 32)) & 1 ? 0 : 4;
    out[i] = scale * static_cast<float>(TwoBits(quants, i) - missing);
  }
}

// Scale s and minimum s of q4_K and q5_K, 6 bits each. The upper two bits of
// numbers 4-7 lie in the bytes of numbers 0-3, above their 6 bits.
int ScaleOf(const uint8_t* bytes, int64_t s) {
  return s < 4 ? bytes[s] & 63 : Low(bytes[s + 4]) + (bytes[s - 4] >> 6) * 16;
}
int LeastOf(const uint8_t* bytes, int64_t s) {
  return s < 4 ? bytes[s + 4] & 63 : High(bytes[s + 4]) + (bytes[s] >> 6) * 16;
}

// Element i of 256 nibbles: each 32 bytes hold 64 of them, the lower first.
int NibbleOf64(const uint8_t* bytes, int64_t i) {
  const uint8_t byte = bytes[i / 64 * 32 + i % 32];
  return i % 64 < 32 ? Low(byte) : High(byte);
}

void Q4K(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 256; ++i) {
    const float scale =
        Half(block) * static_cast<float>(ScaleOf(block + 4, i / 32));
    const float least =
        Half(block + 2) * static_cast<float>(LeastOf(block + 4, i / 32));
    out[i] = scale * static_cast<float>(NibbleOf64(block + 16, i)) - least;
  }
}

void Q5K(const uint8_t* block, float* out) {
  const uint8_t* high = block + 16;  // bit i / 32 of byte i % 32
  for (int64_t i = 0; i < 256; ++i) {
    const float scale =
        Half(block) * static_cast<float>(ScaleOf(block + 4, i / 32));
    const float least =
        Half(block + 2) * static_cast<float>(LeastOf(block + 4, i / 32));
    const int q =
        NibbleOf64(block + 48, i) + 16 * ((high[i % 32] >> (i / 32)) & 1);
    out[i] = scale * static_cast<float>(q) - least;
  }
}

void Q6K(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 256; ++i) {
    // Each 64 bytes hold the nibbles of 128 elements, the lower ones first.
    const uint8_t byte = block[i / 128 * 64 + i % 64];
    const int nibble = i % 128 < 64 ? Low(byte) : High(byte);
    const int q = nibble + 16 * TwoBits(block + 128, i) - 32;
    const auto scale = static_cast<int8_t>(block[192 + i / 16]);
    out[i] =
        Half(block + 208) * static_cast<float>(scale) * static_cast<float>(q);
  }
}

// The sums of 16 quants that follow serve dot products of integers and are not
// read here.
void Q8K(const uint8_t* block, float* out) {
  float scale = 0;
  std::memcpy(&scale, block, sizeof(scale));
  for (int64_t i = 0; i < 256; ++i) {
    out[i] = scale * static_cast<float>(static_cast<int8_t>(block[4 + i]));
  }
}

void Iq4Nl(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 32; ++i) {
    out[i] = Half(block) * static_cast<float>(kIq4Steps[Nibble(block + 2, i)]);
  }
}

void Iq4Xs(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 256; ++i) {
    const int64_t s = i / 32;
    const uint8_t byte = block[4 + s / 2];
    const int low = s % 2 == 0 ? Low(byte) : High(byte);
    const int top = (block[2 + s / 4] >> (s % 4 * 2)) & 3;
    const float scale = Half(block) * static_cast<float>(low + 16 * top - 32);
    out[i] = scale *
             static_cast<float>(kIq4Steps[Nibble(block + 8 + s * 16, i % 32)]);
  }
}

void Mxfp4(const uint8_t* block, float* out) {
  // 2^(exponent - 128), half the value of the e8m0 exponent. For the two least
  // exponents it is subnormal.
  const uint32_t exponent = block[0];
  const float scale = std::bit_cast<float>(
      exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
  for (int64_t i = 0; i < 32; ++i) {
    out[i] = scale * static_cast<float>(kMxfp4Steps[Nibble(block + 1, i)]);
  }
}

// Digit `digit` of a byte that holds five base-3 digits, coded as byte / 256.
int Trit(uint8_t byte, int64_t digit) {
  static constexpr int kPowers[] = {1, 3, 9, 27, 81};
  return ((byte * kPowers[digit] & 255) * 3) >> 8;
}

void Tq1_0(const uint8_t* block, float* out) {
  const float scale = Half(block + 52);
  for (int64_t i = 0; i < 256; ++i) {
    // 32 bytes with five digits, 16 with five, then 4 with four.
    const int trit = i < 160   ? Trit(block[i % 32], i / 32)
                     : i < 240 ? Trit(block[32 + i % 16], (i - 160) / 16)
                               : Trit(block[48 + i % 4], (i - 240) / 4);
    out[i] = scale * static_cast<float>(trit - 1);
  }
}

void Tq2_0(const uint8_t* block, float* out) {
  for (int64_t i = 0; i < 256; ++i) {
    out[i] = Half(block + 64) * static_cast<float>(TwoBits(block, i) - 1);
  }
}

using Unpack = void (*)(const uint8_t* block, float* out);

Unpack UnpackerOf(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBf16:
      return nullptr;
    case DType::kQ8_0:
      return Q8_0;
    case DType::kQ4_0:
      return Q4_0;
    case DType::kQ4_1:
      return Q4_1;
    case DType::kQ5_0:
      return Q5_0;
    case DType::kQ5_1:
      return Q5_1;
    case DType::kQ2K:
      return Q2K;
    case DType::kQ3K:
      return Q3K;
    case DType::kQ4K:
      return Q4K;
    case DType::kQ5K:
      return Q5K;
    case DType::kQ6K:
      return Q6K;
    case DType::kQ8K:
      return Q8K;
    case DType::kIq4Nl:
      return Iq4Nl;
    case DType::kIq4Xs:
      return Iq4Xs;
    case DType::kMxfp4:
      return Mxfp4;
    case DType::kTq1_0:
      return Tq1_0;
    case DType::kTq2_0:
      return Tq2_0;
  }
  return nullptr;
}

}  // namespace

void UnpackRow(DType type, const void* row, int64_t size, float* out) noexcept {
  const auto* bytes = static_cast<const uint8_t*>(row);
  if (type == DType::kF32) {
    std::memcpy(out, row, static_cast<size_t>(size) * sizeof(float));
    return;
  }
  if (type == DType::kF16 || type == DType::kBf16) {
    for (int64_t i = 0; i < size; ++i) {
      uint16_t half = 0;
      std::memcpy(&half, bytes + 2 * i, sizeof(half));
      out[i] = type == DType::kF16 ? F16ToFloat(half) : Bf16ToFloat(half);
    }
    return;
  }
  const Unpack unpack = UnpackerOf(type);
  const DTypeInfo& info = InfoOf(type);
  for (int64_t b = 0; b < size / info.block_elements; ++b) {
    unpack(bytes + b * info.block_bytes, out + b * info.block_elements);
  }
}

}  // namespace ropewalk::kernels::reference
