// Products of bytes with 8-bit activations, four to a 32-bit lane. Included by
// interleaved-variant-inl.h alone, without a guard, once for each variant of
// each instruction set. Vectors of codes are vectors of 32-bit lanes, so that
// the plain path with its one lane is like the others.

ROPEWALK_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace ROPEWALK_VARIANT {
namespace hn = hwy::HWY_NAMESPACE;

// At most the 16 rows of a group.
using Lane = hn::CappedTag<float, 16>;
using Lane32 = hn::RebindToUnsigned<Lane>;
using LaneI32 = hn::RebindToSigned<Lane>;
using LaneF = hn::Vec<Lane>;
using LaneU = hn::Vec<Lane32>;
using LaneI = hn::Vec<LaneI32>;

// What the codes of weights are, for the products.
enum class CodeClass {
  kSigned,      // int8, centred
  kUnsigned,    // uint8
  kUnsigned63,  // uint8 up to 63
  kUnsigned15,  // uint8 up to 15
};

// Turns codes into centred int8: bytes minus kZero, which no byte's borrow
// leaves.
template <int kZero>
HWY_INLINE LaneU Centre(LaneU codes) {
  const Lane32 d;
  const auto top = hn::Set(d, 0x80808080u);
  if constexpr (kZero == 128) {
    return hn::Xor(codes, top);
  } else if constexpr (kZero == 0) {
    return codes;
  } else {
    const auto zero = hn::Set(d, kZero * 0x01010101u);
    return hn::Xor(hn::Sub(hn::Or(codes, top), zero), top);
  }
}

// Dots<c> adds the products of weights of class c with signed activations, or,
// where kSwapped is true, of signed weights with biased activations:
//
//   Sums           what is accumulated
//   Add2           adds the products of two vectors of quads
//   Total          the sums of each lane
#if ROPEWALK_VNNI && HWY_ARCH_X86

inline constexpr bool kSwaps = true;

// The class in which codes up to kLargest are multiplied while they are
// streamed, and after they were unpacked.
constexpr CodeClass StreamedClass(int /*largest*/) {
  return CodeClass::kUnsigned;
}
constexpr CodeClass UnpackedClass(int /*largest*/) {
  return CodeClass::kSigned;
}

template <CodeClass kClass>
struct Dots {
  using Sums = LaneI;
  static HWY_INLINE Sums Zero() { return hn::Zero(LaneI32()); }
  // sums += products of unsigned and signed bytes.
  static HWY_INLINE void AddProducts(Sums& sums, LaneU bytes,
                                     LaneU signed_bytes) {
#if HWY_TARGET <= HWY_AVX3
    sums.raw = _mm512_dpbusd_epi32(sums.raw, bytes.raw, signed_bytes.raw);
#else
    sums.raw = _mm256_dpbusd_avx_epi32(sums.raw, bytes.raw, signed_bytes.raw);
#endif
  }
  static HWY_INLINE void Add(Sums& sums, LaneU w, LaneU x) {
    if constexpr (kClass == CodeClass::kSigned) {
      AddProducts(sums, x, w);
    } else {
      AddProducts(sums, w, x);
    }
  }
  static HWY_INLINE void Add2(Sums& sums, LaneU w0, LaneU x0, LaneU w1,
                              LaneU x1) {
    Add(sums, w0, x0);
    Add(sums, w1, x1);
  }
  static HWY_INLINE LaneI Total(const Sums& sums) { return sums; }
};

#elif HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

inline constexpr bool kSwaps = false;

constexpr CodeClass StreamedClass(int largest) {
  return largest <= 15   ? CodeClass::kUnsigned15
         : largest <= 63 ? CodeClass::kUnsigned63
                         : CodeClass::kSigned;
}
constexpr CodeClass UnpackedClass(int largest) {
  return StreamedClass(largest);
}

// Products of neighbouring bytes, added in pairs to 16 bits; nothing saturates
// below 128 x 127 x 2.
using Lane16 = hn::Repartition<int16_t, Lane>;
using Pairs = hn::Vec<Lane16>;

HWY_INLINE Pairs PairProducts(LaneU w, LaneU x) {
#if HWY_TARGET <= HWY_AVX3
  return Pairs{_mm512_maddubs_epi16(w.raw, x.raw)};
#elif HWY_TARGET == HWY_AVX2
  return Pairs{_mm256_maddubs_epi16(w.raw, x.raw)};
#else
  return Pairs{_mm_maddubs_epi16(w.raw, x.raw)};
#endif
}

// The same for signed w: |w| times x with the sign of w.
HWY_INLINE Pairs SignedPairProducts(LaneU w, LaneU x) {
#if HWY_TARGET <= HWY_AVX3
  const auto turned = _mm512_mask_sub_epi8(x.raw, _mm512_movepi8_mask(w.raw),
                                           _mm512_setzero_si512(), x.raw);
  return Pairs{_mm512_maddubs_epi16(_mm512_abs_epi8(w.raw), turned)};
#elif HWY_TARGET == HWY_AVX2
  return Pairs{_mm256_maddubs_epi16(_mm256_abs_epi8(w.raw),
                                    _mm256_sign_epi8(x.raw, w.raw))};
#else
  return Pairs{
      _mm_maddubs_epi16(_mm_abs_epi8(w.raw), _mm_sign_epi8(x.raw, w.raw))};
#endif
}

// Adds neighbours to 32 bits.
HWY_INLINE LaneI AddPairs(Pairs pairs) {
#if HWY_TARGET <= HWY_AVX3
  return LaneI{_mm512_madd_epi16(pairs.raw, _mm512_set1_epi16(1))};
#elif HWY_TARGET == HWY_AVX2
  return LaneI{_mm256_madd_epi16(pairs.raw, _mm256_set1_epi16(1))};
#else
  return LaneI{_mm_madd_epi16(pairs.raw, _mm_set1_epi16(1))};
#endif
}

template <CodeClass kClass>
struct Dots {
  using Sums = LaneI;
  static HWY_INLINE Sums Zero() { return hn::Zero(LaneI32()); }
  static HWY_INLINE void Add2(Sums& sums, LaneU w0, LaneU x0, LaneU w1,
                              LaneU x1) {
    if constexpr (kClass == CodeClass::kSigned) {
      sums = hn::Add(sums, hn::Add(AddPairs(SignedPairProducts(w0, x0)),
                                   AddPairs(SignedPairProducts(w1, x1))));
    } else {
      sums = hn::Add(
          sums, AddPairs(hn::Add(PairProducts(w0, x0), PairProducts(w1, x1))));
    }
  }
  static HWY_INLINE LaneI Total(const Sums& sums) { return sums; }
};

// 16 bits have room for a whole unit: 8 x 2 x 15 x 127.
template <>
struct Dots<CodeClass::kUnsigned15> {
  using Sums = Pairs;
  static HWY_INLINE Sums Zero() { return hn::Zero(Lane16()); }
  static HWY_INLINE void Add2(Sums& sums, LaneU w0, LaneU x0, LaneU w1,
                              LaneU x1) {
    sums = hn::Add(hn::Add(sums, PairProducts(w0, x0)), PairProducts(w1, x1));
  }
  static HWY_INLINE LaneI Total(const Sums& sums) { return AddPairs(sums); }
};

#else

inline constexpr bool kSwaps = false;

constexpr CodeClass StreamedClass(int /*largest*/) {
  return CodeClass::kSigned;
}
constexpr CodeClass UnpackedClass(int /*largest*/) {
  return CodeClass::kSigned;
}

template <CodeClass kClass>
struct Dots {
  static_assert(kClass == CodeClass::kSigned);
#if HWY_TARGET == HWY_NEON && ROPEWALK_VNNI
  using Sums = LaneI;
  static HWY_INLINE Sums Zero() { return hn::Zero(LaneI32()); }
  static HWY_INLINE void Add(Sums& sums, LaneU w, LaneU x) {
    sums.raw = vdotq_s32(sums.raw, vreinterpretq_s8_u32(w.raw),
                         vreinterpretq_s8_u32(x.raw));
  }
  static HWY_INLINE LaneI Total(const Sums& sums) { return sums; }
#elif HWY_TARGET == HWY_NEON
  // Sums of pairs of the lower and the upper two lanes.
  struct Sums {
    int32x4_t low;
    int32x4_t high;
  };
  static HWY_INLINE Sums Zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static HWY_INLINE void Add(Sums& sums, LaneU w, LaneU x) {
    const int8x16_t a = vreinterpretq_s8_u32(w.raw);
    const int8x16_t b = vreinterpretq_s8_u32(x.raw);
    sums.low = vpadalq_s16(sums.low, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    sums.high = vpadalq_s16(sums.high, vmull_high_s8(a, b));
  }
  static HWY_INLINE LaneI Total(const Sums& sums) {
    return LaneI{vpaddq_s32(sums.low, sums.high)};
  }
#else
  using Sums = LaneI;
  static HWY_INLINE Sums Zero() { return hn::Zero(LaneI32()); }
  template <int kByte>
  static HWY_INLINE LaneI Byte(LaneU bytes) {
    const auto top =
        hn::BitCast(LaneI32(), hn::ShiftLeft<24 - 8 * kByte>(bytes));
    return hn::ShiftRight<24>(top);
  }
  static HWY_INLINE void Add(Sums& sums, LaneU w, LaneU x) {
    sums = hn::Add(sums, hn::Mul(Byte<0>(w), Byte<0>(x)));
    sums = hn::Add(sums, hn::Mul(Byte<1>(w), Byte<1>(x)));
    sums = hn::Add(sums, hn::Mul(Byte<2>(w), Byte<2>(x)));
    sums = hn::Add(sums, hn::Mul(Byte<3>(w), Byte<3>(x)));
  }
  static HWY_INLINE LaneI Total(const Sums& sums) { return sums; }
#endif
  static HWY_INLINE void Add2(Sums& sums, LaneU w0, LaneU x0, LaneU w1,
                              LaneU x1) {
    Add(sums, w0, x0);
    Add(sums, w1, x1);
  }
};

#endif

}  // namespace ROPEWALK_VARIANT
}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();
