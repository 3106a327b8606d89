#include "attention/serving/row_worker.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/rows.h"
#include "kernels/nibbles.h"

namespace ropewalk::attention {
namespace {

int64_t PairWidth(int64_t D) { return 2 * kernels::QuantPairs(D); }

int64_t Capacity(const HeadShape& shape) {
  return RowTokens(shape) * shape.Group();
}

// The arrays of a partial result.
struct Partial {
  float* maxima;  // [rows]
  double* sums;   // [rows]
  float* output;  // [rows, width], not divided by the sums

  Partial(const HeadShape& shape, Arena& arena)
      : maxima(arena.Take(Capacity(shape))),
        sums(arena.Take<double>(Capacity(shape))),
        output(arena.Take(Capacity(shape) * shape.ValueWidth())) {}
};

Partial PartialAt(const HeadShape& shape, float* memory) {
  Arena arena(memory);
  return {shape, arena};
}

}  // namespace

int64_t PartSlots(const HeadShape& shape, DType type) {
  constexpr int64_t kPartBytes = 256 << 10;
  const int64_t slot_bytes =
      kernels::KeyPanelBytes(type, shape.D) / kernels::kKeyPanel +
      kernels::ValueBytes(type, 1, shape.ValueWidth());
  return std::clamp<int64_t>(kPartBytes / slot_bytes / kTile * kTile, kTile,
                             2048);
}

int64_t PartialFloats(const HeadShape& shape) {
  Arena arena(nullptr);
  Partial(shape, arena);
  return arena.used();
}

RowWorker::RowWorker(const BandedAttention& attention, DType type,
                     const float* head_scale, Arena& arena)
    : attention_(attention),
      shape_(attention.shape()),
      type_(type),
      head_scale_(head_scale),
      capacity_(Capacity(shape_)) {
  const int64_t rows = (attention.MemoryBand() + 1) * capacity_;
  const bool quants = kernels::StoresQuants(type);
  queries_ = arena.Take(rows * shape_.D);
  quants_ = arena.Take<int16_t>(quants ? rows * PairWidth(shape_.D) : 0);
  quant_scales_ =
      arena.Take(quants ? rows * kernels::QuantBlocks(shape_.D) : 0);
  scores_ = arena.Take(capacity_ * kTile);
  other_ = arena.Take(capacity_ * kTile);
  output_ = arena.Take(capacity_ * shape_.ValueWidth());
  maxima_ = arena.Take(capacity_);
  sums_ = arena.Take<double>(capacity_);
}

void RowWorker::Run(const Share& share, float* partial) {
  share_ = share;
  views_ = BandViewsOf(attention_, share);
  bounds_.clear();
  rotated_.assign(static_cast<size_t>(attention_.MemoryBand() + 1), false);
  rows_ = share.tokens() * shape_.Group();
  const int64_t width = shape_.ValueWidth();
  int64_t first = share.last_slot;
  int64_t last = share.first_slot;
  for (const BandView& view : views_) {
    bounds_.push_back(
        BoundsOf(view, share.Id(0), share.Id(share.tokens() - 1)));
    first = std::min(first, bounds_.back().any.first);
    last = std::max(last, bounds_.back().any.last);
  }
  first = std::max(first, share.first_slot);
  last = std::min(last, share.last_slot);
  std::fill_n(maxima_, rows_, kMasked);
  std::fill_n(sums_, rows_, 0.0);
  std::fill_n(output_, rows_ * width, 0.0f);
  for (int64_t tile = first / kTile; tile * kTile < last; ++tile) {
    const int64_t begin = std::max(first, tile * kTile);
    const int64_t end = std::min(last, (tile + 1) * kTile);
    if (!Score(begin, end)) continue;
    const int64_t column = begin - tile * kTile;
    const int64_t columns = end - begin;
    kernels::OnlineSoftmax({.scores = scores_ + column,
                            .running_max = maxima_,
                            .running_sum = sums_,
                            .output = output_,
                            .rows = rows_,
                            .columns = columns,
                            .width = width,
                            .scores_stride = kTile,
                            .output_stride = width});
    for (int64_t b = 0; b < shape_.ValueBlocks(); ++b) {
      kernels::RowValues({.type = type_,
                          .values = share.Values(tile, b),
                          .keys = kTile,
                          .columns = shape_.BlockWidth(b),
                          .first = column,
                          .last = column + columns,
                          .weights = scores_,
                          .rows = rows_,
                          .stride = kTile,
                          .output = output_ + b * kValueBlock,
                          .output_stride = width,
                          .next = Next(tile, b, last)});
    }
  }
  if (partial == nullptr) {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t head = share.g * shape_.Group() + r % shape_.Group();
      float* out = share.slice->output +
                   ((share.begin + TokenOf(r)) * shape_.H + head) * width;
      const float factor = OutputFactor(share, head, maxima_[r], sums_[r]);
      for (int64_t d = 0; d < width; ++d) {
        out[d] = output_[r * width + d] * factor;
      }
    }
    return;
  }
  const Partial to = PartialAt(shape_, partial);
  // A bias raises the scores of all keys of the part alike.
  const float bias = share.memory == nullptr ? 0 : MemoryBias(*share.memories);
  std::transform(maxima_, maxima_ + rows_, to.maxima,
                 [&](float most) { return most + bias; });
  std::copy_n(sums_, rows_, to.sums);
  std::copy_n(output_, rows_ * width, to.output);
}

