// Unpacking of stored rows, keys and values to float32.

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/unpack.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/blocks.h"
#include "kernels/cpu/blocks-inl.h"
#include "kernels/cpu/loaders-inl.h"
#include "kernels/cpu/rows.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A vector has at most the 16 keys of a panel.
using PanelTag = hn::CappedTag<float, kKeyPanel>;

template <class Loader>
HWY_INLINE void Widen(const Loader& loader, int64_t size,
                      float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    hn::StoreU(loader.Load(d, i), d, out + i);
  }
  const hn::CappedTag<float, 1> d1;
  for (; i < size; ++i) hn::StoreU(loader.Load(d1, i), d1, out + i);
}

void WidenImpl(DType type, const void* from, int64_t size, float* out) {
  const auto* halves = static_cast<const uint16_t*>(from);
  switch (type) {
    case DType::kF16:
      return Widen(F16Loader{halves}, size, out);
    case DType::kBf16:
      return Widen(Bf16Loader{halves}, size, out);
    default:
      return Widen(F32Loader{static_cast<const float*>(from)}, size, out);
  }
}

// A functor, because a lambda would not be compiled for the instruction set.
struct UnpackBlocksTo {
  const uint8_t* row;
  int64_t size;
  float* out;
  template <class Block>
  HWY_INLINE void operator()(Block /*block*/) const {
    UnpackBlocks<Block>(row, size, out);
  }
};

void UnpackRowImpl(DType type, const void* row, int64_t size, float* out) {
  const auto* bytes = static_cast<const uint8_t*>(row);
  if (WithBlock(type, UnpackBlocksTo{bytes, size, out})) return;
  WidenImpl(type, row, size, out);
}

// Unpacks one panel of q8_0 keys. Even and odd components are interleaved: a
// 16-bit lane has one of each, and shifts extract them.
void UnpackQuantPanel(const int8_t* quants, int64_t D, float* out) {
  const PanelTag d;
  const hn::Rebind<int16_t, PanelTag> d16;
  const hn::Rebind<int32_t, PanelTag> d32;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const F16Loader scales{reinterpret_cast<const uint16_t*>(
      quants + QuantPairs(D) * 2 * kKeyPanel)};
  for (int64_t column = 0; column < kKeyPanel; column += lanes) {
    for (int64_t b = 0; b < QuantBlocks(D); ++b) {
      const auto scale = scales.Load(d, b * kKeyPanel + column);
      const int64_t end = std::min(D, (b + 1) * kQuantBlock);
      for (int64_t i = b * kQuantBlock; i < end; i += 2) {
        const auto both = hn::PromoteTo(
            d32, hn::LoadU(d16, reinterpret_cast<const int16_t*>(
                                    quants + i * kKeyPanel + 2 * column)));
        // Little-endian: the even component is the low byte.
        const auto even = hn::ShiftRight<24>(hn::ShiftLeft<24>(both));
        const auto odd = hn::ShiftRight<8>(both);
        float* at = out + i * kKeyPanel + column;
        hn::StoreU(hn::Mul(hn::ConvertTo(d, even), scale), d, at);
        if (i + 1 < end) {
          hn::StoreU(hn::Mul(hn::ConvertTo(d, odd), scale), d, at + kKeyPanel);
        }
      }
    }
  }
}

void UnpackQuantValues(const uint16_t* values, int64_t keys, int64_t columns,
                       int64_t rows, float* out) {
  const F16Loader scales{values};
  const auto* quants =
      reinterpret_cast<const int8_t*>(values + QuantBlocks(columns) * keys);
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> d1;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t row = 0; row < rows; ++row) {
    const QuantLoader loader{quants + row * columns};
    for (int64_t b = 0; b < QuantBlocks(columns); ++b) {
      const float scale = scales.One(b * keys + row);
      const int64_t end = std::min(columns, (b + 1) * kQuantBlock);
      float* at = out + row * columns;
      int64_t c = b * kQuantBlock;
      for (; c + lanes <= end; c += lanes) {
        hn::StoreU(hn::Mul(loader.Load(d, c), hn::Set(d, scale)), d, at + c);
      }
      for (; c < end; ++c) {
        hn::StoreU(hn::Mul(loader.Load(d1, c), hn::Set(d1, scale)), d1, at + c);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(WidenImpl);
HWY_EXPORT(UnpackRowImpl);
HWY_EXPORT(UnpackQuantPanel);
HWY_EXPORT(UnpackQuantValues);

void UnpackRow(DType type, const void* row, int64_t size, float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(UnpackRowImpl)(type, row, size, out);
}

void UnpackPanels(DType type, const void* panels, int64_t count, int64_t D,
                  float* out) noexcept {
  if (type != DType::kQ8_0) {
    HWY_DYNAMIC_DISPATCH(WidenImpl)(type, panels, count * D * kKeyPanel, out);
    return;
  }
  const int64_t bytes = KeyPanelBytes(type, D);
  for (int64_t p = 0; p < count; ++p) {
    HWY_DYNAMIC_DISPATCH(UnpackQuantPanel)
    (static_cast<const int8_t*>(panels) + p * bytes, D,
     out + p * D * kKeyPanel);
  }
}

void UnpackValues(DType type, const void* values, int64_t keys, int64_t columns,
                  int64_t rows, float* out) noexcept {
  if (type != DType::kQ8_0) {
    HWY_DYNAMIC_DISPATCH(WidenImpl)(type, values, rows * columns, out);
    return;
  }
  HWY_DYNAMIC_DISPATCH(UnpackQuantValues)
  (static_cast<const uint16_t*>(values), keys, columns, rows, out);
}
}  // namespace ropewalk::kernels
#endif
