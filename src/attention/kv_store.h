// Keys and values of one sequence in one layer.
//
// Row j of the main store is the key of token j as the far band reads it,
// rotated once when it arrives and never again. Where near keys are rotated
// otherwise, a ring of them stands beside the main store and keeps only what
// the near band can still reach. Plans without a far band keep only a window
// of keys and values, and sink plans their first rows besides.
//
// Storage comes in tiles of kTile tokens, so that growing copies nothing and
// dropping the oldest is freeing a tile; freed tiles are used again. Within a
// tile the keys of one head lie transposed, [D, kTile]: a row of scores is then
// a sum of rows scaled by the query's components, which vectorises the same
// way for one query and for many, at every head width. Values lie in blocks of
// kValueBlock columns, each dense: rows of a wide value (a gated attention
// unit's) would else fall on a few sets of the cache and drive each other out.

#ifndef ROPEWALK_ATTENTION_KV_STORE_H_
#define ROPEWALK_ATTENTION_KV_STORE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attention/rotation_tables.h"
#include "base/aligned.h"
#include "base/parallel.h"
#include "position/plan.h"

namespace ropewalk::attention {

inline constexpr int64_t kTile = 64;  // tokens: a tile of D = 64 fits an L1
inline constexpr int64_t kValueBlock = 128;  // columns of a value

struct HeadShape {
  int64_t H = 0;            // query heads
  int64_t G = 0;            // key and value heads; H is a multiple of G
  int64_t D = 0;            // head width: of queries and keys
  int64_t value_width = 0;  // of values and outputs; 0 for D

  int64_t Group() const { return H / G; }
  int64_t ValueWidth() const { return value_width > 0 ? value_width : D; }
  // Column blocks of a value; all but the last are kValueBlock wide.
  int64_t ValueBlocks() const {
    return (ValueWidth() + kValueBlock - 1) / kValueBlock;
  }
  int64_t BlockWidth(int64_t block) const {
    return std::min(kValueBlock, ValueWidth() - block * kValueBlock);
  }
};

// Throws std::invalid_argument when the shape makes no sense.
void Validate(const HeadShape& shape);

// Movable. One thread at a time, but for reading.
class KvStore {
 public:
  // Throws like Validate.
  KvStore(const position::Plan& plan, const HeadShape& shape);

  // Tokens appended so far: the id of the next one.
  int64_t size() const { return size_; }

  // Appends T tokens with the ids [size(), size() + T), which `tables` must
  // cover (padding before id 0 may stand in them), and drops what no query
  // from id size() on can reach.
  //
  //   keys [T, G, D], not rotated   values [T, G, ValueWidth()]
  void Append(const float* keys, const float* values, int64_t T,
              RotationTables& tables, ParallelFor& threads);

  // Head g of a tile under key store `store` [D, kTile]; one column block of
  // its values [kTile, BlockWidth(block)]. The tile must be within reach.
  const float* KeyTile(int64_t store, int64_t tile, int64_t g) const;
  const float* ValueTile(int64_t tile, int64_t g, int64_t block) const;

  // Copies the stored key of token j, [D]. For tests and tools.
  void CopyKey(int64_t store, int64_t j, int64_t g, float* out) const;

  int64_t bytes() const;

 private:
  // Tiles by number; those dropped are empty.
  struct Tiles {
    std::vector<AlignedBuffer<float>> live;
    std::vector<AlignedBuffer<float>> free;
    int64_t reach = 0;
    int64_t first_kept = 0;
    int64_t oldest = 0;  // first tile beyond first_kept that may be live

    void DropBefore(int64_t size);
    void GrowTo(int64_t tiles, int64_t tile_floats);
    int64_t bytes() const;
  };

  int64_t KeyFloats() const { return shape_.G * shape_.D * kTile; }
  int64_t ValueFloats() const { return shape_.G * shape_.ValueWidth() * kTile; }

  HeadShape shape_;
  std::vector<position::KeyStore> stores_;
  std::vector<position::FrequencyTable> tables_;
  std::vector<Tiles> keys_;  // one for each key store
  Tiles values_;
  AlignedBuffer<float> rotated_;  // [G, D], a row for each task of Append
  int64_t size_ = 0;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_KV_STORE_H_
