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
#include "kernels/cpu/nibbles-inl.h"
#include "kernels/cpu/rows.h"
#include "kernels/nibbles.h"

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

// Unpacks one panel of keys in integers of `Pair` / 2 bits. Even and odd
// components are interleaved: a Pair has one of each, and shifts extract them.
template <class Pair>
HWY_INLINE void UnpackPairs(const uint8_t* quants, int64_t D, float* out) {
  constexpr int kBits = 4 * sizeof(Pair);
  const PanelTag d;
  const hn::Rebind<Pair, PanelTag> d_pair;
  const hn::Rebind<int32_t, PanelTag> d32;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* pairs = reinterpret_cast<const Pair*>(quants);
  const F16Loader scales{
      reinterpret_cast<const uint16_t*>(pairs + QuantPairs(D) * kKeyPanel)};
  for (int64_t column = 0; column < kKeyPanel; column += lanes) {
    for (int64_t b = 0; b < QuantBlocks(D); ++b) {
      const auto scale = scales.Load(d, b * kKeyPanel + column);
      const int64_t end = std::min(D, (b + 1) * kQuantBlock);
      for (int64_t i = b * kQuantBlock; i < end; i += 2) {
        const auto both = hn::PromoteTo(
            d32, hn::LoadU(d_pair, pairs + i / 2 * kKeyPanel + column));
        // Little-endian: the even component is the lower half.
        const auto even =
            hn::ShiftRight<32 - kBits>(hn::ShiftLeft<32 - kBits>(both));
        const auto odd = hn::ShiftRight<kBits>(both);
        float* at = out + i * kKeyPanel + column;
        hn::StoreU(hn::Mul(hn::ConvertTo(d, even), scale), d, at);
        if (i + 1 < end) {
          hn::StoreU(hn::Mul(hn::ConvertTo(d, odd), scale), d, at + kKeyPanel);
        }
      }
    }
  }
}

void UnpackBytePanel(const uint8_t* panel, int64_t D, float* out) {
  UnpackPairs<int16_t>(panel, D, out);
}
void UnpackNibblePanel(const uint8_t* panel, int64_t D, float* out) {
  UnpackPairs<int8_t>(panel, D, out);
}

// out[i] = loader's element i times a scale.
template <class Loader>
HWY_INLINE void UnpackScaled(const Loader& loader, float scale, int64_t size,
                             float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> d1;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    hn::StoreU(hn::Mul(loader.Load(d, i), hn::Set(d, scale)), d, out + i);
  }
  for (; i < size; ++i) {
    hn::StoreU(hn::Mul(loader.Load(d1, i), hn::Set(d1, scale)), d1, out + i);
  }
}

void UnpackNibbleValues(const uint16_t* values, int64_t keys, int64_t columns,
                        int64_t rows, float* out) {
  constexpr int64_t kHalf = kQuantBlock / 2;
  const F16Loader scales{values};
  const auto* nibbles =
      reinterpret_cast<const uint8_t*>(values + QuantBlocks(columns) * keys);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t b = 0; b < QuantBlocks(columns); ++b) {
      const float scale = scales.One(b * keys + row);
      const uint8_t* block = nibbles + row * NibbleBytes(columns) + b * kHalf;
      const int64_t size = std::min(columns - b * kQuantBlock, kQuantBlock);
      float* at = out + row * columns + b * kQuantBlock;
      UnpackScaled(NibbleLoader<false>{block}, scale, std::min(size, kHalf),
                   at);
      UnpackScaled(NibbleLoader<true>{block}, scale, size - kHalf, at + kHalf);
    }
  }
}

void UnpackByteValues(const uint16_t* values, int64_t keys, int64_t columns,
                      int64_t rows, float* out) {
  const F16Loader scales{values};
  const auto* quants =
      reinterpret_cast<const int8_t*>(values + QuantBlocks(columns) * keys);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t b = 0; b < QuantBlocks(columns); ++b) {
      const int64_t at = row * columns + b * kQuantBlock;
      UnpackScaled(QuantLoader{quants + at}, scales.One(b * keys + row),
                   std::min(columns - b * kQuantBlock, kQuantBlock), out + at);
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
HWY_EXPORT(UnpackBytePanel);
HWY_EXPORT(UnpackNibblePanel);
HWY_EXPORT(UnpackByteValues);
HWY_EXPORT(UnpackNibbleValues);

void UnpackRow(DType type, const void* row, int64_t size, float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(UnpackRowImpl)(type, row, size, out);
}

void UnpackPanels(DType type, const void* panels, int64_t count, int64_t D,
                  float* out) noexcept {
  if (!StoresQuants(type)) {
    HWY_DYNAMIC_DISPATCH(WidenImpl)(type, panels, count * D * kKeyPanel, out);
    return;
  }
  const int64_t bytes = KeyPanelBytes(type, D);
  for (int64_t p = 0; p < count; ++p) {
    const uint8_t* panel = static_cast<const uint8_t*>(panels) + p * bytes;
    float* to = out + p * D * kKeyPanel;
    if (type == DType::kQ4_0) {
      HWY_DYNAMIC_DISPATCH(UnpackNibblePanel)(panel, D, to);
    } else {
      HWY_DYNAMIC_DISPATCH(UnpackBytePanel)(panel, D, to);
    }
  }
}

void UnpackValues(DType type, const void* values, int64_t keys, int64_t columns,
                  int64_t rows, float* out) noexcept {
  const auto* halves = static_cast<const uint16_t*>(values);
  if (type == DType::kQ4_0) {
    HWY_DYNAMIC_DISPATCH(UnpackNibbleValues)(halves, keys, columns, rows, out);
  } else if (type == DType::kQ8_0) {
    HWY_DYNAMIC_DISPATCH(UnpackByteValues)(halves, keys, columns, rows, out);
  } else {
    HWY_DYNAMIC_DISPATCH(WidenImpl)(type, values, rows * columns, out);
  }
}
}  // namespace ropewalk::kernels
#endif
