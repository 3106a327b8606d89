// Rotation tables: cosines and sines for the positions of one chunk of tokens.
//
// Angles stay in float64 until after cos and sin: a float32 angle at position
// 131072 is already wrong by about 4e-3 rad. Layers that share a position map
// and a frequency table share their rows, so each is computed once a chunk.

#ifndef ROPEWALK_ATTENTION_SERVING_ROTATION_TABLES_H_
#define ROPEWALK_ATTENTION_SERVING_ROTATION_TABLES_H_

#include <cstdint>
#include <deque>

#include "base/aligned.h"
#include "position/plan.h"

namespace ropewalk::attention {

// Row t, at cos + t * stride and sin + t * stride, belongs to id first + t.
struct RotationRows {
  const float* cos = nullptr;
  const float* sin = nullptr;
  int64_t pairs = 0;   // 0: nothing rotates
  int64_t stride = 0;  // 0: every id has the same row
};

// One thread at a time; rows stay valid until the next Begin.
class RotationTables {
 public:
  // Sets the ids to [first, first + T).
  void Begin(int64_t first, int64_t T);

  int64_t first() const { return first_; }
  int64_t size() const { return T_; }

  RotationRows Get(const position::PositionMap& map,
                   const position::FrequencyTable& table);

 private:
  struct Entry {
    position::PositionMap map;
    position::FrequencyTable table;
    AlignedBuffer<float> cos;
    AlignedBuffer<float> sin;
    RotationRows rows;
    bool fresh = false;
  };

  void Fill(Entry& entry);

  int64_t first_ = 0;
  int64_t T_ = 0;
  std::deque<Entry> entries_;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_ROTATION_TABLES_H_
