// Strips of queries and tiles of keys, as kernels/cpu/strip.h wants them.
//
// A strip is StripLanes() neighbouring queries of one head. Which bands show
// it which keys is settled once a strip, in runs of whole key blocks: within a
// run either one piece shows every key to every query, or a few pieces have to
// be asked pair by pair. A scheme with two bands so costs what one band costs,
// but for the few blocks that its border crosses.

#ifndef ROPEWALK_ATTENTION_TRAINING_STRIP_H_
#define ROPEWALK_ATTENTION_TRAINING_STRIP_H_

#include <cstdint>
#include <vector>

#include "attention/training/masked_plan.h"
#include "attention/training/tile.h"
#include "base/aligned.h"
#include "kernels/cpu/strip.h"

namespace ropewalk::attention {

// Keys that the same pieces show to a strip, in their order.
struct KeyRun {
  position::KeyRange keys;  // whole key blocks; may pass the last key
  std::vector<int64_t> pieces;
  bool whole = false;  // the first piece shows every key to every query
};

class StripView {
 public:
  // Queries [begin, begin + rows), rows at most the lanes of a strip. Lanes
  // beyond them see what the last query sees.
  StripView(const MaskedPlan& masked, const Sight& sight, int64_t begin,
            int64_t rows);

  // In the order of the keys; between them nothing is seen.
  const std::vector<KeyRun>& runs() const { return runs_; }

  // Lane l sees the keys [First(piece)[l], Last(piece)[l]); may be empty.
  const int32_t* First(int64_t piece) const {
    return ends_.data() + 2 * piece * lanes_;
  }
  const int32_t* Last(int64_t piece) const { return First(piece) + lanes_; }

 private:
  int64_t lanes_;
  AlignedBuffer<int32_t> ends_;  // [pieces, 2, lanes]
  std::vector<KeyRun> runs_;
};

// Queries of a strip under a turn, as the kernels read them: [D, lanes] to
// `strip`, and [lanes, D] to `rows`. Scaled so that scores are logarithms to
// base 2. Lanes beyond `count` are 0.
void PackQueries(const TrainingCall& call, int64_t turn, int64_t b, int64_t h,
                 int64_t begin, int64_t count, float* rows, float* strip);

// Neighbouring keys of one head, packed when first asked for: each turn as
// panels [D, kKeyPanel], zeros where no key is.
class PackedKeys {
 public:
  // At most `most` keys, a multiple of kKeyPanel.
  PackedKeys(const TrainingCall& call, int64_t most, Arena& arena);

  // Others: [first, first + count), those below `limit` exist.
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
