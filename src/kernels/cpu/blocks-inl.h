// Readers of ggml's block types, included once for each instruction set. Read
// gives the integers of a block as bytes, and its scales; unpacking and dot
// products then multiply them.

#if defined(ROPEWALK_KERNELS_CPU_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ROPEWALK_KERNELS_CPU_BLOCKS_INL_H_
#undef ROPEWALK_KERNELS_CPU_BLOCKS_INL_H_
#else
#define ROPEWALK_KERNELS_CPU_BLOCKS_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "base/dtype.h"
#include "base/half.h"
#include "hwy/highway.h"
#include "kernels/block_tables.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE float HalfAt(const uint8_t* bytes) {
  uint16_t half = 0;
  std::memcpy(&half, bytes, sizeof(half));
  return F16ToFloat(half);
}

// to[i] = map(from[i]) for kCount bytes, a multiple of 16.
template <int64_t kCount, class Map>
HWY_INLINE void MapBytes(const uint8_t* HWY_RESTRICT from,
                         int8_t* HWY_RESTRICT to, const Map& map) {
  const hn::CappedTag<uint8_t, kCount % 32 == 0 ? 32 : 16> d;
  const hn::RebindToSigned<decltype(d)> d_signed;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < kCount; i += lanes) {
    const auto mapped = map(d, hn::LoadU(d, from + i));
    hn::StoreU(hn::BitCast(d_signed, mapped), d_signed, to + i);
  }
}

// to[i] = map(a[i], b[i]).
template <int64_t kCount, class Map>
HWY_INLINE void MapBytes(const uint8_t* HWY_RESTRICT a,
                         const uint8_t* HWY_RESTRICT b, int8_t* HWY_RESTRICT to,
                         const Map& map) {
  const hn::CappedTag<uint8_t, kCount % 32 == 0 ? 32 : 16> d;
  const hn::RebindToSigned<decltype(d)> d_signed;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < kCount; i += lanes) {
    const auto mapped = map(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i));
    hn::StoreU(hn::BitCast(d_signed, mapped), d_signed, to + i);
  }
}

struct LowNibble {
  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, hn::Vec<D> bytes) const {
    return hn::And(bytes, hn::Set(d, uint8_t{15}));
  }
};

struct HighNibble {
  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D /*d*/, hn::Vec<D> bytes) const {
    return hn::ShiftRight<4>(bytes);
  }
};

// A nibble minus `zero`.
template <class Nibble>
struct Centred {
  uint8_t zero;
  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, hn::Vec<D> bytes) const {
    return hn::Sub(Nibble()(d, bytes), hn::Set(d, zero));
  }
};

// Two bits of each byte, from bit kShift on.
template <int kShift>
struct TwoBits {
  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, hn::Vec<D> bytes) const {
    return hn::And(hn::ShiftRight<kShift>(bytes), hn::Set(d, uint8_t{3}));
  }
};

// A nibble of the first byte, with the bits `mask` of the second byte above it
// (moved up by kLeft, or down by -kLeft), minus `zero`.
template <class Nibble, int kLeft>
struct WithHighBits {
  uint8_t mask;
  uint8_t zero;
  template <class D>
  HWY_INLINE hn::Vec<D> operator()(D d, hn::Vec<D> nibbles,
                                   hn::Vec<D> high) const {
    auto bits = hn::And(high, hn::Set(d, mask));
    if constexpr (kLeft >= 0) {
      bits = hn::ShiftLeft<kLeft>(bits);
    } else {
      bits = hn::ShiftRight<-kLeft>(bits);
    }
    return hn::Sub(hn::Or(Nibble()(d, nibbles), bits), hn::Set(d, zero));
  }
};

// Looks up the 32 nibbles of 16 bytes in `steps`, the low nibbles first.
HWY_INLINE void LookUpNibbles(const uint8_t* HWY_RESTRICT from,
                              const int8_t* HWY_RESTRICT steps,
                              int8_t* HWY_RESTRICT to) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t i = 0; i < 16; ++i) {
    to[i] = steps[from[i] & 15];
    to[i + 16] = steps[from[i] >> 4];
  }
