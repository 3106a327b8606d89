// Keys and values of texts that were read alone, which the queries of any
// sequence may attend to beside its own text.
//
// A memory has tiles as a store has (kv_store.h): keys in the rotation of its
// band, values as they are. Nothing of it is written, so sequences share it,
// and its tiles may lie in a mapped file. Queries meet it through a band of its
// own, whose key rotation the tiles have: with unrotated keys and a constant
// position of the query, all of it stands at one distance (docs/memories.md).

#ifndef ROPEWALK_ATTENTION_SERVING_MEMORY_KEYS_H_
#define ROPEWALK_ATTENTION_SERVING_MEMORY_KEYS_H_

#include <cstdint>
#include <vector>

#include "attention/serving/kv_tiles.h"
#include "base/dtype.h"
#include "position/plan.h"

namespace ropewalk::attention {

// A run of tokens that are attended to together. Slot s lies in tile s / kTile;
// slots outside [first, last) are left out.
struct MemoryPart {
  int64_t first = 0;
  int64_t last = 0;
  std::vector<TileRef> keys;    // [TilesFor(last)], those before `first` null
  std::vector<TileRef> values;  // the same

  int64_t tokens() const { return last - first; }
};

// The memories of one layer. Immutable while sequences use it.
//
// A score of query i with a key of a memory is
//
//   cap(head_scale s(i + tokens) factor sharpness <q, k>) + bias
//
// with q rotated by query(i), k by the tiles' rotation, and s the scale of the
// plan, which counts the tokens of memories with those of the text. Own scores
// have s(i + tokens) too. Queries with i < from attend to their own text alone:
// the first tokens of a text become what later ones lean on, and they would not
// if they had something else to look at.
struct LayerMemories {
  DType type = DType::kF32;
  position::PositionMap query;
  // For queries. Its magnitude is that of query and key where the tiles have
  // unrotated keys.
  position::FrequencyTable table;
  double sharpness = 1;  // multiplies scores: an inverse temperature
  double bias = 0;       // added to scores, in nats
  int64_t tokens = 0;    // of all parts
  int64_t from = 0;      // the first id that attends to them
  std::vector<MemoryPart> parts;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_MEMORY_KEYS_H_
