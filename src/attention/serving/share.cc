#include "attention/serving/share.h"

#include <algorithm>
#include <cmath>
#include <map>
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

std::vector<std::vector<size_t>> TasksOf(std::span<const Share> shares,
                                         int64_t tasks) {
  const size_t most = std::max<size_t>(
      1, shares.size() / static_cast<size_t>(std::max<int64_t>(1, tasks)));
  std::vector<std::vector<size_t>> all;
  std::map<const void*, size_t> open;  // what is read -> a task with room
  for (size_t i = 0; i < shares.size(); ++i) {
    const void* reads = shares[i].reads;
    const auto [at, is_new] = open.try_emplace(reads, all.size());
    if (is_new || reads == nullptr || all[at->second].size() >= most) {
      at->second = all.size();
      all.emplace_back();
    }
    all[at->second].push_back(i);
  }
  return all;
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