#else
  const hn::FixedTag<uint8_t, 16> d;
  const auto table = hn::LoadU(d, reinterpret_cast<const uint8_t*>(steps));
  const auto bytes = hn::LoadU(d, from);
  auto* at = reinterpret_cast<uint8_t*>(to);
  hn::StoreU(hn::TableLookupBytes(table, LowNibble()(d, bytes)), d, at);
  hn::StoreU(hn::TableLookupBytes(table, HighNibble()(d, bytes)), d, at + 16);
#endif
}

// Reads 32 numbers of five bits, minus `zero`. The nibbles of 16 bytes, low
// ones first, are the lower four bits, and `bits` has the upper bit of each.
HWY_INLINE void ReadFiveBits(const uint8_t* HWY_RESTRICT nibbles,
                             const uint8_t* HWY_RESTRICT bits, uint8_t zero,
                             int8_t* HWY_RESTRICT q) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t i = 0; i < 32; ++i) {
    const int low = i < 16 ? nibbles[i] & 15 : nibbles[i - 16] >> 4;
    const int high = ((bits[i / 8] >> (i % 8)) & 1) << 4;
    q[i] = static_cast<int8_t>((low | high) - zero);
  }
#else
  // Each lane gets the byte that has its bit, and tests the bit.
  alignas(16) static constexpr uint8_t kBytes[16] = {0, 0, 0, 0, 0, 0, 0, 0,
                                                     1, 1, 1, 1, 1, 1, 1, 1};
  alignas(16) static constexpr uint8_t kBits[16] = {
      1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const hn::FixedTag<uint8_t, 16> d;
  const hn::FixedTag<uint32_t, 4> d32;
  uint32_t word = 0;
  std::memcpy(&word, bits, sizeof(word));
  const auto all = hn::BitCast(d, hn::Set(d32, word));
  const auto bytes = hn::Load(d, kBytes);
  const auto own = hn::Load(d, kBits);
  const auto sixteen = hn::Set(d, uint8_t{16});
  const auto centre = hn::Set(d, zero);
  const auto both = hn::LoadU(d, nibbles);
  const auto first = hn::TableLookupBytes(all, bytes);
  const auto second =
      hn::TableLookupBytes(all, hn::Add(bytes, hn::Set(d, uint8_t{2})));
  const auto high0 =
      hn::IfThenElseZero(hn::Eq(hn::And(first, own), own), sixteen);
  const auto high1 =
      hn::IfThenElseZero(hn::Eq(hn::And(second, own), own), sixteen);
  auto* at = reinterpret_cast<uint8_t*>(q);
  hn::StoreU(hn::Sub(hn::Or(LowNibble()(d, both), high0), centre), d, at);
  hn::StoreU(hn::Sub(hn::Or(HighNibble()(d, both), high1), centre), d, at + 16);
#endif
}

// Each block type below has
//
//   kElements, kBytes   of a block
//   kGroup              elements that share a scale
//   kOffset             true: value = scale * q + offset; false: scale * q
//   Read(block, q, scale, offset)

struct BlockOf32 {
  static constexpr int64_t kElements = kSmallBlock;
  static constexpr int64_t kGroup = kSmallBlock;
  static constexpr bool kOffset = false;
};

struct BlockOf256 {
  static constexpr int64_t kElements = kSuperBlock;
  static constexpr int64_t kGroup = 32;
  static constexpr bool kOffset = false;
};

struct Q8_0Block : BlockOf32 {
  static constexpr int64_t kBytes = 34;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    scale[0] = HalfAt(block);
    std::memcpy(q, block + 2, 32);
  }
};

struct Q4_0Block : BlockOf32 {
  static constexpr int64_t kBytes = 18;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    scale[0] = HalfAt(block);
    MapBytes<16>(block + 2, q, Centred<LowNibble>{8});
    MapBytes<16>(block + 2, q + 16, Centred<HighNibble>{8});
  }
};

