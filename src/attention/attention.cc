#include "attention/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "kernels/cpu/kernels.h"

namespace ropewalk::attention {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Rows of a query tile: enough to keep the matrix product busy, few enough
// that queries, scores and outputs of a tile stay in the caches.
constexpr int64_t kTileRows = 64;

}  // namespace

void AttentionScratch::Prepare(int64_t workers, int64_t floats) {
  floats_ = (floats + 15) / 16 * 16;  // every worker's part stays aligned
  buffer_.EnsureSize(workers * floats_);
}

// Tokens [begin, end) of a slice, for one key head and some of the column
// blocks of its values.
struct BandedAttention::Task {
  const QuerySlice* slice = nullptr;
  int64_t g = 0;
  int64_t first_block = 0;
  int64_t last_block = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t cost = 0;  // keys seen, about
};

// Keys [first, last) of one tile.
struct BandedAttention::Tile {
  int64_t number = 0;
  int64_t first = 0;
  int64_t last = 0;

  position::KeyRange Clip(const position::KeyRange& keys) const {
    return {std::clamp(keys.first, first, last),
            std::clamp(keys.last, first, last)};
  }
};

// One worker's share: a task at a time, tile after tile.
class BandedAttention::Worker {
 public:
  static int64_t ScratchFloats(const BandedAttention& attention,
                               int64_t tokens) {
    const int64_t rows = attention.shape_.Group() * tokens;
    const auto bands = static_cast<int64_t>(attention.plan_.bands.size());
    const int64_t D = attention.shape_.D;
    const int64_t width = attention.shape_.ValueWidth();
    // queries by band, two score tiles, output, maxima, sums (as doubles)
    return rows * (bands * D + 2 * kTile + width + 1 + 2) + 64;
  }

  Worker(const BandedAttention& attention, const Task& task,
         const float* head_scale, std::span<const RotationRows> band_rows,
         float* scratch)
      : plan_(attention.plan_),
        attention_(attention),
        shape_(attention.shape_),
        slice_(*task.slice),
        g_(task.g),
        first_block_(task.first_block),
        last_block_(task.last_block),
        first_column_(first_block_ * kValueBlock),
        width_(std::min(last_block_ * kValueBlock, shape_.ValueWidth()) -
               first_column_),
        begin_(task.begin),
        tokens_(task.end - task.begin),
        rows_(shape_.Group() * tokens_),
        head_scale_(head_scale),
        band_rows_(band_rows),
        ready_(plan_.bands.size(), false) {
    const auto take = [&](int64_t floats) {
      float* part = scratch;
      scratch += (floats + 1) / 2 * 2;
      return part;
    };
    const auto bands = static_cast<int64_t>(plan_.bands.size());
    sums_ = reinterpret_cast<double*>(take(2 * rows_));
    queries_ = take(bands * rows_ * shape_.D);
    scores_ = take(rows_ * kTile);
    other_ = take(rows_ * kTile);
    output_ = take(rows_ * width_);
    maxima_ = take(rows_);
    std::fill_n(output_, rows_ * width_, 0.0f);
    std::fill_n(maxima_, rows_, kMasked);
    std::fill_n(sums_, rows_, 0.0);
  }

  void Run() {
    const int64_t last = Id(tokens_ - 1);
    int64_t lowest = last;
    for (const position::Band& band : plan_.bands) {
      lowest = std::min(lowest, band.selector.KeysOf(Id(0)).first);
    }
    lowest = std::max<int64_t>(0, lowest) / kTile * kTile;
    for (int64_t first = lowest; first <= last; first += kTile) {
      const Tile tile{first / kTile, first, std::min(first + kTile, last + 1)};
      if (Score(tile)) Accumulate(tile);
    }
    Write();
  }

 private:
  // Id of the task's token t; never negative, padding is not in any task.
  int64_t Id(int64_t t) const {
    return slice_.store->size() - slice_.T + begin_ + t;
  }

  // Row r of the tile: head r / tokens of the group, token r % tokens.
  int64_t TokenOf(int64_t row) const { return row % tokens_; }

  // Fills scores_ for the tile; false when the tile is masked altogether.
  // Columns behind the last key are masked too, so that softmax adds up the
  // same lanes however the tokens were cut into chunks.
  bool Score(const Tile& tile) {
    if (!ScoreKeys(tile)) return false;
    const int64_t columns = tile.last - tile.first;
    for (int64_t r = 0; r < rows_ && columns < kTile; ++r) {
      std::fill(scores_ + r * kTile + columns, scores_ + (r + 1) * kTile,
                kMasked);
    }
    return true;
  }

