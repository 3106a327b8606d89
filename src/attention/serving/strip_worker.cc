#include "attention/serving/strip_worker.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/rows.h"
#include "kernels/nibbles.h"

namespace ropewalk::attention {
namespace {

// The most views of a share: each band within one or two segments of ids.
int64_t MostViews(const BandedAttention& attention) {
  return 2 * static_cast<int64_t>(attention.plan().bands.size());
}

// Wide values, of more than one block, are multiplied in f32.
bool UsesInts(const HeadShape& shape, DType type) {
  return kernels::HasStripInts(type) && shape.ValueBlocks() == 1;
}

}  // namespace

int64_t StripWorker::Tokens(const HeadShape& shape, DType type) {
  const int64_t rows = UsesInts(shape, type) ? kIntTaskRows : kStripTaskRows;
  return std::max<int64_t>(1, rows / shape.Group());
}

StripWorker::StripWorker(const BandedAttention& attention, DType type,
                         const float* head_scale, Arena& arena)
    : attention_(attention),
      shape_(attention.shape()),
      type_(type),
      head_scale_(head_scale),
      lanes_(kernels::StripLanes()),
      most_strips_((Tokens(shape_, type) * shape_.Group() + lanes_ - 1) /
                   lanes_),
      ints_(UsesInts(shape_, type)),
      bands_(attention.MemoryBand() + 1) {
  const int64_t D = shape_.D;
  queries_ = arena.Take((ints_ ? 1 : most_strips_ * bands_) * D * lanes_);
  rows_ = arena.Take(lanes_ * std::max(D, kValueBlock));
  weights_ = arena.Take((ints_ ? 1 : most_strips_) * kTile * lanes_);
  output_ = arena.Take(most_strips_ * shape_.ValueWidth() * lanes_);
  top_ = arena.Take(most_strips_ * lanes_);
  limit_ = arena.Take(most_strips_ * lanes_);
  part_ = arena.Take(most_strips_ * lanes_);
  sum_ = arena.Take<double>(most_strips_ * lanes_);
  limits_ =
      arena.Take<int32_t>(most_strips_ * MostViews(attention) * 2 * lanes_);
  const bool plain = type == DType::kF32;
  const int64_t stores = attention.KeyStoreCount() + 1;
  keys_ = arena.Take(plain || ints_ ? 0 : stores * kTile * D);
  values_ = arena.Take(plain ? 0 : kTile * kValueBlock);
  unpacked_.resize(static_cast<size_t>(stores));
  if (ints_) TakeInts(arena);
}

void StripWorker::TakeInts(Arena& arena) {
  const int64_t stores = attention_.KeyStoreCount() + 1;
  words_ = kernels::IntWords(type_, shape_.D);
  blocks_ = kernels::QuantBlocks(shape_.D);
  int_queries_ = arena.Take<int32_t>(most_strips_ * bands_ * words_ * lanes_);
  query_scales_ = arena.Take(most_strips_ * bands_ * blocks_ * lanes_);
  int_keys_.words = arena.Take<int32_t>(stores * kTile * words_);
  int_keys_.scales = arena.Take(stores * kTile * blocks_);
  int_keys_.starts = arena.Take<int32_t>(stores * kTile * blocks_);
  int_values_ = arena.Take<int32_t>(kTile / 2 * shape_.ValueWidth());
  value_scales_ = arena.Take(kTile);
  int_weights_ = arena.Take<int32_t>(kTile / 2 * lanes_);
  scaled_ = arena.Take(most_strips_ * lanes_);
}

kernels::StripState StripWorker::State(int64_t s) const {
  const int64_t at = s * lanes_;
  return {.top = top_ + at,
          .limit = limit_ + at,
          .part = part_ + at,
          .sum = sum_ + at,
          .output = output_ + at * shape_.ValueWidth(),
          .width = shape_.ValueWidth(),
          .scaled = ints_ ? scaled_ + at : nullptr};
}

void StripWorker::Run(const Share& share) {
  Begin(share);
  if (const LayerMemories* memories = share.memories) {
    for (const MemoryPart& part : memories->parts) {
      share_.memory = &part;
      AddKeys();
    }
    share_.memory = nullptr;
    // To raise the scores so far is to raise what was subtracted from them.
    const float bias = MemoryBias(*memories);
    const auto lanes = static_cast<int64_t>(strips_.size()) * lanes_;
    for (int64_t l = 0; l < lanes; ++l) top_[l] += bias;
  }
  AddKeys();
  Write();
}

void StripWorker::AddKeys() {
  Enter();
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = 0;
  for (const BandView& view : views_) {
    const Bounds bounds =
        BoundsOf(view, share_.Id(0), share_.Id(share_.tokens() - 1));
    first = std::min(first, bounds.any.first);
    last = std::max(last, bounds.any.last);
  }
  for (int64_t tile = first / kTile; tile * kTile < last; ++tile) {
    bool any = false;
    for (size_t s = 0; s < strips_.size(); ++s) {
      Score(static_cast<int64_t>(s), tile);
      if (ints_) {
        WeighInts(static_cast<int64_t>(s));
        continue;
      }
      kernels::FoldStrip(State(static_cast<int64_t>(s)));
      any = any || !strips_[s].runs.empty();
    }
    if (any) Weigh(tile);
  }
}

void StripWorker::Begin(const Share& share) {
  share_ = share;
  const int64_t group = shape_.Group();
  const int64_t rows = share.tokens() * group;
  strips_.resize(static_cast<size_t>((rows + lanes_ - 1) / lanes_));
  for (size_t s = 0; s < strips_.size(); ++s) {
    const auto number = static_cast<int64_t>(s);
    Strip& strip = strips_[s];
    strip.first_token = number * lanes_ / group;
    strip.last_token = (std::min(rows, (number + 1) * lanes_) - 1) / group;
    strip.rotated.assign(static_cast<size_t>(bands_), false);
    kernels::ClearStrip(State(number));
  }
}

void StripWorker::Enter() {
  views_ = BandViewsOf(attention_, share_);
  origin_ = views_.empty() ? 0 : views_.front().Seen(share_.Id(0)).last;
  std::fill(unpacked_.begin(), unpacked_.end(), -1);
  packed_values_ = -1;
  for (size_t s = 0; s < strips_.size(); ++s) {
    Strip& strip = strips_[s];
    strip.bounds.clear();
    for (size_t v = 0; v < views_.size(); ++v) {
      strip.bounds.push_back(BoundsOf(views_[v], share_.Id(strip.first_token),
                                      share_.Id(strip.last_token)));
      FillLimits(static_cast<int64_t>(s), v);
    }
  }
}

const int32_t* StripWorker::Firsts(int64_t s, size_t view) const {
  return limits_ +
         (s * MostViews(attention_) + static_cast<int64_t>(view)) * 2 * lanes_;
}

void StripWorker::FillLimits(int64_t s, size_t view) {
  auto* first = const_cast<int32_t*>(Firsts(s, view));
  const auto from_origin = [&](int64_t slot) {
    constexpr int64_t kFar = int64_t{1} << 30;
    return static_cast<int32_t>(std::clamp(slot - origin_, -kFar, kFar));
  };
  const int64_t rows = share_.tokens() * shape_.Group();
  int64_t token = -1;
  position::KeyRange seen;
  for (int64_t l = 0; l < lanes_; ++l) {
    // Lanes behind the last row repeat it.
    const int64_t row = std::min(rows - 1, s * lanes_ + l);
    if (row / shape_.Group() != token) {
      token = row / shape_.Group();
      seen = views_[view].Seen(share_.Id(token));
    }
    first[l] = from_origin(seen.first);
    first[lanes_ + l] = from_origin(seen.last);
  }
}

// Queries [D, lanes] of a strip, rotated for a band. In integers they are only
// the way to IntPieceOf's.
const float* StripWorker::Queries(int64_t s, int64_t band) {
  const int64_t D = shape_.D;
  float* queries = queries_ + (ints_ ? 0 : s * bands_ + band) * D * lanes_;
  Strip& strip = strips_[static_cast<size_t>(s)];
  if (strip.rotated[static_cast<size_t>(band)]) return queries;
  strip.rotated[static_cast<size_t>(band)] = true;
  const int64_t rows =
      std::min(lanes_, share_.tokens() * shape_.Group() - s * lanes_);
  std::fill_n(rows_, lanes_ * D, 0.0f);
  RotateQueries(attention_, share_, band, head_scale_, s * lanes_, rows, rows_);
  if (kernels::StoresQuants(type_) && !ints_) {
    kernels::RoundQueries(rows_, rows, D);
  }
  kernels::Transpose(rows_, D, lanes_, D, queries, lanes_);
  return queries;
}

const float* StripWorker::Keys(int64_t store, int64_t tile) {
  const void* stored = share_.KeyPanels(store, tile);
  if (type_ == DType::kF32) return static_cast<const float*>(stored);
  float* keys = keys_ + store * kTile * shape_.D;
  auto& unpacked = unpacked_[static_cast<size_t>(store)];
  if (unpacked != tile) {
    kernels::UnpackPanels(type_, stored, kTile / kernels::kKeyPanel, shape_.D,
                          keys);
    unpacked = tile;
  }
  return keys;
}

kernels::IntPiece StripWorker::IntPieceOf(int64_t s, size_t view,
                                          int64_t tile) {
  const BandView& band_view = views_[view];
  const int64_t at = (s * bands_ + band_view.band) * lanes_;
  int32_t* queries = int_queries_ + at * words_;
  float* scales = query_scales_ + at * blocks_;
  if (!strips_[static_cast<size_t>(s)]
           .rotated[static_cast<size_t>(band_view.band)]) {
    kernels::PackIntQueries(type_, Queries(s, band_view.band), shape_.D,
                            queries, scales);
  }
  const int64_t first = band_view.store * kTile;
  const kernels::IntKeys keys{.words = int_keys_.words + first * words_,
                              .scales = int_keys_.scales + first * blocks_,
                              .starts = int_keys_.starts + first * blocks_};
  auto& packed = unpacked_[static_cast<size_t>(band_view.store)];
  if (packed != tile) {
    packed = tile;
    kernels::PackIntKeys(type_, share_.KeyPanels(band_view.store, tile),
                         kTile / kernels::kKeyPanel, shape_.D, keys);
  }
  return {.queries = queries,
          .query_scales = scales,
          .keys = keys,
          .first = Firsts(s, view),
          .last = Firsts(s, view) + lanes_};
}

// Neighbouring blocks that lie in one band alone are scored as one run.
void StripWorker::Score(int64_t s, int64_t tile) {
  Strip& strip = strips_[static_cast<size_t>(s)];
  strip.runs.clear();
  const int64_t first_slot = tile * kTile;
  const auto piece_of = [&](size_t v) {
    return kernels::StripPiece{.queries = Queries(s, views_[v].band),
                               .keys = Keys(views_[v].store, tile),
                               .first = Firsts(s, v),
                               .last = Firsts(s, v) + lanes_};
  };
  kernels::StripPiece pieces[16];
  kernels::IntPiece int_pieces[16];
  const auto score_ints = [&](int64_t count, bool whole, int64_t begin,
                              int64_t end) {
    PackValues(tile);
    kernels::IntScores({.type = type_,
                        .pieces = int_pieces,
                        .piece_count = count,
                        .whole = whole,
                        .begin = begin,
                        .end = end,
                        .offset = static_cast<int32_t>(first_slot - origin_),
                        .D = shape_.D,
                        .softcap = SoftCapOf(shape_),
                        .value_scales = value_scales_,
                        .weights = Weights(s),
                        .state = State(s)});
  };
  const auto score_floats = [&](int64_t count, bool whole, int64_t begin,
                                int64_t end) {
    kernels::StripScores({.pieces = pieces,
                          .piece_count = count,
                          .whole = whole,
                          .begin = begin,
                          .end = end,
                          .offset = static_cast<int32_t>(first_slot - origin_),
                          .D = shape_.D,
                          .softcap = SoftCapOf(shape_),
                          .weights = Weights(s),
                          .state = State(s)});
  };
  const auto score = [&](int64_t count, bool whole, int64_t begin,
                         int64_t end) {
    if (ints_) {
      score_ints(count, whole, begin, end);
    } else {
      score_floats(count, whole, begin, end);
    }
    if (!strip.runs.empty() && strip.runs.back().last == begin) {
      strip.runs.back().last = end;
    } else {
      strip.runs.push_back({begin, end});
    }
  };
  for (int64_t key = 0; key < kTile;) {
    int64_t end = key + kernels::kKeyBlock;
    int64_t count = 0;
    bool whole = false;
    size_t only = 0;
    for (size_t v = 0; v < views_.size() && !whole; ++v) {
      const Bounds& bounds = strip.bounds[v];
      if (!bounds.Touches(first_slot + key, first_slot + end)) continue;
      whole = bounds.Covers(first_slot + key, first_slot + end);
      ROPEWALK_CHECK(count < 16);
      if (ints_) {
        int_pieces[count++] = IntPieceOf(s, v, tile);
      } else {
        pieces[count++] = piece_of(v);
      }
      only = v;
    }
    if (count == 1 && whole) {
      // The run ends where the view ends or an earlier view begins.
      while (end < kTile &&
             strip.bounds[only].Covers(first_slot + end,
                                       first_slot + end + kernels::kKeyBlock)) {
        bool touched = false;
        for (size_t v = 0; v < only; ++v) {
          touched = touched || strip.bounds[v].Touches(
                                   first_slot + end,
                                   first_slot + end + kernels::kKeyBlock);
        }
        if (touched) break;
        end += kernels::kKeyBlock;
      }
    }
    if (count > 0) score(count, count == 1 && whole, key, end);
    key = end;
  }
}

void StripWorker::PackValues(int64_t tile) {
  if (packed_values_ == tile) return;
  packed_values_ = tile;
  const int64_t columns = shape_.ValueWidth();
  const int64_t filled = std::min(kTile, share_.FilledSlots() - tile * kTile);
  kernels::UnpackValues(type_, share_.Values(tile, 0), kTile, columns, filled,
                        values_);
  kernels::PackIntValues(values_, filled, kTile, columns, int_values_,
                         value_scales_);
}

// All runs of a tile are one sum of integers, with weights of 0 between them.
// So the bits of a query do not depend on which blocks its neighbours see.
void StripWorker::WeighInts(int64_t s) {
  const Strip& strip = strips_[static_cast<size_t>(s)];
  if (strip.runs.empty()) return;
  const kernels::StripState state = State(s);
  const int64_t columns = shape_.ValueWidth();
  const int64_t begin = strip.runs.front().first;
  int64_t end = begin;
  const auto words = [&](int64_t key) {
    return int_weights_ + (key - begin) / 2 * lanes_;
  };
  for (const position::KeyRange& run : strip.runs) {
    std::fill(words(end), words(run.first), 0);
    kernels::PackIntWeights(Weights(s) + run.first * lanes_,
                            run.last - run.first, state, words(run.first));
    end = run.last;
  }
  kernels::IntValues({.values = int_values_ + begin / 2 * columns,
                      .weights = int_weights_,
                      .keys = end - begin,
                      .columns = columns,
                      .state = state});
  kernels::FoldStrip(state);
}

void StripWorker::Weigh(int64_t tile) {
  // Behind the last token a tile holds old rows, which must not be read.
  const int64_t filled = std::min(kTile, share_.FilledSlots() - tile * kTile);
  for (int64_t block = 0; block < shape_.ValueBlocks(); ++block) {
    const int64_t columns = shape_.BlockWidth(block);
    const void* stored = share_.Values(tile, block);
    const auto* values = static_cast<const float*>(stored);
    if (type_ != DType::kF32) {
      kernels::UnpackValues(type_, stored, kTile, columns, filled, values_);
      values = values_;
    }
    for (size_t s = 0; s < strips_.size(); ++s) {
      const auto number = static_cast<int64_t>(s);
      for (const position::KeyRange& run : strips_[s].runs) {
        kernels::StripValues(
            {.values = values + run.first * columns,
             .stride = columns,
             .weights = Weights(number) + run.first * lanes_,
             .keys = std::min(run.last, filled) - run.first,
             .columns = columns,
             .output = State(number).output + block * kValueBlock * lanes_});
      }
    }
  }
}

void StripWorker::Write() {
  const int64_t group = shape_.Group();
  const int64_t width = shape_.ValueWidth();
  for (size_t s = 0; s < strips_.size(); ++s) {
    const auto number = static_cast<int64_t>(s);
    const kernels::StripState state = State(number);
    const int64_t rows =
        std::min(lanes_, share_.tokens() * group - number * lanes_);
    for (int64_t block = 0; block < shape_.ValueBlocks(); ++block) {
      const int64_t columns = shape_.BlockWidth(block);
      kernels::Transpose(state.output + block * kValueBlock * lanes_, lanes_,
                         columns, lanes_, rows_, columns);
      for (int64_t l = 0; l < rows; ++l) {
        const int64_t row = number * lanes_ + l;
        const int64_t head = share_.g * group + row % group;
        float* out = share_.slice->output +
                     ((share_.begin + row / group) * shape_.H + head) * width +
                     block * kValueBlock;
        // A query normally sees at least itself. If a custom stack masks every
        // key, the sum is 0 and the output row is 0. NaN propagates.
        const float factor =
            OutputFactor(share_, head, state.top[l], state.sum[l]);
        for (int64_t d = 0; d < columns; ++d) {
          out[d] = rows_[l * columns + d] * factor;
        }
      }
    }
  }
}

}  // namespace ropewalk::attention