struct Q4_1Block : BlockOf32 {
  static constexpr int64_t kBytes = 20;
  static constexpr bool kOffset = true;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* offset) {
    scale[0] = HalfAt(block);
    offset[0] = HalfAt(block + 2);
    MapBytes<16>(block + 4, q, LowNibble());
    MapBytes<16>(block + 4, q + 16, HighNibble());
  }
};

struct Q5_0Block : BlockOf32 {
  static constexpr int64_t kBytes = 22;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    scale[0] = HalfAt(block);
    ReadFiveBits(block + 6, block + 2, 16, q);
  }
};

struct Q5_1Block : BlockOf32 {
  static constexpr int64_t kBytes = 24;
  static constexpr bool kOffset = true;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* offset) {
    scale[0] = HalfAt(block);
    offset[0] = HalfAt(block + 2);
    ReadFiveBits(block + 8, block + 4, 0, q);
  }
};

// Reads numbers of two bits: 32 bytes hold 128 elements, 32 at each bit pair.
HWY_INLINE void ReadTwoBits(const uint8_t* HWY_RESTRICT bytes,
                            int8_t* HWY_RESTRICT q) {
  for (int64_t half = 0; half < 2; ++half, bytes += 32, q += 128) {
    MapBytes<32>(bytes, q, TwoBits<0>());
    MapBytes<32>(bytes, q + 32, TwoBits<2>());
    MapBytes<32>(bytes, q + 64, TwoBits<4>());
    MapBytes<32>(bytes, q + 96, TwoBits<6>());
  }
}

struct Q2KBlock : BlockOf256 {
  static constexpr int64_t kBytes = 84;
  static constexpr int64_t kGroup = 16;
  static constexpr bool kOffset = true;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* offset) {
    const float step = HalfAt(block + 80);
    const float least = HalfAt(block + 82);
    for (int64_t s = 0; s < 16; ++s) {
      scale[s] = step * static_cast<float>(block[s] & 15);
      offset[s] = -(least * static_cast<float>(block[s] >> 4));
    }
    ReadTwoBits(block + 16, q);
  }
};

struct Q3KBlock : BlockOf256 {
  static constexpr int64_t kBytes = 110;
  static constexpr int64_t kGroup = 16;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    const float step = HalfAt(block + 108);
    const uint8_t* scales = block + 96;
    for (int64_t s = 0; s < 16; ++s) {
      const int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
      const int top = (scales[8 + s % 4] >> (s / 4 * 2)) & 3;
      scale[s] = step * static_cast<float>((low | (top << 4)) - 32);
    }
    ReadTwoBits(block + 32, q);
    for (int64_t s = 0; s < 8; ++s) {
      for (int64_t i = 0; i < 32; ++i) {
        const int kept = ((block[i] >> s) & 1) << 2;
        q[s * 32 + i] = static_cast<int8_t>(q[s * 32 + i] + kept - 4);
      }
    }
  }
};

// Reads the eight 6-bit scales and minima of q4_K and q5_K, four at a time. The
// upper two bits of the later four lie above the 6 bits of the earlier four.
HWY_INLINE void ReadScalesOfK(const uint8_t* HWY_RESTRICT block, float* scale,
                              float* offset) {
  uint32_t words[3];
  std::memcpy(words, block + 4, sizeof(words));
  const uint32_t codes[4] = {
      words[0] & 0x3f3f3f3fu,
      (words[2] & 0x0f0f0f0fu) | ((words[0] >> 2) & 0x30303030u),
      words[1] & 0x3f3f3f3fu,
      ((words[2] >> 4) & 0x0f0f0f0fu) | ((words[1] >> 2) & 0x30303030u)};
  uint8_t bytes[16];
  std::memcpy(bytes, codes, sizeof(bytes));
  const float step = HalfAt(block);
  const float least = HalfAt(block + 2);
  for (int64_t s = 0; s < 8; ++s) {
    scale[s] = step * static_cast<float>(bytes[s]);
    offset[s] = -(least * static_cast<float>(bytes[8 + s]));
  }
}

struct Q4KBlock : BlockOf256 {
  static constexpr int64_t kBytes = 144;
  static constexpr bool kOffset = true;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* offset) {
    ReadScalesOfK(block, scale, offset);
    for (int64_t s = 0; s < 4; ++s) {
      MapBytes<32>(block + 16 + 32 * s, q + 64 * s, LowNibble());
      MapBytes<32>(block + 16 + 32 * s, q + 64 * s + 32, HighNibble());
    }
  }
};

