#include "attention/share.h"

#include <cmath>

#include "kernels/cpu/kernels.h"

namespace ropewalk::attention {

std::vector<View> ViewsOf(const BandedAttention& attention,
                          const Share& share) {
  std::vector<View> views;
  const auto& bands = attention.plan().bands;
  const std::vector<Segment> segments = share.slice->store->Segments();
  for (size_t b = 0; b < bands.size(); ++b) {
    for (const Segment& segment : segments) {
      const auto band = static_cast<int64_t>(b);
      const View view{band, attention.StoreOf(band), &bands[b].selector,
                      segment};
      const Bounds bounds =
          BoundsOf(view, share.Id(0), share.Id(share.tokens() - 1));
      if (bounds.any.first < bounds.any.last) views.push_back(view);
    }
  }
  return views;
}

void RotateQueries(const BandedAttention& attention, const Share& share,
                   int64_t band, const float* head_scale, double factor,
                   int64_t begin, int64_t end, float* rows) {
  const HeadShape& shape = attention.shape();
  const int64_t D = shape.D;
  const RotationRows& angles = share.rows[static_cast<size_t>(band)];
  const double width = factor / std::sqrt(static_cast<double>(D));
  for (int64_t t = begin; t < end; ++t) {
    const double scale = width * attention.plan().scale(share.Id(t));
    const int64_t row = share.begin + t;
    for (int64_t h = 0; h < shape.Group(); ++h) {
      const int64_t head = share.g * shape.Group() + h;
      const double learned = head_scale == nullptr ? 1 : head_scale[head];
      kernels::Rotate({.x = share.slice->queries + (row * shape.H + head) * D,
                       .y = rows + ((t - begin) * shape.Group() + h) * D,
                       .heads = 1,
                       .D = D,
                       .pairs = angles.pairs,
                       .cos = angles.cos + row * angles.stride,
                       .sin = angles.sin + row * angles.stride,
                       .scale = static_cast<float>(scale * learned)});
    }
  }
}

}  // namespace ropewalk::attention
