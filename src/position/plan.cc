#include "position/plan.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/error.h"

namespace ropewalk::position {
namespace {

int64_t FloorDivide(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

// True if both maps have the same f(i) and no cap.
bool SamePace(const PositionMap& a, const PositionMap& b) {
  return a.kind == b.kind && a.scale == b.scale && a.divisor == b.divisor &&
         std::isinf(a.cap) && std::isinf(b.cap);
}

}  // namespace

KeyRange Selector::KeysOf(int64_t i) const {
  switch (kind) {
    case Kind::kDistance:
      return {i - high + 1, i - low + 1};
    case Kind::kKeyBelow:
      return {0, high};
    case Kind::kChunkStep: {
      const int64_t own = FloorDivide(i, chunk);
      // `high` may be kUnbounded; stopping at chunk 0 keeps the product small.
      const int64_t back = std::min<int64_t>(high - 1, own);
      return {(own - back) * chunk, (own - low + 1) * chunk};
    }
  }
  return {};
}

double PositionMap::operator()(int64_t i) const {
  double position = offset;
  switch (kind) {
    case Kind::kScaled:
      position += scale * static_cast<double>(i);
      break;
    case Kind::kFloor:
      position += static_cast<double>(FloorDivide(i, divisor));
      break;
    case Kind::kModulo:
      position += static_cast<double>(i - FloorDivide(i, divisor) * divisor);
      break;
  }
  return std::min(position, cap);
}

double ScoreScale::operator()(int64_t i) const {
  const auto n = static_cast<double>(i + 1);
  const auto base = static_cast<double>(length);
  switch (kind) {
    case Kind::kNone:
      return 1;
    case Kind::kLogN:
      // Below 16 tokens the factor would flatten the scores. bert4keras clips
      // at 16, and so do we.
      return std::log(std::max(n, 16.0)) / std::log(base);
    case Kind::kClip:
      return std::max(1.0, std::log(n) / std::log(base));
    case Kind::kLearned:
      return std::log(n);
  }
  return 1;
}

std::optional<int64_t> Plan::BandOf(int64_t i, int64_t j) const {
  if (j > i || j < 0) return std::nullopt;
  for (size_t b = 0; b < bands.size(); ++b) {
    const KeyRange keys = bands[b].selector.KeysOf(i);
    if (keys.first <= j && j < keys.last) return static_cast<int64_t>(b);
  }
  return std::nullopt;
}

std::optional<double> Plan::EffectiveDistance(int64_t i, int64_t j) const {
  const std::optional<int64_t> b = BandOf(i, j);
  if (!b) return std::nullopt;
  const Band& band = bands[static_cast<size_t>(*b)];
  return band.query(i) - band.key(j);
}

std::vector<Band> Plan::Mirror() const {
  std::vector<Band> mirror;
  for (const Band& band : bands) {
    Require(band.selector.kind == Selector::Kind::kDistance,
            "position: bidirectional attention needs a scheme whose bands "
            "select keys by distance; dca selects by chunk, and sink-window "
            "selects the first tokens");
    Band back = band;
    // low <= j - i < high, without j = i, which `bands` already serve.
    back.selector.low = 1 - band.selector.high;
    back.selector.high = std::min<int64_t>(0, 1 - band.selector.low);
    if (back.selector.low >= back.selector.high) continue;
    if (SamePace(band.query, band.key)) {
      // f(i) - f(j) + b - a, the keys still at f(j) + b
      back.query.offset = 2 * band.key.offset - band.query.offset;
    } else {
      std::swap(back.query, back.key);
    }
    mirror.push_back(back);
  }
  return mirror;
}

std::vector<KeyStore> Plan::KeyStores(std::vector<int64_t>* store_of) const {
  struct Entry {
    KeyStore store;
    std::vector<size_t> served;
  };
  std::vector<Entry> entries;
  for (size_t b = 0; b < bands.size(); ++b) {
    const Band& band = bands[b];
    const auto same = [&](const Entry& entry) {
      return entry.store.key == band.key && entry.store.table == band.table;
    };
    auto entry = std::find_if(entries.begin(), entries.end(), same);
    if (entry == entries.end()) {
      entries.push_back({{.key = band.key, .table = band.table}, {}});
      entry = entries.end() - 1;
    }
    entry->served.push_back(b);
    KeyStore& store = entry->store;
    switch (band.selector.kind) {
      case Selector::Kind::kDistance:
        store.reach = std::max(store.reach, band.selector.high);
        break;
      case Selector::Kind::kKeyBelow:
        store.first_kept = std::max(store.first_kept, band.selector.high);
        break;
      case Selector::Kind::kChunkStep:
        // A bounded step could bound the reach, but no scheme consists of
        // bounded steps alone.
        store.reach = kUnbounded;
        break;
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) {
                     return a.store.reach > b.store.reach;
                   });
  std::vector<KeyStore> stores;
  if (store_of != nullptr) store_of->assign(bands.size(), 0);
  for (const Entry& entry : entries) {
    if (store_of != nullptr) {
      for (const size_t b : entry.served) {
        (*store_of)[b] = static_cast<int64_t>(stores.size());
      }
    }
    stores.push_back(entry.store);
  }
  return stores;
}

std::optional<std::string> Plan::WhyNotShift(int64_t shift,
                                             int64_t fixed) const {
  for (const Band& band : bands) {
    const Selector& selector = band.selector;
    if (selector.kind == Selector::Kind::kChunkStep &&
        shift % selector.chunk != 0) {
      return "positions count in chunks of " + std::to_string(selector.chunk) +
             ", and " + std::to_string(shift) + " is not a multiple of that";
    }
    if (selector.kind == Selector::Kind::kKeyBelow && fixed < selector.high) {
      return "the first " + std::to_string(selector.high) +
             " tokens have a band of their own, but only " +
             std::to_string(fixed) + " tokens are kept";
    }
    double moves[2];
    const PositionMap* maps[2] = {&band.query, &band.key};
    for (int side = 0; side < 2; ++side) {
      const PositionMap& map = *maps[side];
      if (map.kind != PositionMap::Kind::kScaled && shift % map.divisor != 0) {
        return "positions count in groups of " + std::to_string(map.divisor) +
               ", and " + std::to_string(shift) + " is not a multiple of that";
      }
      if (map.kind != PositionMap::Kind::kModulo && !std::isinf(map.cap)) {
        return "queries see the first keys from a fixed position, so that "
               "tokens need not be taken out and ids cannot be closed up";
      }
      PositionMap plain = map;
      plain.cap = std::numeric_limits<double>::infinity();
      moves[side] = plain(shift) - plain(0);
    }
    if (moves[0] != moves[1]) {
      return "the positions of queries and keys grow at different rates";
    }
  }
  return std::nullopt;
}

int64_t Plan::Reach() const {
  int64_t reach = 0;
  for (const KeyStore& store : KeyStores(nullptr)) {
    reach = std::max(reach, store.reach);
  }
  return reach;
}

}  // namespace ropewalk::position