struct Q5KBlock : BlockOf256 {
  static constexpr int64_t kBytes = 176;
  static constexpr bool kOffset = true;

  // Group kPair * 2 and the one after it.
  template <int kPair>
  static HWY_INLINE void ReadPair(const uint8_t* HWY_RESTRICT block,
                                  int8_t* q) {
    const uint8_t* nibbles = block + 48 + 32 * kPair;
    constexpr int kBit = 2 * kPair;
    MapBytes<32>(nibbles, block + 16, q + 64 * kPair,
                 WithHighBits<LowNibble, 4 - kBit>{1u << kBit, 0});
    MapBytes<32>(nibbles, block + 16, q + 64 * kPair + 32,
                 WithHighBits<HighNibble, 3 - kBit>{2u << kBit, 0});
  }

  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* offset) {
    ReadScalesOfK(block, scale, offset);
    ReadPair<0>(block, q);
    ReadPair<1>(block, q);
    ReadPair<2>(block, q);
    ReadPair<3>(block, q);
  }
};

struct Q6KBlock : BlockOf256 {
  static constexpr int64_t kBytes = 210;
  static constexpr int64_t kGroup = 16;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    const float step = HalfAt(block + 208);
    for (int64_t s = 0; s < 16; ++s) {
      scale[s] = step * static_cast<float>(static_cast<int8_t>(block[192 + s]));
    }
    for (int64_t half = 0; half < 2; ++half, q += 128) {
      const uint8_t* nibbles = block + 64 * half;
      const uint8_t* high = block + 128 + 32 * half;
      MapBytes<32>(nibbles, high, q, WithHighBits<LowNibble, 4>{0x03, 32});
      MapBytes<32>(nibbles + 32, high, q + 32,
                   WithHighBits<LowNibble, 2>{0x0c, 32});
      MapBytes<32>(nibbles, high, q + 64,
                   WithHighBits<HighNibble, 0>{0x30, 32});
      MapBytes<32>(nibbles + 32, high, q + 96,
                   WithHighBits<HighNibble, -2>{0xc0, 32});
    }
  }
};

struct Q8KBlock : BlockOf256 {
  static constexpr int64_t kBytes = 292;
  static constexpr int64_t kGroup = 256;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    std::memcpy(scale, block, sizeof(float));
    std::memcpy(q, block + 4, 256);
  }
};

struct Iq4NlBlock : BlockOf32 {
  static constexpr int64_t kBytes = 18;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    scale[0] = HalfAt(block);
    LookUpNibbles(block + 2, kIq4Steps, q);
  }
};

struct Iq4XsBlock : BlockOf256 {
  static constexpr int64_t kBytes = 136;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    const float step = HalfAt(block);
    uint16_t top = 0;
    std::memcpy(&top, block + 2, sizeof(top));
    for (int64_t s = 0; s < 8; ++s, top >>= 2) {
      const int low = (block[4 + s / 2] >> (s % 2 * 4)) & 15;
      scale[s] = step * static_cast<float>((low | ((top & 3) << 4)) - 32);
      LookUpNibbles(block + 8 + 16 * s, kIq4Steps, q + 32 * s);
    }
  }
};

struct Mxfp4Block : BlockOf32 {
  static constexpr int64_t kBytes = 17;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    const uint32_t exponent = block[0];
    const uint32_t bits =
        exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23;
    std::memcpy(scale, &bits, sizeof(bits));
    LookUpNibbles(block + 1, kMxfp4Steps, q);
  }
};

// Reads the base-3 digits of each byte: multiplying by 3 moves the next digit
// above the byte.
template <int64_t kDigits, int64_t kCount>
HWY_INLINE void ReadTrits(const uint8_t* HWY_RESTRICT bytes,
                          int8_t* HWY_RESTRICT q) {
  uint8_t left[kCount];
  std::memcpy(left, bytes, kCount);
  for (int64_t digit = 0; digit < kDigits; ++digit, q += kCount) {
    for (int64_t i = 0; i < kCount; ++i) {
      const int product = left[i] * 3;
      q[i] = static_cast<int8_t>((product >> 8) - 1);
      left[i] = static_cast<uint8_t>(product);
    }
  }
}

