// Strips of queries and tiles of keys in the form of kernels/cpu/strip.h.
//
// A strip is StripLanes() neighbouring queries of one head. A StripView
// determines once for each strip which pieces show it which keys, as runs of
// whole key blocks. Within a run either one piece shows every key to every
// query, or a few pieces are tested for each pair. So a scheme with two bands
// costs as much as one band, except in the few blocks that its border crosses.

#ifndef ROPEWALK_ATTENTION_TRAINING_STRIP_H_
#define ROPEWALK_ATTENTION_TRAINING_STRIP_H_

#include <cstdint>
#include <vector>

#include "attention/training/masked_plan.h"
#include "attention/training/tile.h"
#include "base/aligned.h"
#include "kernels/cpu/strip.h"

namespace ropewalk::attention {

// A run of keys that the same pieces show to a strip.
struct KeyRun {
  position::KeyRange keys;  // whole key blocks; may pass the last key
  std::vector<int64_t> pieces;
  bool whole = false;  // the first piece shows every key to every query
};

class StripView {
 public:
  // Sets the queries to [begin, begin + rows), where rows is at most the lanes
  // of a strip. Lanes beyond them see the same keys as the last query.
  StripView(const MaskedPlan& masked, const Sight& sight, int64_t begin,
            int64_t rows);

  // In the order of the keys; the strip sees no keys between runs.
  const std::vector<KeyRun>& runs() const { return runs_; }

  // Lane l sees the keys [First(piece)[l], Last(piece)[l]), which may be empty.
  const int32_t* First(int64_t piece) const {
    return ends_.data() + 2 * piece * lanes_;
  }
  const int32_t* Last(int64_t piece) const { return First(piece) + lanes_; }

 private:
  int64_t lanes_;
  AlignedBuffer<int32_t> ends_;  // [pieces, 2, lanes]
  std::vector<KeyRun> runs_;
};

// Packs the queries of a strip under a turn for the kernels: [D, lanes] to
// `strip` and [lanes, D] to `rows`, scaled so that scores are logarithms to
// base
// 2. Lanes beyond `count` are 0.
void PackQueries(const TrainingCall& call, int64_t turn, int64_t b, int64_t h,
                 int64_t begin, int64_t count, float* rows, float* strip);

// Neighbouring keys of one head under each turn, as panels [D, kKeyPanel] with
// zeros beyond the last key. A turn is packed when it is first used.
class PackedKeys {
 public:
  // Has room for `most` keys, a multiple of kKeyPanel.
  PackedKeys(const TrainingCall& call, int64_t most, Arena& arena);

  // Changes to the keys [first, first + count), of which those below `limit`
  // exist.
  void Begin(int64_t b, int64_t g, int64_t first, int64_t count, int64_t limit);

  int64_t first() const { return first_; }
  int64_t count() const { return count_; }
  const float* Get(int64_t turn);

 private:
  const TrainingCall& call_;
  int64_t most_;
  float* rows_;  // [kKeyPanel, D]
  float* keys_;  // [turns, most / kKeyPanel, D, kKeyPanel]
  std::vector<bool> packed_;
  int64_t b_ = 0;
  int64_t g_ = 0;
  int64_t first_ = 0;
  int64_t count_ = 0;
  int64_t limit_ = 0;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_TRAINING_STRIP_H_
