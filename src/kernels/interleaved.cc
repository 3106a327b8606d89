// Interleaving of stored rows. Each type is read block by block into the codes
// of a unit, one byte each, which are then spread over the planes.

#include "kernels/interleaved.h"

#include <algorithm>
#include <cstring>

#include "kernels/interleaved_forms.h"

namespace ropewalk::kernels {
namespace {

// A stored block as codes and the bytes of its scales.
struct Codes {
  uint8_t code[kSuperBlock];
  uint16_t step = 0;   // as stored, f16
  uint16_t least = 0;  // as stored, f16
  // Of each subgroup, for the types with blocks of 256.
  uint8_t scale[kSuperBlock / 16];
  uint8_t least_of[kSuperBlock / 16];
};

uint16_t HalfBits(const uint8_t* bytes) {
  uint16_t bits = 0;
  std::memcpy(&bits, bytes, sizeof(bits));
  return bits;
}

// The 32 nibbles of 16 bytes, low ones first.
void ReadNibbles(const uint8_t* bytes, uint8_t* code) {
  for (int64_t i = 0; i < 16; ++i) {
    code[i] = bytes[i] & 15;
    code[i + 16] = bytes[i] >> 4;
  }
}

// The 64 nibbles of 32 bytes, low ones first.
void ReadNibblePairs(const uint8_t* bytes, uint8_t* code) {
  for (int64_t i = 0; i < 32; ++i) {
    code[i] = bytes[i] & 15;
    code[i + 32] = bytes[i] >> 4;
  }
}

// Adds bit i of `bits` to code i, as the bit 16.
void AddFifthBits(const uint8_t* bits, uint8_t* code) {
  uint32_t word = 0;
  std::memcpy(&word, bits, sizeof(word));
  for (int64_t i = 0; i < 32; ++i) {
    code[i] = static_cast<uint8_t>(code[i] | (((word >> i) & 1) << 4));
  }
}

void ReadTwoBits(const uint8_t* bytes, uint8_t* code) {
  for (int64_t half = 0; half < 2; ++half, bytes += 32, code += 128) {
    for (int64_t i = 0; i < 32; ++i) {
      code[i] = bytes[i] & 3;
      code[i + 32] = (bytes[i] >> 2) & 3;
      code[i + 64] = (bytes[i] >> 4) & 3;
      code[i + 96] = bytes[i] >> 6;
    }
  }
}

// The eight 6-bit scales and minima of q4_K and q5_K: the later four have their
// upper two bits above the 6 bits of the earlier four.
void ReadScalesOfK(const uint8_t* bytes, Codes& codes) {
  for (int64_t s = 0; s < 4; ++s) {
    const uint8_t scale = bytes[s];
    const uint8_t least = bytes[s + 4];
    const uint8_t low = bytes[s + 8];
    codes.scale[s] = scale & 63;
    codes.least_of[s] = least & 63;
    codes.scale[s + 4] = static_cast<uint8_t>((low & 15) | ((scale >> 6) << 4));
    codes.least_of[s + 4] =
        static_cast<uint8_t>((low >> 4) | ((least >> 6) << 4));
  }
}

void ReadTrits(const uint8_t* bytes, int64_t digits, int64_t count,
               uint8_t* code) {
  uint8_t left[32];
  std::memcpy(left, bytes, static_cast<size_t>(count));
  for (int64_t digit = 0; digit < digits; ++digit, code += count) {
    for (int64_t i = 0; i < count; ++i) {
      const int product = left[i] * 3;
      code[i] = static_cast<uint8_t>(product >> 8);
      left[i] = static_cast<uint8_t>(product);
    }
  }
}

void ReadQ3K(const uint8_t* block, Codes& codes) {
  ReadTwoBits(block + 32, codes.code);
  for (int64_t s = 0; s < 8; ++s) {
    for (int64_t i = 0; i < 32; ++i) {
      uint8_t& code = codes.code[s * 32 + i];
      code = static_cast<uint8_t>(code | (((block[i] >> s) & 1) << 2));
    }
  }
  const uint8_t* scales = block + 96;
  for (int64_t s = 0; s < 16; ++s) {
    const int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
    const int top = (scales[8 + s % 4] >> (s / 4 * 2)) & 3;
    codes.scale[s] = static_cast<uint8_t>((low | (top << 4)) - 32);
  }
  codes.step = HalfBits(block + 108);
}

void ReadQ6K(const uint8_t* block, Codes& codes) {
  uint8_t* code = codes.code;
  for (int64_t half = 0; half < 2; ++half, code += 128) {
    const uint8_t* nibbles = block + 64 * half;
    const uint8_t* high = block + 128 + 32 * half;
    for (int64_t i = 0; i < 32; ++i) {
      const uint8_t top = high[i];
      code[i] = static_cast<uint8_t>((nibbles[i] & 15) | ((top & 3) << 4));
      code[i + 32] =
          static_cast<uint8_t>((nibbles[i + 32] & 15) | ((top & 12) << 2));
      code[i + 64] = static_cast<uint8_t>((nibbles[i] >> 4) | (top & 48));
      code[i + 96] =
          static_cast<uint8_t>((nibbles[i + 32] >> 4) | ((top & 192) >> 2));
    }
  }
  std::memcpy(codes.scale, block + 192, 16);
  codes.step = HalfBits(block + 208);
}

void ReadIq4Xs(const uint8_t* block, Codes& codes) {
  codes.step = HalfBits(block);
  uint16_t top = HalfBits(block + 2);
  for (int64_t s = 0; s < 8; ++s, top >>= 2) {
    const int low = (block[4 + s / 2] >> (s % 2 * 4)) & 15;
    codes.scale[s] = static_cast<uint8_t>((low | ((top & 3) << 4)) - 32);
    ReadNibbles(block + 8 + 16 * s, codes.code + 32 * s);
  }
}

void ReadTernary(DType type, const uint8_t* block, Codes& codes) {
  if (type == DType::kTq2_0) {
    ReadTwoBits(block, codes.code);
    codes.step = HalfBits(block + 64);
  } else {
    ReadTrits(block, 5, 32, codes.code);
    ReadTrits(block + 32, 5, 16, codes.code + 160);
    ReadTrits(block + 48, 4, 4, codes.code + 240);
    codes.step = HalfBits(block + 52);
  }
  std::memset(codes.scale, 1, sizeof(codes.scale));
}

void ReadBlock(DType type, const uint8_t* block, Codes& codes) {
  switch (type) {
    case DType::kQ5_0:
      codes.step = HalfBits(block);
      ReadNibbles(block + 6, codes.code);
      AddFifthBits(block + 2, codes.code);
      break;
    case DType::kQ5_1:
      codes.step = HalfBits(block);
      codes.least = HalfBits(block + 2);
      ReadNibbles(block + 8, codes.code);
      AddFifthBits(block + 4, codes.code);
      break;
    case DType::kQ2K:
      std::memcpy(codes.scale, block, 16);
      ReadTwoBits(block + 16, codes.code);
      codes.step = HalfBits(block + 80);
      codes.least = HalfBits(block + 82);
      break;
    case DType::kQ3K:
      ReadQ3K(block, codes);
      break;
    case DType::kQ4K:
    case DType::kQ5K: {
      codes.step = HalfBits(block);
      codes.least = HalfBits(block + 2);
      ReadScalesOfK(block + 4, codes);
      const uint8_t* nibbles = block + (type == DType::kQ4K ? 16 : 48);
      for (int64_t s = 0; s < 8; s += 2, nibbles += 32) {
        ReadNibblePairs(nibbles, codes.code + 32 * s);
      }
      if (type == DType::kQ4K) break;
      for (int64_t s = 0; s < 8; ++s) {
        for (int64_t i = 0; i < 32; ++i) {
          uint8_t& code = codes.code[32 * s + i];
          code = static_cast<uint8_t>(code | (((block[16 + i] >> s) & 1) << 4));
        }
      }
      break;
    }
    case DType::kQ6K:
      ReadQ6K(block, codes);
      break;
    case DType::kIq4Xs:
      ReadIq4Xs(block, codes);
      break;
    case DType::kTq1_0:
    case DType::kTq2_0:
      ReadTernary(type, block, codes);
      break;
    default:
      break;  // CopyGroup has the others
  }
}

// Writes kBits of each code, from bit kFrom on, as a plane; `lane` is the row's
// lane of the plane's first vector. A 32-bit word is a quad of codes.
template <int kBits, int kFrom>
void WritePlane(const uint32_t (&quads)[8], uint8_t* lane) {
  constexpr int kVectors = kBits;
  constexpr uint32_t kMask = 0x01010101u * ((1 << kBits) - 1);
  for (int j = 0; j < kVectors; ++j) {
    uint32_t word = 0;
    for (int i = 0; i * kVectors < 8; ++i) {
      word |= ((quads[j + i * kVectors] >> kFrom) & kMask) << (kBits * i);
    }
    std::memcpy(lane + j * 64, &word, sizeof(word));
  }
}

// Writes a row's 32 codes into a unit; `lane` is the row's lane of its first
// vector.
template <class F>
void WriteUnit(const uint8_t* code, uint8_t* lane) {
  uint32_t quads[8];
  std::memcpy(quads, code, sizeof(quads));
  if constexpr (F::kBits == 4 || F::kBits == 2) {
    WritePlane<F::kBits, 0>(quads, lane);
  } else {
    constexpr int kLow = F::kBits > 4 ? 4 : 2;
    WritePlane<kLow, 0>(quads, lane);
    WritePlane<F::kBits - kLow, kLow>(quads, lane + kLow * 64);
  }
}

void WriteHalf(uint16_t half, int64_t row, uint8_t* to) {
  std::memcpy(to + row * 2, &half, sizeof(half));
}

// Writes a row's scales of one block; `to` is their place for its first row.
template <class F>
void WriteScales(const Codes& codes, int64_t row, uint8_t* to) {
  constexpr int64_t kHalves = kGroupRows * 2;
  WriteHalf(codes.step, row, to);
  if constexpr (F::kOffset) WriteHalf(codes.least, row, to + kHalves);
  if constexpr (InSupers<F>()) {
    to += F::kOffset ? 2 * kHalves : kHalves;
    for (int64_t s = 0; s < kUnitsOfSuper * F::kSubgroups; ++s) {
      to[row] = codes.scale[s];
      to += kGroupRows;
      if constexpr (F::kOffset && F::kScale != ScaleForm::kNibbles) {
        to[row] = codes.least_of[s];
        to += kGroupRows;
      }
    }
  }
}

// Where blocks of 32 keep their codes, if these lie as in a lane of a unit: a
// 32-bit word for each vector.
int64_t WordsAt(DType type) {
  switch (type) {
    case DType::kQ8_0:
    case DType::kQ4_0:
    case DType::kIq4Nl:
      return 2;
    case DType::kQ4_1:
      return 4;
    case DType::kMxfp4:
      return 1;
    default:
      return -1;
  }
}

// WriteGroup for these types, which load fast: words are copied.
template <class F>
void CopyGroup(DType type, const uint8_t* rows, int64_t count, int64_t columns,
               uint8_t* group) {
  const int64_t units = columns / kUnitColumns;
  const int64_t block_bytes = InfoOf(type).block_bytes;
  const int64_t row_bytes = RowBytes(type, columns);
  const int64_t words_at = WordsAt(type);
  constexpr int64_t kVectors = UnitBytes<F>() / 64;
  constexpr uint32_t kFlip = F::kBits == 8 ? 0x80808080u : 0;
  uint8_t* codes = group + CodesAt<F>(units);
  for (int64_t u = 0; u < units; ++u) {
    const uint8_t* blocks = rows + u * block_bytes;
    uint8_t* scales = group + u * ScaleStride<F>();
    for (int64_t row = 0; row < count; ++row) {
      const uint8_t* block = blocks + row * row_bytes;
      if constexpr (F::kScale == ScaleForm::kExponent) {
        scales[row] = block[0];
      } else {
        std::memcpy(scales + row * 2, block, 2);
        if constexpr (F::kOffset) {
          std::memcpy(scales + kGroupRows * 2 + row * 2, block + 2, 2);
        }
      }
    }
    for (int64_t j = 0; j < kVectors; ++j, codes += 64) {
      const uint8_t* from = blocks + words_at + j * 4;
      for (int64_t row = 0; row < count; ++row) {
        uint32_t word = 0;
        std::memcpy(&word, from + row * row_bytes, sizeof(word));
        word ^= kFlip;
        std::memcpy(codes + row * 4, &word, sizeof(word));
      }
    }
  }
}

template <class F>
void WriteGroup(DType type, const uint8_t* rows, int64_t count, int64_t columns,
                uint8_t* group) {
  const int64_t units = columns / kUnitColumns;
  constexpr int64_t kUnits = InSupers<F>() ? kUnitsOfSuper : 1;  // of a block
  const int64_t block_bytes = InfoOf(type).block_bytes;
  const int64_t row_bytes = RowBytes(type, columns);
  uint8_t* unit_codes = group + CodesAt<F>(units);
  Codes codes;
  for (int64_t b = 0; b < units / kUnits; ++b) {
    for (int64_t row = 0; row < count; ++row) {
      ReadBlock(type, rows + row * row_bytes + b * block_bytes, codes);
      WriteScales<F>(codes, row, group + b * ScaleStride<F>());
      for (int64_t u = 0; u < kUnits; ++u) {
        WriteUnit<F>(codes.code + u * kUnitColumns,
                     unit_codes + (b * kUnits + u) * UnitBytes<F>() + row * 4);
      }
    }
  }
}

}  // namespace

bool CanInterleave(DType type) {
  return WithForm(type, [](auto) {});
}

int64_t InterleavedGroupBytes(DType type, int64_t columns) {
  const int64_t units = columns / kUnitColumns;
  int64_t bytes = 0;
  WithForm(type, [&](auto form) {
    using F = decltype(form);
    bytes = CodesAt<F>(units) + units * UnitBytes<F>();
  });
  return bytes;
}

void InterleaveGroup(DType type, const void* rows, int64_t count,
                     int64_t columns, uint8_t* group) noexcept {
  if (count < kGroupRows) {
    std::memset(group, 0,
                static_cast<size_t>(InterleavedGroupBytes(type, columns)));
  }
  WithForm(type, [&](auto form) {
    using F = decltype(form);
    const auto* bytes = static_cast<const uint8_t*>(rows);
    if constexpr (!InSupers<F>() && (F::kBits == 8 || F::kBits == 4)) {
      CopyGroup<F>(type, bytes, count, columns, group);
    } else {
      WriteGroup<F>(type, bytes, count, columns, group);
    }
  });
}

}  // namespace ropewalk::kernels
