// A store: the keys and values of one sequence in one layer.
//
// Row j of the main store is the key of token j as the far band reads it,
// rotated once when it is appended and never again. If near keys are rotated
// differently, a ring beside the main store holds them, and keeps only those
// that the near band can still reach. Plans without a far band keep only a
// window of keys and values, and sink plans their first rows too.
//
// Storage consists of tiles of kTile tokens. So growing copies nothing, the
// oldest tokens are dropped by freeing a tile, and freed tiles are used again.
// kernels/stored.h describes the contents of a tile. Values are stored in
// blocks of kValueBlock columns: whole rows of a wide value (of a gated
// attention unit) would compete for a few sets of the cache.
//
// Position schemes know tokens by ids, tiles know them by slots. The two are
// equal until tokens are taken out of the middle:
//
//   slots   0 .. keep | taken out | ............
//   ids     0 .. keep |           | ............   after Evict
//   ids     0 .. keep             | keep .......   after CloseGap
//
// The key of id j is rotated by the position of j + frame(), where frame() is
// how far the ids have moved. Scores depend on distances, so renumbering
// changes no key behind the gap; only the few in front of it may have to be
// rotated.

#ifndef ROPEWALK_ATTENTION_SERVING_KV_STORE_H_
#define ROPEWALK_ATTENTION_SERVING_KV_STORE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/definition/heads.h"
#include "attention/serving/kv_tiles.h"
#include "attention/serving/memory_keys.h"
#include "attention/serving/rotation_tables.h"
#include "base/dtype.h"
#include "base/parallel.h"
#include "kernels/stored.h"
#include "position/plan.h"

namespace ropewalk::attention {

// The reason why a store of this plan and type could not take out `count`
// tokens after the first `keep` and close the gap (KvStore::CloseGap), or
// nullopt.
std::optional<std::string> WhyNotRenumber(const position::Plan& plan,
                                          DType type, int64_t keep,
                                          int64_t count);

// Ids [first, last), which have the slots [first + offset, last + offset).
struct Segment {
  int64_t first = 0;
  int64_t last = 0;
  int64_t offset = 0;
};

// The contents of a store, as views, for files (engine/prompt_cache.h).
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

// Movable. Only one thread may change it at a time; several may read it.
// Methods that take memory throw MemoryLimitError at the limit of the pool, and
// std::bad_alloc if the system has no memory left.
class KvStore {
 public:
  // Shares `plan`. Memory comes from `pool`, or from a new pool if it is null.
  // Throws like Validate, and std::invalid_argument for a type that is not f32,
  // f16, bf16, q8_0 or q4_0.
  KvStore(std::shared_ptr<const position::Plan> plan, const HeadShape& shape,
          DType type = DType::kF32, std::shared_ptr<TilePool> pool = nullptr);
  // The same with a copy of `plan`.
  KvStore(const position::Plan& plan, const HeadShape& shape,
          DType type = DType::kF32, std::shared_ptr<TilePool> pool = nullptr);
  KvStore(KvStore&&) = default;
  KvStore& operator=(KvStore&&) = default;

  // Returns another store with the same text. Both share the tiles; a shared
  // tile is copied before one of them writes to it.
  KvStore Fork() const { return *this; }

  // The id of the next token: the tokens appended less those that CloseGap has
  // removed.
  int64_t size() const { return size_; }
  DType type() const { return type_; }
  const HeadShape& shape() const { return shape_; }
  const position::Plan& plan() const { return *plan_; }

  // How far ids behind the gap have moved: the slot of id j is j + frame(), and
  // rotation tables for ids from i on begin at i + frame().
  int64_t frame() const { return frame_; }

  // The runs of ids that are not taken out: one or two.
  std::vector<Segment> Segments() const;

  // Takes all memory that Append needs for T tokens, and drops what no query
  // from id size() on can reach. Append calls it if needed; a caller that
  // appends to several stores calls it for all of them first, so that Append
  // cannot fail in some only. If it throws, GiveSpareBack restores the store.
  void Prepare(int64_t T);
  void GiveSpareBack();
  // Drops the tiles that no query from id size() on can reach; Prepare does.
  void DropUnreachable();
  // Forgets what was appended behind the first `size` tokens since Prepare.
  void Rewind(int64_t size) { size_ = std::min(size_, size); }
  // The bytes that Prepare would take from the pool, before it drops anything.
  int64_t BytesToPrepare(int64_t T) const;
  // The most bytes of a store that read `size` tokens in chunks of at most
  // `chunk`.
  int64_t BytesFor(int64_t size, int64_t chunk) const;

  // Appends T tokens with the ids [size(), size() + T). `tables` must cover
  // their slots, and may also cover padding before id 0.
  //
  //   keys [T, G, D], not rotated   values [T, G, ValueWidth()]
  void Append(const float* keys, const float* values, int64_t T,
              RotationTables& tables, ParallelFor& threads);

  // The panels of keys of head g in a tile of key store `store`, and one column
  // block of its values in a tile. The tile must be within reach.
  const void* KeyPanels(int64_t store, int64_t tile, int64_t g) const;
  const void* Values(int64_t tile, int64_t g, int64_t block) const;
  // The same within a tile that lies elsewhere: of a memory, of this type and
  // shape.
  const void* KeyPanelsIn(const uint8_t* tile, int64_t g) const {
    return tile + g * KeyHeadBytes();
  }
  const void* ValuesIn(const uint8_t* tile, int64_t g, int64_t block) const;