void RowWorker::Merge(const HeadShape& shape, const Share& share,
                      const float* partials, int64_t parts) {
  const int64_t rows = share.tokens() * shape.Group();
  const int64_t width = shape.ValueWidth();
  const int64_t step = PartialFloats(shape);
  const auto part = [&](int64_t p) {
    return PartialAt(shape, const_cast<float*>(partials) + p * step);
  };
  for (int64_t r = 0; r < rows; ++r) {
    float most = kMasked;
    for (int64_t p = 0; p < parts; ++p)
      most = std::max(most, part(p).maxima[r]);
    double sum = 0;
    const int64_t head = share.g * shape.Group() + r % shape.Group();
    float* out = share.slice->output +
                 ((share.begin + r / shape.Group()) * shape.H + head) * width;
    std::fill_n(out, width, 0.0f);
    for (int64_t p = 0; p < parts; ++p) {
      const Partial from = part(p);
      if (from.sums[r] == 0) continue;
      // A part whose scores were all NaN has the maximum -inf and the sum NaN.
      const double weight =
          from.maxima[r] == kMasked
              ? 1
              : std::exp2(static_cast<double>(from.maxima[r]) -
                          static_cast<double>(most));
      sum += weight * from.sums[r];
      const auto factor = static_cast<float>(weight);
      for (int64_t d = 0; d < width; ++d) {
        out[d] += factor * from.output[r * width + d];
      }
    }
    const float factor = OutputFactor(share, head, most, sum);
    for (int64_t d = 0; d < width; ++d) out[d] *= factor;
  }
}

// The address that is read after a block of values, for prefetching: the next
// block or, after the last block, keys of the next tile.
const void* RowWorker::Next(int64_t tile, int64_t block, int64_t last) const {
  if (block + 1 < shape_.ValueBlocks()) return share_.Values(tile, block + 1);
  const int64_t first = (tile + 1) * kTile;
  for (size_t v = 0; v < views_.size() && first < last; ++v) {
    if (bounds_[v].Touches(first, first + 1)) {
      return share_.KeyPanels(views_[v].store, tile + 1);
    }
  }
  return nullptr;
}

// Writes the scores of slots [first, last) of one tile to their columns of
// scores_. Returns false if no query sees any of them.
bool RowWorker::Score(int64_t first, int64_t last) {
  const int64_t tile = first / kTile;
  size_t touched = 0;
  size_t only = 0;
  bool whole = false;
  for (size_t v = 0; v < views_.size() && !whole; ++v) {
    if (!bounds_[v].Touches(first, last)) continue;
    whole = bounds_[v].Covers(first, last);
    ++touched;
    only = v;
  }
  if (touched == 0) return false;
  if (touched == 1 && whole) {
    Product(views_[only], tile, first, last, scores_);
    return true;
  }
  const int64_t column = tile * kTile;
  for (int64_t r = 0; r < rows_; ++r) {
    std::fill(scores_ + r * kTile + first - column,
              scores_ + r * kTile + last - column, kMasked);
  }
  // The first view that contains a pair decides it, so it is written last.
  for (size_t v = views_.size(); v-- > 0;) {
    if (!bounds_[v].Touches(first, last)) continue;
    Product(views_[v], tile, std::max(first, bounds_[v].any.first),
            std::min(last, bounds_[v].any.last), other_);
    for (int64_t r = 0; r < rows_; ++r) {
      const position::KeyRange seen = views_[v].Seen(share_.Id(TokenOf(r)));
      const int64_t from = std::max(first, seen.first);
      const int64_t to = std::min(last, seen.last);
      if (from >= to) continue;
      const int64_t at = r * kTile + from - column;
      std::copy_n(other_ + at, to - from, scores_ + at);
    }
  }
  return true;
}

void RowWorker::Product(const BandView& view, int64_t tile, int64_t first,
                        int64_t last, float* scores) {
  RotateFor(view.band);
  const int64_t D = shape_.D;
  const int64_t row = view.band * capacity_;
  const int64_t column = tile * kTile;
  kernels::RowScores(
      {.type = type_,
       .panels = share_.KeyPanels(view.store, tile),
       .first = (first - column) / kernels::kKeyPanel,
       .last = (last - column + kernels::kKeyPanel - 1) / kernels::kKeyPanel,
       .queries = {.rows = queries_ + row * D,
                   .quants = quants_ + row * PairWidth(D),
                   .quant_scales =
                       quant_scales_ + row * kernels::QuantBlocks(D),
                   .count = rows_,
                   .D = D},
       .scores = scores,
       .stride = kTile,
       .next = share_.Values(tile, 0)});
  if (shape_.softcap == 0) return;
  // The cap comes before masking, because the cap of -inf is finite.
  for (int64_t r = 0; r < rows_; ++r) {
    kernels::SoftCap(SoftCapOf(shape_), last - first,
                     scores + r * kTile + first - column);
  }
}

void RowWorker::RotateFor(int64_t band) {
  if (rotated_[static_cast<size_t>(band)]) return;
  rotated_[static_cast<size_t>(band)] = true;
  const int64_t D = shape_.D;
  const int64_t row = band * capacity_;
  float* queries = queries_ + row * D;
  RotateQueries(attention_, share_, band, head_scale_, 0, rows_, queries);
  if (kernels::StoresQuants(type_)) {
    kernels::QuantiseQueries(queries, rows_, D, quants_ + row * PairWidth(D),
                             quant_scales_ + row * kernels::QuantBlocks(D));
  }
}

}  // namespace ropewalk::attention
