#include "attention/serving/attention.h"

#include <algorithm>
#include <string>
#include <utility>

#include "attention/serving/row_worker.h"
#include "attention/serving/share.h"
#include "attention/serving/strip_worker.h"
#include "base/error.h"

namespace ropewalk::attention {
namespace {

// For each worker, so that all finish at about the same time.
constexpr int64_t kTasksOfWorker = 4;

// The number of tokens of a slice that are not padding.
int64_t RealTokens(const QuerySlice& slice) {
  return std::min(slice.T, slice.store->size());
}

// The tasks of a call. Tasks of rows may be parts of a store; the parts for one
// range of queries are neighbours in `rows`.
struct Tasks {
  std::vector<Share> strips;
  std::vector<Share> rows;
  std::vector<size_t> row_groups;  // where in `rows` a range begins
  int64_t partials = 0;
};

// Adds the slots that a share sees of its store, or of its memory, in parts.
void AddSlots(const BandedAttention& attention, Share share, DType type,
              Tasks& tasks) {
  int64_t first = share.FilledSlots();
  int64_t last = 0;
  for (const BandView& view : BandViewsOf(attention, share)) {
    const Bounds bounds =
        BoundsOf(view, share.Id(0), share.Id(share.tokens() - 1));
    first = std::min(first, bounds.any.first);
    last = std::max(last, bounds.any.last);
  }
  const int64_t step = PartSlots(attention.shape(), type);
  const int64_t begin = first / step;
  const int64_t end = std::max(begin + 1, (last + step - 1) / step);
  for (int64_t part = begin; part < end; ++part) {
    share.first_slot = part * step;
    share.last_slot = (part + 1) * step;
    const int64_t from = std::max(first, share.first_slot);
    share.reads = from < last ? share.Values(from / kTile, 0) : nullptr;
    tasks.rows.push_back(share);
  }
}

void AddRows(const BandedAttention& attention, Share share, DType type,
             Tasks& tasks) {
  const size_t begin = tasks.rows.size();
  tasks.row_groups.push_back(begin);
  if (share.memories != nullptr) {
    for (const MemoryPart& part : share.memories->parts) {
      share.memory = &part;
      AddSlots(attention, share, type, tasks);
    }
    share.memory = nullptr;
  }
  AddSlots(attention, share, type, tasks);
  if (tasks.rows.size() == begin + 1) return;
  for (size_t at = begin; at < tasks.rows.size(); ++at) {
    tasks.rows[at].part = tasks.partials++;
  }
}

}  // namespace

void AttentionScratch::Prepare(int64_t workers, int64_t floats) {
  floats_ = (floats + 15) / 16 * 16;  // every worker's part stays aligned
  buffer_.EnsureSize(workers * floats_);
}

float* AttentionScratch::Shared(int64_t floats) {
  shared_.EnsureSize(floats);
  return shared_.data();
}

BandedAttention::BandedAttention(position::Plan plan, const HeadShape& shape)
    : plan_(std::make_shared<const position::Plan>(std::move(plan))),
      shape_(shape) {
  Require(!plan_->bands.empty(), "attention: a plan needs at least one band");
  for (const position::FrequencyTable& table : plan_->tables) {
    Require(2 * static_cast<int64_t>(table.frequencies.size()) <= shape.D,
            "attention: " + std::to_string(table.frequencies.size()) +
                " rotary pairs do not fit heads of width " +
                std::to_string(shape.D));
  }
  Validate(shape_);
  key_stores_ = static_cast<int64_t>(plan_->KeyStores(&store_of_).size());
  reach_ = plan_->Reach();
}

void BandedAttention::Attend(std::span<const QuerySlice> slices,
                             const float* head_scale, ParallelFor& threads,
                             AttentionScratch& scratch) const {
  if (slices.empty()) return;
  const DType type = slices.front().store->type();
  const size_t bands = plan_->bands.size();
  std::vector<RotationRows> rows(slices.size() * (bands + 1));
  Tasks tasks;
  for (size_t s = 0; s < slices.size(); ++s) {
    const QuerySlice& slice = slices[s];
    if (slice.T == 0) continue;
    const int64_t first = slice.store->size() - slice.T;
    ROPEWALK_CHECK(slice.store->type() == type);
    ROPEWALK_CHECK(slice.tables->first() == first + slice.store->frame() &&
                   slice.tables->size() >= slice.T);
    for (size_t b = 0; b < bands; ++b) {
      const position::Band& band = plan_->bands[b];
      rows[s * (bands + 1) + b] = slice.tables->Get(
          band.query, plan_->tables[static_cast<size_t>(band.table)]);
    }
    if (slice.memories != nullptr) {
      ROPEWALK_CHECK(slice.memories->type == type);
      // The tables count slots, and memories stand before the text's first id:
      // tokens that were taken out leave no gap.
      position::PositionMap query = slice.memories->query;
      query.offset -= query.scale * static_cast<double>(slice.store->frame());
      rows[s * (bands + 1) + bands] =
          slice.tables->Get(query, slice.memories->table);
    }
    const int64_t padding = slice.T - RealTokens(slice);
    std::fill_n(slice.output, padding * shape_.H * shape_.ValueWidth(), 0.0f);
    const bool few = RealTokens(slice) <= RowTokens(shape_);
    const int64_t tokens =
        few ? RowTokens(shape_) : StripWorker::Tokens(shape_, type);
    // Tokens before this one see no memories, so no share holds both.
    const int64_t alone =
        slice.memories == nullptr ? slice.T : slice.memories->from - first;
    for (int64_t begin = padding; begin < slice.T;) {
      int64_t end = std::min(slice.T, begin + tokens);
      if (begin < alone) end = std::min(end, alone);
      for (int64_t g = 0; g < shape_.G; ++g) {
        Share share{.slice = &slice,
                    .memories = begin < alone ? nullptr : slice.memories,
                    .rows = std::span(rows).subspan(s * (bands + 1), bands + 1),
                    .g = g,
                    .begin = begin,
                    .end = end};
        share.cost = (std::min(first + end, reach_) + share.MemoryTokens()) *
                     (end - begin);
        if (few) {
          AddRows(*this, share, type, tasks);
        } else {
          tasks.strips.push_back(share);
        }
      }
      begin = end;
    }
  }
  // Because attention is causal, shares differ in cost. The most expensive ones
  // go first, so that all workers finish at about the same time.
  std::stable_sort(
      tasks.strips.begin(), tasks.strips.end(),
      [](const Share& a, const Share& b) { return a.cost > b.cost; });
  Arena count(nullptr);
  if (!tasks.strips.empty()) StripWorker(*this, type, head_scale, count);
  Arena row_count(nullptr);
  RowWorker(*this, type, head_scale, row_count);
  scratch.Prepare(threads.workers(), std::max(count.used(), row_count.used()));
  threads.Run(static_cast<int64_t>(tasks.strips.size()),
              [&](int64_t at, int64_t worker) {
                Arena arena(scratch.For(worker));
                StripWorker(*this, type, head_scale, arena)
                    .Run(tasks.strips[static_cast<size_t>(at)]);
              });
  const int64_t step = PartialFloats(shape_);
  float* partials = scratch.Shared(tasks.partials * step);
  const std::vector<std::vector<size_t>> row_tasks =
      TasksOf(tasks.rows, kTasksOfWorker * threads.workers());
  threads.Run(
      static_cast<int64_t>(row_tasks.size()), [&](int64_t at, int64_t worker) {
        Arena arena(scratch.For(worker));
        RowWorker rows_of(*this, type, head_scale, arena);
        for (const size_t i : row_tasks[static_cast<size_t>(at)]) {
          const Share& share = tasks.rows[i];
          rows_of.Run(share,
                      share.part < 0 ? nullptr : partials + share.part * step);
        }
      });
  tasks.row_groups.push_back(tasks.rows.size());
  for (size_t group = 0; group + 1 < tasks.row_groups.size(); ++group) {
    const size_t begin = tasks.row_groups[group];
    const auto parts =
        static_cast<int64_t>(tasks.row_groups[group + 1] - begin);
    if (parts == 1) continue;
    const Share& share = tasks.rows[begin];
    RowWorker::Merge(shape_, share, partials + share.part * step, parts);
  }
}

}  // namespace ropewalk::attention