struct Tq1_0Block : BlockOf256 {
  static constexpr int64_t kBytes = 54;
  static constexpr int64_t kGroup = 256;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    scale[0] = HalfAt(block + 52);
    ReadTrits<5, 32>(block, q);
    ReadTrits<5, 16>(block + 32, q + 160);
    ReadTrits<4, 4>(block + 48, q + 240);
  }
};

struct Tq2_0Block : BlockOf256 {
  static constexpr int64_t kBytes = 66;
  static constexpr int64_t kGroup = 256;
  static HWY_INLINE void Read(const uint8_t* HWY_RESTRICT block, int8_t* q,
                              float* scale, float* /*offset*/) {
    scale[0] = HalfAt(block + 64);
    ReadTwoBits(block, q);
    for (int64_t i = 0; i < 256; ++i) q[i] = static_cast<int8_t>(q[i] - 1);
  }
};

// Calls `use` with the block struct of `type`; returns false for plain types.
template <class Use>
HWY_INLINE bool WithBlock(DType type, const Use& use) {
  switch (type) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBf16:
      return false;
    case DType::kQ8_0:
      return use(Q8_0Block()), true;
    case DType::kQ4_0:
      return use(Q4_0Block()), true;
    case DType::kQ4_1:
      return use(Q4_1Block()), true;
    case DType::kQ5_0:
      return use(Q5_0Block()), true;
    case DType::kQ5_1:
      return use(Q5_1Block()), true;
    case DType::kQ2K:
      return use(Q2KBlock()), true;
    case DType::kQ3K:
      return use(Q3KBlock()), true;
    case DType::kQ4K:
      return use(Q4KBlock()), true;
    case DType::kQ5K:
      return use(Q5KBlock()), true;
    case DType::kQ6K:
      return use(Q6KBlock()), true;
    case DType::kQ8K:
      return use(Q8KBlock()), true;
    case DType::kIq4Nl:
      return use(Iq4NlBlock()), true;
    case DType::kIq4Xs:
      return use(Iq4XsBlock()), true;
    case DType::kMxfp4:
      return use(Mxfp4Block()), true;
    case DType::kTq1_0:
      return use(Tq1_0Block()), true;
    case DType::kTq2_0:
      return use(Tq2_0Block()), true;
  }
  return false;
}

// Vectors of at most 16 elements, which is the smallest group with one scale.
using BlockTag = hn::CappedTag<float, 16>;

// Loads integers of a block as floats.
HWY_INLINE hn::Vec<BlockTag> QuantsAt(BlockTag d, const int8_t* q) {
  const hn::Rebind<int32_t, BlockTag> d32;
  const hn::Rebind<int8_t, BlockTag> d8;
  return hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(d8, q)));
}

template <class Block>
HWY_INLINE void UnpackBlocks(const uint8_t* row, int64_t size,
                             float* HWY_RESTRICT out) {
  const BlockTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int64_t kGroups = Block::kElements / Block::kGroup;
  alignas(64) int8_t q[Block::kElements];
  float scale[kGroups];
  float offset[kGroups];
  for (int64_t b = 0; b < size / Block::kElements; ++b) {
    Block::Read(row + b * Block::kBytes, q, scale, offset);
    float* at = out + b * Block::kElements;
    for (int64_t g = 0; g < kGroups; ++g) {
      const auto factor = hn::Set(d, scale[g]);
      for (int64_t i = 0; i < Block::kGroup; i += lanes) {
        const int64_t k = g * Block::kGroup + i;
        auto value = hn::Mul(factor, QuantsAt(d, q + k));
        // Not fused, because the definition rounds product and sum separately.
        if constexpr (Block::kOffset) {
          value = hn::Add(value, hn::Set(d, offset[g]));
        }
        hn::StoreU(value, d, at + k);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
