// Changes of a live store: Trim, Evict, CloseGap, ChangePlan, Restore.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "attention/serving/kv_store.h"
#include "base/error.h"
#include "kernels/cpu/kernels.h"
#include "kernels/nibbles.h"

namespace ropewalk::attention {
namespace {

// Rotates x by `position` under the table and multiplies the rotated pairs by
// its magnitude; with `back` undoes both.
void Turn(const position::FrequencyTable& table, double position, bool back,
          int64_t D, float* x) {
  const double magnitude = back ? 1 / table.magnitude : table.magnitude;
  if (table.frequencies.empty() || (position == 0 && magnitude == 1)) return;
  std::vector<float> cosine;
  std::vector<float> sine;
  for (const double frequency : table.frequencies) {
    const double angle = (back ? -position : position) * frequency;
    cosine.push_back(static_cast<float>(magnitude * std::cos(angle)));
    sine.push_back(static_cast<float>(magnitude * std::sin(angle)));
  }
  kernels::Rotate({.x = x,
                   .y = x,
                   .heads = 1,
                   .D = D,
                   .pairs = static_cast<int64_t>(cosine.size()),
                   .cos = cosine.data(),
                   .sin = sine.data()});
}

// Whether keys of the main store must be rotated if their ids move by `count`.
bool TurnsKeys(const position::Plan& plan, int64_t count) {
  const position::KeyStore main = plan.KeyStores(nullptr).front();
  return main.key(count) != main.key(0) &&
         !plan.tables[static_cast<size_t>(main.table)].frequencies.empty();
}

void ThrowIf(const std::optional<std::string>& reason) {
  Require(!reason, reason.value_or(""));
}

}  // namespace

std::optional<int64_t> KvStore::FirstMissing(const Tiles& keys,
                                             const position::KeyStore& store,
                                             int64_t size) const {
  const auto has = [&](int64_t slot) {
    return keys.Has(slot / kTile) && values_.Has(slot / kTile);
  };
  const auto missing = [&](int64_t first,
                           int64_t last) -> std::optional<int64_t> {
    for (int64_t id = first; id < last;) {
      const int64_t slot = SlotOf(id);
      if (!has(slot)) return id;
      id += kTile - slot % kTile;
    }
    return std::nullopt;
  };
  const position::KeyRange vacant = Vacant();
  for (const auto& [first, last] : std::vector<std::pair<int64_t, int64_t>>{
           {0, std::min(store.first_kept, size)},
           {store.OldestNeeded(size), size}}) {
    auto id = missing(first, std::min(last, vacant.first));
    if (!id) id = missing(std::max(first, vacant.last), last);
    if (id) return id;
  }
  // The partly filled last tile must exist even if its rows are out of reach,
  // because Append continues writing into it.
  const int64_t slots = size <= keep_ ? size : size + frame_;
  if (slots % kTile != 0 && !has(slots)) return size - 1;
  return std::nullopt;
}

void KvStore::Unrotate(int64_t id, float* key) const {
  const position::KeyStore& store = stores_.front();
  Turn(TableOf(store), store.key(id + frame_), true, shape_.D, key);
}

void KvStore::WriteKey(size_t store, int64_t id, int64_t g, const float* raw) {
  const position::KeyStore& to = stores_[store];
  std::vector<float> key(raw, raw + shape_.D);
  Turn(TableOf(to), to.key(id + frame_), false, shape_.D, key.data());
  const int64_t slot = SlotOf(id);
  keys_[store].Own(slot / kTile);
  kernels::PackKey(type_, key.data(), shape_.D, KeyPanel(keys_[store], slot, g),
                   slot % kernels::kKeyPanel);
}

void KvStore::FillFrom(const KvStore& from, size_t store) {
  // Keys are rotated with the tables that Append uses, so they get the same
  // bits.
  const position::KeyStore& main = from.stores_.front();
  const position::KeyStore& to = stores_[store];
  position::FrequencyTable undo = from.TableOf(main);
  undo.magnitude = 1 / undo.magnitude;
  RotationTables tables;
  std::vector<float> keys(static_cast<size_t>(kTile * shape_.D));
  const auto turn = [&](const RotationRows& rows, int64_t count, bool back) {
    if (rows.pairs == 0) return;
    kernels::RotateRows({.x = keys.data(),
                         .y = keys.data(),
                         .rows = count,
                         .D = shape_.D,
                         .x_stride = shape_.D,
                         .y_stride = shape_.D,
                         .pairs = rows.pairs,
                         .cos = rows.cos,
                         .sin = rows.sin,
                         .angle_stride = rows.stride,
                         .back = back});
  };
  const auto fill_slots = [&](int64_t first, int64_t last) {
    if (first >= last) return;
    const int64_t id = IdOf(first);
    tables.Begin(id + frame_, last - first);
    const RotationRows back = tables.Get(main.key, undo);
    const RotationRows rows = tables.Get(to.key, TableOf(to));
    for (int64_t g = 0; g < shape_.G; ++g) {
      for (int64_t t = 0; t < last - first; ++t) {
        from.CopyKey(0, id + t, g, keys.data() + t * shape_.D);
      }
      turn(back, last - first, true);
      turn(rows, last - first, false);
      for (int64_t t = 0; t < last - first; ++t) {
        kernels::PackKey(type_, keys.data() + t * shape_.D, shape_.D,
                         KeyPanel(keys_[store], first + t, g),
                         (first + t) % kernels::kKeyPanel);
      }
    }
  };
  const auto fill_tile = [&](int64_t tile) {
    if (keys_[store].Has(tile) || !from.keys_[0].Has(tile)) return;
    keys_[store].Add(tile);
    const int64_t end = std::min(Slots(), (tile + 1) * kTile);
    fill_slots(tile * kTile, std::min(end, keep_));
    fill_slots(std::max(tile * kTile, keep_ + taken_out_), end);
  };
  const auto fill = [&](int64_t first_id, int64_t last_id) {
    if (first_id >= last_id) return;
    for (int64_t tile = SlotOf(first_id) / kTile;
         tile <= SlotOf(last_id - 1) / kTile; ++tile) {
      fill_tile(tile);
    }
  };
  const position::KeyRange vacant = Vacant();
  const int64_t oldest = to.OldestNeeded(size_);
  for (const auto& [first, last] : std::vector<std::pair<int64_t, int64_t>>{
           {0, std::min(to.first_kept, size_)}, {oldest, size_}}) {
    fill(first, std::min(last, vacant.first));
    fill(std::max(first, vacant.last), last);
  }
  if (Slots() % kTile != 0) fill_tile(Slots() / kTile);
}

std::optional<std::string> KvStore::WhyNotTrim(int64_t size) const {
  const position::KeyRange vacant = Vacant();
  if (size < 0 || size > size_) {
    return "a store of " + std::to_string(size_) +
           " tokens cannot be trimmed to " + std::to_string(size);
  }
  if (size > vacant.first && size < vacant.last) {
    return "token " + std::to_string(size) + " was taken out, with all from " +
           std::to_string(vacant.first) + " to " +
           std::to_string(vacant.last - 1);
  }
  for (const position::KeyStore& store : stores_) {
    if (const auto id = FirstMissing(keys_[0], store, size)) {
      return "token " + std::to_string(*id) +
             " is gone: the window has passed it, and after a trim to " +
             std::to_string(size) + " it would be seen again";
    }
  }
  return std::nullopt;
}

void KvStore::Trim(int64_t size) {
  ThrowIf(WhyNotTrim(size));
  size_ = size;
  if (size <= keep_) {
    // The gap lies behind the tokens that stay. If CloseGap has rotated kept
    // keys, they are rotated back to a frame of 0.
    for (int64_t j = 0; j < size && frame_ != 0; ++j) {
      if (!keys_[0].Has(j / kTile)) continue;
      std::vector<float> key(static_cast<size_t>(shape_.D));
      for (int64_t g = 0; g < shape_.G; ++g) {
        CopyKey(0, j, g, key.data());
        Unrotate(j, key.data());
        const int64_t frame = std::exchange(frame_, 0);
        WriteKey(0, j, g, key.data());
        frame_ = frame;
      }
    }
    if (frame_ != 0) {
      for (size_t s = 1; s < keys_.size(); ++s) keys_[s].ShrinkTo(0);
    }
    keep_ = taken_out_ = frame_ = 0;
  }
  values_.ShrinkTo(TilesFor(Slots()));
  for (Tiles& tiles : keys_) tiles.ShrinkTo(TilesFor(Slots()));
  for (size_t s = 1; s < keys_.size(); ++s) FillFrom(*this, s);
}

std::optional<std::string> KvStore::WhyNotEvict(int64_t keep,
                                                int64_t count) const {
  const position::KeyRange vacant = Vacant();
  if (keep < 0 || keep > size_ || count < 0 || count > size_ - vacant.last) {
    return "cannot take " + std::to_string(count) + " tokens out behind " +
           std::to_string(keep) + " of " + std::to_string(size_);
  }
  if (taken_out_ > 0 && keep != keep_) {
    return "the first " + std::to_string(keep_) +
           " tokens must be kept as before, got " + std::to_string(keep);
  }
  if (taken_out_ == 0 && keep + count > size_) {
    return "cannot take " + std::to_string(count) + " tokens out behind " +
           std::to_string(keep) + " of " + std::to_string(size_);
  }
  return std::nullopt;
}

void KvStore::Evict(int64_t keep, int64_t count) {
  ThrowIf(WhyNotEvict(keep, count));
  if (count == 0) return;
  keep_ = keep;
  taken_out_ += count;
  const int64_t first = TilesFor(keep_);
  const int64_t last = (keep_ + taken_out_) / kTile;
  values_.Drop(first, last);
  for (Tiles& tiles : keys_) tiles.Drop(first, last);
}

std::optional<std::string> WhyNotRenumber(const position::Plan& plan,
                                          DType type, int64_t keep,
                                          int64_t count) {
  if (count == 0) return std::nullopt;
  if (const auto reason = plan.WhyNotShift(count, keep)) return reason;
  if (keep > 0 && kernels::StoresQuants(type) && TurnsKeys(plan, count)) {
    return "the first " + std::to_string(keep) +
           " keys would have to be rotated, and rounded to " +
           std::string(InfoOf(type).name) +
           " a second time; keep 0 tokens, or store keys in f16";
  }
  return std::nullopt;
}

std::optional<std::string> KvStore::WhyNotClose(int64_t keep,
                                                int64_t open) const {
  if (open == 0) return std::nullopt;
  if (auto reason = WhyNotRenumber(*plan_, type_, keep, open)) return reason;
  for (const position::KeyStore& store : stores_) {
    for (int64_t id = store.OldestNeeded(size_ - open); id < keep;
         id += kTile - id % kTile) {
      if (keys_[0].Has(id / kTile) && values_.Has(id / kTile)) continue;
      return "token " + std::to_string(id) +
             " is gone: the window has passed it, and closed up it would be "
             "seen again";
    }
  }
  return std::nullopt;
}

std::optional<std::string> KvStore::WhyNotCloseGap() const {
  return WhyNotClose(keep_, taken_out_ - frame_);
}

std::optional<std::string> KvStore::WhyNotShift(int64_t keep,
                                                int64_t count) const {
  if (const auto reason = WhyNotEvict(keep, count)) return reason;
  return WhyNotClose(keep, taken_out_ - frame_ + count);
}

void KvStore::CloseGap() {
  ThrowIf(WhyNotCloseGap());
  const int64_t open = taken_out_ - frame_;
  if (open == 0) return;
  std::vector<float> raw(static_cast<size_t>(keep_ * shape_.G * shape_.D));
  const auto for_kept = [&](size_t s, const auto& body) {
    for (int64_t row = 0; row < keep_ * shape_.G; ++row) {
      const int64_t id = row / shape_.G;
      if (!keys_[0].Has(id / kTile) || !keys_[s].Has(id / kTile)) continue;
      body(id, row % shape_.G, raw.data() + row * shape_.D);
    }
  };
  for_kept(0, [&](int64_t id, int64_t g, float* key) {
    CopyKey(0, id, g, key);
    Unrotate(id, key);
  });
  const bool turns = TurnsKeys(*plan_, open);
  size_ -= open;
  frame_ = taken_out_;
  for (size_t s = turns ? 0 : 1; s < keys_.size(); ++s) {
    for_kept(s, [&](int64_t id, int64_t g, const float* key) {
      WriteKey(s, id, g, key);
    });
  }
  for (size_t s = 1; s < keys_.size(); ++s) FillFrom(*this, s);
}

std::optional<std::string> KvStore::WhyNotChangePlan(
    const position::Plan& plan) const {
  for (const position::FrequencyTable& table : plan.tables) {
    if (2 * static_cast<int64_t>(table.frequencies.size()) > shape_.D) {
      return std::to_string(table.frequencies.size()) +
             " rotary pairs do not fit heads of width " +
             std::to_string(shape_.D);
    }
  }
  if (frame_ != 0) {
    if (const auto reason = plan.WhyNotShift(frame_, keep_)) return reason;
  }
  for (const position::KeyStore& store : plan.KeyStores(nullptr)) {
    if (const auto id = FirstMissing(keys_[0], store, size_)) {
      return "token " + std::to_string(*id) +
             " is gone: the window so far did not keep it, and the new "
             "positions would see it";
    }
  }
  return std::nullopt;
}

void KvStore::ChangePlan(const position::Plan& plan) {
  ChangePlan(std::make_shared<const position::Plan>(plan));
}

void KvStore::ChangePlan(std::shared_ptr<const position::Plan> plan) {
  ThrowIf(WhyNotChangePlan(*plan));
  KvStore next(std::move(plan), shape_, type_, pool_);
  next.size_ = size_;
  next.keep_ = keep_;
  next.taken_out_ = taken_out_;
  next.frame_ = frame_;
  // Key stores that both plans rotate the same way are shared, not copied.
  const auto same = [&](size_t s, size_t t) {
    return next.stores_[s].key == stores_[t].key &&
           next.TableOf(next.stores_[s]) == TableOf(stores_[t]);
  };
  for (size_t s = 0; s < next.stores_.size(); ++s) {
    size_t t = 0;
    while (t < stores_.size() && !same(s, t)) ++t;
    if (t < stores_.size()) next.keys_[s] = keys_[t];
    if (t != 0) next.FillFrom(*this, s);
  }
  next.values_ = values_;
  next.DropUnreachable();
  *this = std::move(next);
}

KvImage KvStore::Image() const {
  KvImage image{.size = size_,
                .keep = keep_,
                .taken_out = taken_out_,
                .frame = frame_,
                .key_tile_bytes = keys_.front().tile_bytes(),
                .value_tile_bytes = values_.tile_bytes()};
  const auto tiles_of = [](const Tiles& tiles) {
    std::vector<KvImage::Tile> out;
    for (int64_t t = 0; t < tiles.count(); ++t) {
      if (tiles.Has(t)) out.push_back({t, tiles.At(t)});
    }
    return out;
  };
  for (const Tiles& tiles : keys_) image.keys.push_back(tiles_of(tiles));
  image.values = tiles_of(values_);
  return image;
}

void KvStore::Restore(const KvImage& image) {
  Require(image.keys.size() == keys_.size() &&
              image.key_tile_bytes == keys_.front().tile_bytes() &&
              image.value_tile_bytes == values_.tile_bytes(),
          "saved keys and values are not of the shape of this store");
  // No text is longer; this bounds what a file can make us allocate.
  constexpr int64_t kMostTokens = int64_t{1} << 24;
  Require(image.size <= kMostTokens && image.taken_out <= kMostTokens,
          "saved keys and values must be of at most " +
              std::to_string(kMostTokens) + " tokens, got " +
              std::to_string(image.size) + ", with " +
              std::to_string(image.taken_out) + " taken out");
  Require(image.size >= 0 && image.keep >= 0 && image.keep <= image.size &&
              image.frame >= 0 && image.frame <= image.taken_out &&
              image.taken_out - image.frame <= image.size - image.keep &&
              (image.taken_out > 0 || image.keep == 0),
          "the counts of saved keys and values contradict each other: size " +
              std::to_string(image.size) + ", kept " +
              std::to_string(image.keep) + ", taken out " +
              std::to_string(image.taken_out) + ", closed up " +
              std::to_string(image.frame));
  if (image.frame != 0) ThrowIf(plan_->WhyNotShift(image.frame, image.keep));
  KvStore next(plan_, shape_, type_, pool_);
  next.size_ = image.size;
  next.keep_ = image.keep;
  next.taken_out_ = image.taken_out;
  next.frame_ = image.frame;
  const int64_t end = TilesFor(next.Slots());
  const auto fill = [&](Tiles& to, const std::vector<KvImage::Tile>& from) {
    for (const KvImage::Tile& tile : from) {
      Require(tile.number >= 0 && tile.number < end && !to.Has(tile.number) &&
                  tile.data != nullptr,
              "saved keys and values must have each tile once, below " +
                  std::to_string(end) + ", got tile " +
                  std::to_string(tile.number));
      to.Add(tile.number);
      std::copy_n(tile.data, to.tile_bytes(), to.At(tile.number));
    }
  };
  fill(next.values_, image.values);
  for (size_t s = 0; s < keys_.size(); ++s) fill(next.keys_[s], image.keys[s]);
  for (size_t s = 0; s < keys_.size(); ++s) {
    const auto id =
        next.FirstMissing(next.keys_[s], next.stores_[s], next.size_);
    Require(!id, "saved keys and values are missing for token " +
                     std::to_string(id.value_or(0)));
  }
  *this = std::move(next);
}

}  // namespace ropewalk::attention
