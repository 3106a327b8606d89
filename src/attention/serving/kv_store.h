// Keys and values of one sequence in one layer.
//
// Row j of the main store is the key of token j as the far band reads it,
// rotated once when it arrives and never again. Where near keys are rotated
// otherwise, a ring of them stands beside the main store and keeps only what
// the near band can still reach. Plans without a far band keep only a window
// of keys and values, and sink plans their first rows besides.
//
// Storage comes in tiles of kTile tokens, so that growing copies nothing and
// dropping the oldest is freeing a tile; freed tiles are used again. What lies
// in a tile, in which type, is kernels/stored.h; values come in blocks of
// kValueBlock columns, since rows of a wide value (a gated attention unit's)
// would else fall on a few sets of the cache and drive each other out.
//
// Tokens have ids, by which position schemes know them, and slots, by which
// the tiles do. Both are the same until something is taken out of the middle:
//
//   slots   0 .. keep | taken out | ............
//   ids     0 .. keep |           | ............   after Evict
//   ids     0 .. keep             | keep .......   after CloseGap
//
// The key of id j is rotated by the position of j + frame(), frame() being what
// the ids have moved by. As scores depend on distances, renumbering leaves all
// keys behind the gap as they are; only the few in front may have to be turned.

#ifndef ROPEWALK_ATTENTION_SERVING_KV_STORE_H_
#define ROPEWALK_ATTENTION_SERVING_KV_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/definition/heads.h"
#include "attention/serving/kv_tiles.h"
#include "attention/serving/rotation_tables.h"
#include "base/dtype.h"
#include "base/parallel.h"
#include "kernels/stored.h"
#include "position/plan.h"

namespace ropewalk::attention {

// Why a store of this plan and type could not take `count` tokens out behind
// the first `keep` and close up (KvStore::CloseGap); nothing where it could.
std::optional<std::string> WhyNotRenumber(const position::Plan& plan,
                                          DType type, int64_t keep,
                                          int64_t count);

// Ids [first, last), which lie in the slots [first + offset, last + offset).
struct Segment {
  int64_t first = 0;
  int64_t last = 0;
  int64_t offset = 0;
};

// Everything in a store, as views, for files (engine/prompt_cache.h).
struct KvImage {
  struct Tile {
    int64_t number = 0;
    const uint8_t* data = nullptr;
  };
  int64_t size = 0;
  int64_t keep = 0;
  int64_t taken_out = 0;
  int64_t frame = 0;
  int64_t key_tile_bytes = 0;
  int64_t value_tile_bytes = 0;
  std::vector<std::vector<Tile>> keys;  // of each key store
  std::vector<Tile> values;
};

// Movable. One thread at a time, but for reading. What needs memory throws
// MemoryLimitError where the pool has no more, and std::bad_alloc where the
// system has none.
class KvStore {
 public:
  // Shares `plan`. Memory comes from `pool`, or from one of its own. Throws
  // like Validate, and for a type that no store may have.
  KvStore(std::shared_ptr<const position::Plan> plan, const HeadShape& shape,
          DType type = DType::kF32, std::shared_ptr<TilePool> pool = nullptr);
  // A plan of its own.
  KvStore(const position::Plan& plan, const HeadShape& shape,
          DType type = DType::kF32, std::shared_ptr<TilePool> pool = nullptr);
  KvStore(KvStore&&) = default;
  KvStore& operator=(KvStore&&) = default;

  // The same text in another store. Both share the tiles; a tile that one of
  // them writes to is copied first.
  KvStore Fork() const { return *this; }

  // Id of the next token: those appended, less those renumbered away.
  int64_t size() const { return size_; }
  DType type() const { return type_; }
  const HeadShape& shape() const { return shape_; }
  const position::Plan& plan() const { return *plan_; }

  // By how much ids behind the gap have moved: the slot of id j is
  // j + frame(), and rotation tables for ids from i on begin at i + frame().
  int64_t frame() const { return frame_; }

  // Where the ids lie that are not taken out: one run, or two.
  std::vector<Segment> Segments() const;

  // Takes all memory that Append needs for T tokens, and drops what no query
  // from id size() on can reach. Append does both where nobody did it before;
  // who appends to many stores does it first, so that none is left behind.
  // Where it throws, GiveSpareBack makes the store what it was.
  void Prepare(int64_t T);
  void GiveSpareBack();
  // Bytes that Prepare would take from the pool, before it drops anything.
  int64_t BytesToPrepare(int64_t T) const;
  // Bytes of a store that read `size` tokens, in chunks of `chunk` at most.
  int64_t BytesFor(int64_t size, int64_t chunk) const;

  // Appends T tokens with the ids [size(), size() + T). `tables` must cover
  // them, by their slots (padding before id 0 may stand in them).
  //
  //   keys [T, G, D], not rotated   values [T, G, ValueWidth()]
  void Append(const float* keys, const float* values, int64_t T,
              RotationTables& tables, ParallelFor& threads);