  // The whole text as a part of a memory, with the keys of the main store; it
  // shares the tiles. The store must hold all of its text, without gaps.
  MemoryPart ShareAll() const;
  // The bytes of a tile of keys, and of a tile of values.
  int64_t key_tile_bytes() const { return keys_.front().tile_bytes(); }
  int64_t value_tile_bytes() const { return values_.tile_bytes(); }

  // The stored key [D] and value [ValueWidth()] of id j, as floats.
  void CopyKey(int64_t store, int64_t j, int64_t g, float* out) const;
  void CopyValue(int64_t j, int64_t g, float* out) const;

  // The bytes of keys and values, tiles shared with others included.
  int64_t bytes() const;

  // The methods below change a live store (kv_edit.cc). WhyNotX() returns the
  // reason why X() would fail, or nullopt. X() throws std::invalid_argument
  // with that reason and leaves the store unchanged.

  // Keeps the ids [0, size), for example a prefix that another text shares.
  // Near keys that the ring has dropped are computed again from the main store:
  // with the same bits if that holds unrotated keys in f32, else up to
  // rounding.
  std::optional<std::string> WhyNotTrim(int64_t size) const;
  void Trim(int64_t size);

  // Takes out the `count` oldest tokens after the first `keep`. Their ids stay
  // vacant, and all other tokens keep their ids. A second call with the same
  // `keep` takes out the next oldest tokens.
  std::optional<std::string> WhyNotEvict(int64_t keep, int64_t count) const;
  void Evict(int64_t keep, int64_t count);

  // The reason why Evict followed by CloseGap would fail, or nullopt.
  std::optional<std::string> WhyNotShift(int64_t keep, int64_t count) const;

  // Renumbers the ids behind the vacant ones, so that there is no gap. Nothing
  // behind the gap is changed. The `keep` rows in front are rotated if the
  // plan's rotation of keys depends on position (for rerope's far keys it does
  // not); a quantised store refuses that, because they would be rounded a
  // second time. The log n scale then counts the tokens that are left.
  std::optional<std::string> WhyNotCloseGap() const;
  void CloseGap();

  // Changes to another plan: stores keys as that plan needs them. Scores then
  // equal those of a store that was filled under `plan`, up to rounding. In a
  // model, keys and values of upper layers were still computed under the old
  // plan, so the model equals a fresh prefill only if both plans give all pairs
  // so far the same distance (docs/attention.md).
  std::optional<std::string> WhyNotChangePlan(const position::Plan& plan) const;
  void ChangePlan(std::shared_ptr<const position::Plan> plan);
  void ChangePlan(const position::Plan& plan);

  // Image returns the contents for a file; Restore takes them back. Throws
  // std::invalid_argument unless the image is of a store of the same plan,
  // shape and type, and consistent.
  KvImage Image() const;
  void Restore(const KvImage& image);

 private:
  KvStore(const KvStore&) = default;

  // The bytes of one head's keys in a tile, and of one value block.
  int64_t KeyHeadBytes() const;
  int64_t ValueHeadBytes() const;

  int64_t SlotOf(int64_t id) const { return id < keep_ ? id : id + frame_; }
  int64_t IdOf(int64_t slot) const {
    return slot < keep_ ? slot : slot - frame_;
  }
  int64_t Slots() const { return size_ + frame_; }
  // The vacant ids: taken out by Evict and not yet closed by CloseGap.
  position::KeyRange Vacant() const {
    return {keep_, keep_ + taken_out_ - frame_};
  }
  uint8_t* KeyPanel(const Tiles& tiles, int64_t slot, int64_t g) const;
  // The frequency table of a key store of the plan.
  const position::FrequencyTable& TableOf(
      const position::KeyStore& store) const {
    return plan_->tables[static_cast<size_t>(store.table)];
  }

  // The reason why a gap of `open` ids after the first `keep` cannot be closed,
  // or nullopt.
  std::optional<std::string> WhyNotClose(int64_t keep, int64_t open) const;
  // The first id whose value, or whose key in `keys`, was dropped, among the
  // ids below `size` that `store` must hold for queries from id `size` on;
  // nullopt if all are there.
  std::optional<int64_t> FirstMissing(const Tiles& keys,
                                      const position::KeyStore& store,
                                      int64_t size) const;
  // Unrotate turns a key [D] of `id` from the main store into the key that was
  // given to Append. WriteKey stores such a key in `store`, rotated.
  void Unrotate(int64_t id, float* key) const;
  void WriteKey(size_t store, int64_t id, int64_t g, const float* raw);
  // Fills the missing tiles of a key store that are within reach, from the main
  // store of `from`.
  void FillFrom(const KvStore& from, size_t store);

  std::shared_ptr<const position::Plan> plan_;
  HeadShape shape_;
  DType type_;
  std::vector<position::KeyStore> stores_;
  std::shared_ptr<TilePool> pool_;
  std::vector<Tiles> keys_;  // one for each key store
  Tiles values_;
  int64_t size_ = 0;
  int64_t keep_ = 0;       // ids in front of the gap
  int64_t taken_out_ = 0;  // tokens, in all
  int64_t frame_ = 0;      // those of them whose ids CloseGap has removed
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_KV_STORE_H_
