// Readers of interleaved weights: the codes of a quad and the scales of a unit,
// for a part of the 16 rows that fills one vector. Included by
// interleaved-variant-inl.h alone, without a guard.

ROPEWALK_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace ROPEWALK_VARIANT {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr int64_t kPartRows = hn::MaxLanes(Lane());
inline constexpr int kParts = static_cast<int>(kGroupRows / kPartRows);
inline constexpr int64_t kPartBytes = kPartRows * 4;
inline constexpr int64_t kQuadBytes = kGroupRows * 4;

HWY_INLINE LaneU LoadQuad(const uint8_t* HWY_RESTRICT from) {
  return hn::LoadU(Lane32(), reinterpret_cast<const uint32_t*>(from));
}

HWY_INLINE LaneU Bytes(int value) {
  return hn::Set(Lane32(), static_cast<uint32_t>(value) * 0x01010101u);
}

// Moves bits from `kFrom` to `kTo`.
template <int kFrom, int kTo>
HWY_INLINE LaneU MoveBits(LaneU bits) {
  if constexpr (kTo > kFrom) {
    return hn::ShiftLeft<kTo - kFrom>(bits);
  } else if constexpr (kTo < kFrom) {
    return hn::ShiftRight<kFrom - kTo>(bits);
  } else {
    return bits;
  }
}

// The bits of quad kQuad in a plane of kBits, moved up by kTo; `plane` is the
// part in the plane's first vector.
template <int kBits, int kQuad, int kTo>
HWY_INLINE LaneU PlaneBits(const uint8_t* HWY_RESTRICT plane) {
  constexpr int kVector = kQuad % kBits;
  constexpr int kFrom = kQuad / kBits * kBits;
  const auto all = LoadQuad(plane + kVector * kQuadBytes);
  return hn::And(MoveBits<kFrom, kTo>(all), Bytes(((1 << kBits) - 1) << kTo));
}

// kTable[code] + 128 for codes up to 15.
template <class F>
HWY_INLINE LaneU LookUp(LaneU codes) {
#if HWY_TARGET == HWY_SCALAR
  uint32_t word = hn::GetLane(codes);
  uint32_t out = 0;
  for (int i = 0; i < 4; ++i) {
    const auto step = static_cast<uint8_t>(F::kTable[(word >> (8 * i)) & 15]);
    out |= static_cast<uint32_t>(step ^ 128) << (8 * i);
  }
  return hn::Set(Lane32(), out);
#else
  const hn::Repartition<uint8_t, Lane> d;
  const auto table =
      hn::LoadDup128(d, reinterpret_cast<const uint8_t*>(F::kTable));
  return hn::Xor(
      hn::BitCast(Lane32(), hn::TableLookupBytes(table, hn::BitCast(d, codes))),
      Bytes(128));
#endif
}

// The zero and the largest of what Codes returns.
template <class F>
inline constexpr int kZeroOf = F::kTable != nullptr ? 128 : F::kZero;
template <class F>
inline constexpr int kLargestOf = F::kTable != nullptr ? 255 : F::kLargest;

// The codes of quad kQuad as bytes; `unit` is the part in the unit's first
// vector.
template <class F, int kQuad>
HWY_INLINE LaneU Codes(const uint8_t* HWY_RESTRICT unit) {
  if constexpr (F::kBits == 8) {
    return LoadQuad(unit + kQuad * kQuadBytes);
  } else if constexpr (F::kBits == 4 || F::kBits == 2) {
    const auto codes = PlaneBits<F::kBits, kQuad, 0>(unit);
    if constexpr (F::kTable != nullptr) {
      return LookUp<F>(codes);
    } else {
      return codes;
    }
  } else {
    constexpr int kLow = F::kBits > 4 ? 4 : 2;
    return hn::Or(
        PlaneBits<kLow, kQuad, 0>(unit),
        PlaneBits<F::kBits - kLow, kQuad, kLow>(unit + kLow * kQuadBytes));
  }
}

// The same in the class kClass: centred or not.
template <class F, CodeClass kClass, int kQuad>
HWY_INLINE LaneU CodesAs(const uint8_t* HWY_RESTRICT unit) {
  const auto codes = Codes<F, kQuad>(unit);
  if constexpr (kClass == CodeClass::kSigned) {
    return Centre<kZeroOf<F>>(codes);
  } else {
    return codes;
  }
}

HWY_INLINE LaneF Halves(const uint8_t* from, int64_t row) {
  return F16Loader{reinterpret_cast<const uint16_t*>(from)}.Load(Lane(), row);
}

template <class T>
HWY_INLINE LaneF ByteNumbers(const uint8_t* from, int64_t row) {
  const hn::Rebind<T, Lane> d8;
  return hn::ConvertTo(
      Lane(),
      hn::PromoteTo(LaneI32(),
                    hn::LoadU(d8, reinterpret_cast<const T*>(from + row))));
}

// Scales and offsets of the subgroups of a unit, rounded as UnpackRow does.
template <class F>
struct UnitScales {
  LaneF scale[F::kSubgroups];
  LaneF offset[F::kSubgroups];  // only if F::kOffset

  // `scales` is where those of the group begin, `row` the part's first row.
  HWY_INLINE UnitScales(const uint8_t* HWY_RESTRICT scales, int64_t unit,
                        int64_t row) {
    constexpr int64_t kHalves = kGroupRows * 2;
    const Lane d;
    if constexpr (F::kScale == ScaleForm::kHalf) {
      scales += unit * ScaleStride<F>();
      scale[0] = Halves(scales, row);
      if constexpr (F::kOffset) offset[0] = Halves(scales + kHalves, row);
    } else if constexpr (F::kScale == ScaleForm::kExponent) {
      // 2^(e - 127) as the float's exponent, or 2^-127 for e = 0, halved.
      scales += unit * ScaleStride<F>();
      const hn::Rebind<uint8_t, Lane> d8;
      const auto exponent =
          hn::PromoteTo(Lane32(), hn::LoadU(d8, scales + row));
      const auto bits =
          hn::Max(hn::ShiftLeft<23>(exponent), hn::Set(Lane32(), 0x00400000u));
      scale[0] = hn::Mul(hn::BitCast(d, bits), hn::Set(d, 0.5f));
    } else {
      scales += unit / kUnitsOfSuper * ScaleStride<F>();
      const auto step = Halves(scales, row);
      LaneF least = step;
      const uint8_t* bytes = scales + kHalves;
      if constexpr (F::kOffset) {
        least = hn::Neg(Halves(scales + kHalves, row));
        bytes += kHalves;
      }
      constexpr int64_t kStride =
          F::kOffset && F::kScale == ScaleForm::kUnsigned ? 2 * kGroupRows
                                                          : kGroupRows;
      bytes += unit % kUnitsOfSuper * F::kSubgroups * kStride;
      ROPEWALK_UNROLL
      for (int s = 0; s < F::kSubgroups; ++s, bytes += kStride) {
        if constexpr (F::kScale == ScaleForm::kSigned) {
          scale[s] = hn::Mul(step, ByteNumbers<int8_t>(bytes, row));
        } else if constexpr (F::kScale == ScaleForm::kUnsigned) {
          scale[s] = hn::Mul(step, ByteNumbers<uint8_t>(bytes, row));
          if constexpr (F::kOffset) {
            offset[s] =
                hn::Mul(least, ByteNumbers<uint8_t>(bytes + kGroupRows, row));
          }
        } else {
          const hn::Rebind<uint8_t, Lane> d8;
          const auto both =
              hn::PromoteTo(LaneI32(), hn::LoadU(d8, bytes + row));
          scale[s] = hn::Mul(
              step, hn::ConvertTo(d, hn::And(both, hn::Set(LaneI32(), 15))));
          offset[s] = hn::Mul(least, hn::ConvertTo(d, hn::ShiftRight<4>(both)));
        }
      }
    }
  }
};

}  // namespace ROPEWALK_VARIANT
}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();