  bool ScoreKeys(const Tile& tile) {
    // Intervals move forward with the query, so the first and the last query
    // bound them all.
    const int64_t id_first = Id(0);
    const int64_t id_last = Id(tokens_ - 1);
    touched_.clear();
    bool whole = false;
    for (size_t b = 0; b < plan_.bands.size() && !whole; ++b) {
      const position::Selector& selector = plan_.bands[b].selector;
      const position::KeyRange of_first = selector.KeysOf(id_first);
      const position::KeyRange of_last = selector.KeysOf(id_last);
      const position::KeyRange all = tile.Clip({of_first.first, of_last.last});
      if (all.first >= all.last) continue;
      whole = of_last.first <= tile.first && of_first.last >= tile.last &&
              tile.last <= id_first + 1;
      touched_.push_back({b, all});
    }
    if (touched_.empty()) return false;
    if (touched_.size() == 1) {
      Product(touched_.front().band, tile, tile.first, tile.last, scores_);
      if (!whole) MaskOutside(touched_.front().band, tile);
      return true;
    }
    // The first band that selects a pair decides it, so it is written last.
    const int64_t columns = tile.last - tile.first;
    for (int64_t r = 0; r < rows_; ++r) {
      std::fill_n(scores_ + r * kTile, columns, kMasked);
    }
    for (auto touched = touched_.rbegin(); touched != touched_.rend();
         ++touched) {
      Product(touched->band, tile, touched->keys.first, touched->keys.last,
              other_);
      Select(touched->band, tile);
    }
    return true;
  }

  // Scores of keys [first, last) under one band, at their columns of `out`.
  void Product(size_t band, const Tile& tile, int64_t first, int64_t last,
               float* out) {
    if (!ready_[band]) RotateQueries(band);
    const int64_t column = first - tile.first;
    const float* keys =
        slice_.store->KeyTile(attention_.store_of_[band], tile.number, g_);
    kernels::Gemm({.a = QueriesOf(band),
                   .b = keys + column,
                   .c = out + column,
                   .rows = rows_,
                   .columns = last - first,
                   .depth = shape_.D,
                   .a_stride = shape_.D,
                   .b_stride = kTile,
                   .c_stride = kTile});
  }

  // Keys of the tile that row r's query sees through `band`.
  position::KeyRange Seen(size_t band, const Tile& tile, int64_t row) const {
    const int64_t id = Id(TokenOf(row));
    position::KeyRange keys = plan_.bands[band].selector.KeysOf(id);
    keys.last = std::min(keys.last, id + 1);
    return tile.Clip(keys);
  }

  void MaskOutside(size_t band, const Tile& tile) {
    for (int64_t r = 0; r < rows_; ++r) {
      const position::KeyRange keys = Seen(band, tile, r);
      float* row = scores_ + r * kTile - tile.first;
      std::fill(row + tile.first, row + std::max(tile.first, keys.first),
                kMasked);
      std::fill(row + std::max(keys.first, keys.last), row + tile.last,
                kMasked);
    }
  }

  void Select(size_t band, const Tile& tile) {
    for (int64_t r = 0; r < rows_; ++r) {
      const position::KeyRange keys = Seen(band, tile, r);
      if (keys.first >= keys.last) continue;
      const int64_t at = r * kTile + keys.first - tile.first;
      std::copy_n(other_ + at, keys.last - keys.first, scores_ + at);
    }
  }

  float* QueriesOf(size_t band) const {
    return queries_ + static_cast<int64_t>(band) * rows_ * shape_.D;
  }

  // The band's rotation, the scale of the query and 1/sqrt(D) at once.
  void RotateQueries(size_t band) {
    const RotationRows& rows = band_rows_[band];
    const double width = 1 / std::sqrt(static_cast<double>(shape_.D));
    for (int64_t t = 0; t < tokens_; ++t) {
      const double scale = width * plan_.scale(Id(t));
      const int64_t row = begin_ + t;
      for (int64_t h = 0; h < shape_.Group(); ++h) {
        const int64_t head = g_ * shape_.Group() + h;
        const double learned = head_scale_ == nullptr ? 1 : head_scale_[head];
        kernels::Rotate(
            {.x = slice_.queries + (row * shape_.H + head) * shape_.D,
             .y = QueriesOf(band) + (h * tokens_ + t) * shape_.D,
             .heads = 1,
             .D = shape_.D,
             .pairs = rows.pairs,
             .cos = rows.cos + row * rows.stride,
             .sin = rows.sin + row * rows.stride,
             .scale = static_cast<float>(scale * learned)});
      }
    }
    ready_[band] = true;
  }

  void Accumulate(const Tile& tile) {
    kernels::OnlineSoftmax({.scores = scores_,
                            .running_max = maxima_,
                            .running_sum = sums_,
                            .output = output_,
                            .rows = rows_,
                            .columns = kTile,
                            .width = width_,
                            .scores_stride = kTile,
                            .output_stride = width_});
    for (int64_t block = first_block_; block < last_block_; ++block) {
      const int64_t columns = shape_.BlockWidth(block);
      kernels::Gemm({.a = scores_,
                     .b = slice_.store->ValueTile(tile.number, g_, block),
                     .c = output_ + block * kValueBlock - first_column_,
                     .rows = rows_,
                     .columns = columns,
                     .depth = tile.last - tile.first,
                     .a_stride = kTile,
                     .b_stride = columns,
                     .c_stride = width_,
                     .accumulate = true});
    }
  }

