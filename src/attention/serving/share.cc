#include "attention/serving/share.h"

#include <cmath>
#include <numbers>

#include "kernels/cpu/kernels.h"

namespace ropewalk::attention {

std::vector<BandView> BandViewsOf(const BandedAttention& attention,
                                  const Share& share) {
  if (share.memory != nullptr) {
    // Memories have a place for their keys behind those of the key stores.
    return {{.band = attention.MemoryBand(),
             .store = attention.KeyStoreCount(),
             .segment = {share.memory->first, share.memory->last, 0}}};
  }
  std::vector<BandView> views;
  const auto& bands = attention.plan().bands;
  const std::vector<Segment> segments = share.slice->store->Segments();
  for (size_t b = 0; b < bands.size(); ++b) {
    for (const Segment& segment : segments) {
      const auto band = static_cast<int64_t>(b);
      const BandView view{band, attention.StoreOf(band), &bands[b].selector,
                          segment};
      const Bounds bounds =
          BoundsOf(view, share.Id(0), share.Id(share.tokens() - 1));
      if (bounds.any.first < bounds.any.last) views.push_back(view);
    }
  }
  return views;
}

void RotateQueries(const BandedAttention& attention, const Share& share,
                   int64_t band, const float* head_scale, int64_t first,
                   int64_t count, float* rows) {
  const HeadShape& shape = attention.shape();
  const int64_t D = shape.D;
  const RotationRows& angles = share.rows[static_cast<size_t>(band)];
  double factor = std::numbers::log2e * shape.ScoreFactor();
  if (band == attention.MemoryBand()) {
    factor *= share.memories->sharpness;
  }
  const int64_t before = share.MemoryTokens();
  for (int64_t r = 0; r < count; ++r) {
    const int64_t t = (first + r) / shape.Group();
    const int64_t head = share.g * shape.Group() + (first + r) % shape.Group();
    const int64_t row = share.begin + t;
    const double learned = head_scale == nullptr ? 1 : head_scale[head];
    const double scale =
        factor * attention.plan().scale(before + share.Id(t)) * learned;
    kernels::Rotate({.x = share.slice->queries + (row * shape.H + head) * D,
                     .y = rows + r * D,
                     .heads = 1,
                     .D = D,
                     .pairs = angles.pairs,
                     .cos = angles.cos + row * angles.stride,
                     .sin = angles.sin + row * angles.stride,
                     .scale = static_cast<float>(scale)});
  }
}

float OutputFactor(const Share& share, int64_t head, float top, double sum) {
  if (sum == 0) return 0;
  if (const float* sinks = share.slice->sinks) {
    sum += std::exp2(std::numbers::log2e * static_cast<double>(sinks[head]) -
                     static_cast<double>(top));
  }
  return static_cast<float>(1 / sum);
}

}  // namespace ropewalk::attention