  // Panels of head g in a tile of slots, under key store `store`; one column
  // block of its values. The tile must be within reach.
  const void* KeyPanels(int64_t store, int64_t tile, int64_t g) const;
  const void* Values(int64_t tile, int64_t g, int64_t block) const;

  // The stored key [D] and value [ValueWidth()] of id j, as floats.
  void CopyKey(int64_t store, int64_t j, int64_t g, float* out) const;
  void CopyValue(int64_t j, int64_t g, float* out) const;

  // Of keys and values, tiles that others share included.
  int64_t bytes() const;

  // What follows changes a live store (kv_edit.cc). Each has a question beside
  // it that answers why it cannot be done, or nothing where it can; the change
  // itself throws std::invalid_argument with that reason and then has changed
  // nothing.

  // Keeps the ids [0, size): a prefix that another text shares. Near keys that
  // the ring has given up are formed again from the main store: the same bits
  // where that holds them unrotated in f32, equal to rounding otherwise.
  std::optional<std::string> WhyNotTrim(int64_t size) const;
  void Trim(int64_t size);

  // Takes `count` tokens out behind the first `keep`, the oldest but for the
  // kept ones. Their ids stay vacant and the others keep theirs. Called again
  // with the same `keep` it takes out the next oldest.
  std::optional<std::string> WhyNotEvict(int64_t keep, int64_t count) const;
  void Evict(int64_t keep, int64_t count);

  // Whether Evict and CloseGap after it would both do.
  std::optional<std::string> WhyNotShift(int64_t keep, int64_t count) const;

  // Renumbers the ids behind what was taken out, so that the text closes up
  // and the next token follows on. Nothing behind the gap is touched. The
  // `keep` rows in front are turned where the plan rotates keys at a pace
  // (rerope's far keys have none), which a quantised store refuses: they would
  // be rounded a second time. The log n scale then counts what is left.
  std::optional<std::string> WhyNotCloseGap() const;
  void CloseGap();

  // Goes over to another plan: keys as that plan stores them. Scores are then
  // those of a store that was filled under `plan`, to rounding; what the upper
  // layers stored was still computed under the old one, so that the whole
  // model agrees with a fresh prefill only where both plans give all pairs so
  // far the same distance (docs/attention.md).
  std::optional<std::string> WhyNotChangePlan(const position::Plan& plan) const;
  void ChangePlan(std::shared_ptr<const position::Plan> plan);
  void ChangePlan(const position::Plan& plan);

  // Contents for a file, and back; the image must come from a store of the
  // same plan, shape and type, and fit: else std::invalid_argument.
  KvImage Image() const;
  void Restore(const KvImage& image);

 private:
  KvStore(const KvStore&) = default;

  // Distance from one head to the next within a tile, and of a value block.
  int64_t KeyHeadBytes() const;
  int64_t ValueHeadBytes() const;

  int64_t SlotOf(int64_t id) const { return id < keep_ ? id : id + frame_; }
  int64_t IdOf(int64_t slot) const {
    return slot < keep_ ? slot : slot - frame_;
  }
  int64_t Slots() const { return size_ + frame_; }
  // Ids that are vacant: taken out, and not closed up.
  position::KeyRange Vacant() const {
    return {keep_, keep_ + taken_out_ - frame_};
  }
  uint8_t* KeyPanel(const Tiles& tiles, int64_t slot, int64_t g) const;
  // The tables of a key store of the plan.
  const position::FrequencyTable& TableOf(
      const position::KeyStore& store) const {
    return plan_->tables[static_cast<size_t>(store.table)];
  }
  // Drops the tiles that no query from id size() on can reach.
  void DropUnreachable();

  // Why `open` ids behind the first `keep` cannot be closed up.
  std::optional<std::string> WhyNotClose(int64_t keep, int64_t open) const;
  // First id, of those up to `size` that `store` should hold for the query of
  // that id and all later ones, whose keys, looked for in `keys`, or values are
  // gone; nothing where all are there.
  std::optional<int64_t> FirstMissing(const Tiles& keys,
                                      const position::KeyStore& store,
                                      int64_t size) const;
  // Turns [D] keys, as the main store keeps that of `id`, into those that were
  // given to Append, and these into what `store` keeps.
  void Unrotate(int64_t id, float* key) const;
  void WriteKey(size_t store, int64_t id, int64_t g, const float* raw);
  // Makes the tiles of a store that are within reach and not there, out of the
  // main store of `from`.
  void FillFrom(const KvStore& from, size_t store);

  std::shared_ptr<const position::Plan> plan_;
  HeadShape shape_;
  DType type_;
  std::vector<position::KeyStore> stores_;
  std::shared_ptr<TilePool> pool_;
  std::vector<Tiles> keys_;  // one for each key store
  Tiles values_;
  int64_t size_ = 0;
  int64_t keep_ = 0;  // ids in front of what was taken out
  int64_t taken_out_ = 0;
  int64_t frame_ = 0;  // of what was taken out, closed up
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_KV_STORE_H_