  void Write() {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t head = g_ * shape_.Group() + r / tokens_;
      const int64_t row = begin_ + TokenOf(r);
      float* out = slice_.output +
                   (row * shape_.H + head) * shape_.ValueWidth() +
                   first_column_;
      // A row always sees itself in every scheme but an odd stack's; nothing
      // seen gives zeros. A NaN is kept.
      const auto factor =
          static_cast<float>(sums_[r] == 0 ? 0.0 : 1 / sums_[r]);
      for (int64_t d = 0; d < width_; ++d) {
        out[d] = output_[r * width_ + d] * factor;
      }
    }
  }

  struct Touched {
    size_t band = 0;
    position::KeyRange keys;
  };

  const position::Plan& plan_;
  const BandedAttention& attention_;
  const HeadShape& shape_;
  const QuerySlice& slice_;
  const int64_t g_;
  const int64_t first_block_;
  const int64_t last_block_;
  const int64_t first_column_;  // of the values
  const int64_t width_;         // columns of the values
  const int64_t begin_;
  const int64_t tokens_;
  const int64_t rows_;
  const float* head_scale_;
  std::span<const RotationRows> band_rows_;
  std::vector<bool> ready_;  // queries rotated for the band
  std::vector<Touched> touched_;
  double* sums_ = nullptr;    // [rows]
  float* queries_ = nullptr;  // [bands, rows, D]
  float* scores_ = nullptr;   // [rows, kTile]
  float* other_ = nullptr;    // [rows, kTile]
  float* output_ = nullptr;   // [rows, width]
  float* maxima_ = nullptr;   // [rows]
};

BandedAttention::BandedAttention(position::Plan plan, const HeadShape& shape)
    : plan_(std::move(plan)), shape_(shape) {
  Require(!plan_.bands.empty(), "attention: a plan needs at least one band");
  for (const position::FrequencyTable& table : plan_.tables) {
    Require(2 * static_cast<int64_t>(table.frequencies.size()) <= shape.D,
            "attention: " + std::to_string(table.frequencies.size()) +
                " rotary pairs do not fit heads of width " +
                std::to_string(shape.D));
  }
  Validate(shape_);
  plan_.KeyStores(&store_of_);
  reach_ = plan_.Reach();
}

// One query of one wide head (decoding with a gated attention unit) would keep
// one worker busy, so that workers share the columns of its values. Each forms
// the scores again: D columns of work beside the ValueWidth() that they share.
int64_t BandedAttention::ValueParts(std::span<const QuerySlice> slices,
                                    int64_t tokens, int64_t workers) const {
  int64_t tasks = 0;
  for (const QuerySlice& slice : slices) {
    tasks += (slice.T + tokens - 1) / tokens * shape_.G;
  }
  if (tasks == 0 || shape_.ValueWidth() <= shape_.D) return 1;
  return std::clamp<int64_t>(workers / tasks, 1, shape_.ValueBlocks());
}

void BandedAttention::Attend(std::span<const QuerySlice> slices,
                             const float* head_scale, ParallelFor& threads,
                             AttentionScratch& scratch) const {
  const int64_t tokens = std::max<int64_t>(1, kTileRows / shape_.Group());
  const size_t bands = plan_.bands.size();
  const int64_t parts = ValueParts(slices, tokens, threads.workers());
  std::vector<RotationRows> rows;  // [slices, bands]
  std::vector<Task> tasks;
  for (const QuerySlice& slice : slices) {
    const int64_t first = slice.store->size() - slice.T;
    ROPEWALK_CHECK(slice.T == 0 || (slice.tables->first() == first &&
                                    slice.tables->size() >= slice.T));
    for (const position::Band& band : plan_.bands) {
      rows.push_back(slice.tables->Get(
          band.query, plan_.tables[static_cast<size_t>(band.table)]));
    }
    const int64_t padding = std::min(slice.T, std::max<int64_t>(0, -first));
    std::fill_n(slice.output, padding * shape_.H * shape_.ValueWidth(), 0.0f);
    for (int64_t begin = padding; begin < slice.T; begin += tokens) {
      const int64_t end = std::min(slice.T, begin + tokens);
      const int64_t cost = std::min(first + end, reach_) * (end - begin);
      for (int64_t g = 0; g < shape_.G; ++g) {
        for (int64_t part = 0; part < parts; ++part) {
          const int64_t blocks = shape_.ValueBlocks();
          tasks.push_back({&slice, g, part * blocks / parts,
                           (part + 1) * blocks / parts, begin, end, cost});
        }
      }
    }
  }
  // Causal tiles differ in cost; the costly ones go first, so that the workers
  // end together.
  std::stable_sort(
      tasks.begin(), tasks.end(),
      [](const Task& a, const Task& b) { return a.cost > b.cost; });
  scratch.Prepare(threads.workers(), Worker::ScratchFloats(*this, tokens));
  threads.Run(static_cast<int64_t>(tasks.size()), [&](int64_t at,
                                                      int64_t worker) {
    const Task& task = tasks[static_cast<size_t>(at)];
    const auto slice = static_cast<size_t>(task.slice - slices.data());
    Worker(*this, task, head_scale,
           std::span(rows).subspan(slice * bands, bands), scratch.For(worker))
        .Run();
  });
}

}  // namespace ropewalk::attention
