// A plan: what a position scheme gives one layer once model and length are
// known.
//
// A scheme says by which effective distance query i and key j are rotated
// against each other, which pairs are masked, and how scores are scaled. Every
// scheme is piecewise, and within a piece the query's angle depends on i alone
// and the key's angle on j alone. A piece is a Band, and a Plan is a short
// list of bands; the first band that selects a pair decides it. The attention
// loops read plans and do not know the names of schemes.
//
// i and j are position ids (0 is the first token of the sequence, padding not
// counted), not tensor indices. Attention is causal: pairs with j > i are
// masked, and so are pairs that no band selects.

#ifndef ROPEWALK_POSITION_PLAN_H_
#define ROPEWALK_POSITION_PLAN_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace ropewalk::position {

// Larger than any position, and still small enough that adding a position to
// it does not overflow.
inline constexpr int64_t kUnbounded = int64_t{1} << 60;

// Position ids [first, last); they may lie outside the sequence.
struct KeyRange {
  int64_t first = 0;
  int64_t last = 0;
};

// Which keys a band serves. KeysOf gives an interval for every query, and
// neither end of it falls as i grows. The attention loops rely on both facts.
struct Selector {
  enum class Kind {
    kDistance,   // low <= i - j < high
    kKeyBelow,   // j < high
    kChunkStep,  // low <= floor(i / chunk) - floor(j / chunk) < high
  };
  Kind kind = Kind::kDistance;
  int64_t low = 0;
  int64_t high = kUnbounded;
  int64_t chunk = 1;  // tokens, kChunkStep only

  KeyRange KeysOf(int64_t i) const;
  bool operator==(const Selector&) const = default;
};

// The position by which a query or key of id i is rotated:
// min(cap, offset + f(i)), where `kind` chooses f.
struct PositionMap {
  enum class Kind {
    kScaled,  // scale * i; scale 0 is a constant position
    kFloor,   // floor(i / divisor)
    kModulo,  // i mod divisor
  };
  Kind kind = Kind::kScaled;
  double scale = 1;
  int64_t divisor = 1;
  double offset = 0;
  double cap = std::numeric_limits<double>::infinity();

  double operator()(int64_t i) const;
  // The growth of f from one id to the next, or from one step to the next
  // where f is a floor.
  double Pace() const { return kind == Kind::kScaled ? scale : 1; }
  // True if every id is rotated by 0, so that keys are stored unrotated.
  bool IsZero() const {
    return kind == Kind::kScaled && scale == 0 && offset == 0;
  }
  bool operator==(const PositionMap&) const = default;
};

inline PositionMap Identity() { return {}; }
inline PositionMap Constant(double position) {
  return {.scale = 0, .offset = position};
}

// Pair m of a head is rotated by position * frequencies[m]. Pairs beyond the
// table are not rotated (partial rotary), so an empty table rotates nothing.
// `magnitude` multiplies the cos and sin of queries and of keys.
struct FrequencyTable {
  std::vector<double> frequencies;  // radians per token
  double magnitude = 1;
  bool operator==(const FrequencyTable&) const = default;
};

struct Band {
  Selector selector;
  PositionMap query;
  PositionMap key;
  int64_t table = 0;  // index into Plan::tables
  bool operator==(const Band&) const = default;
};

// The factor s(i) that multiplies the scores of query i in addition to
// 1/sqrt(D); n = i + 1.
struct ScoreScale {
  enum class Kind {
    kNone,     // 1
    kLogN,     // ln max(n, 16) / ln base           (posts 8823, 9588)
    kClip,     // max(1, ln n / ln train_length)    (post 9706)
    kLearned,  // ln n, times a learned scalar for each head (arXiv 2501.19399)
  };
  Kind kind = Kind::kNone;
  int64_t length = 512;  // the base of kLogN, the train length of kClip

  double operator()(int64_t i) const;
  bool operator==(const ScoreScale&) const = default;
};

// One of the rotations in which a plan reads its keys, and how long keys in
// this rotation must be kept.
struct KeyStore {
  PositionMap key;
  int64_t table = 0;
  int64_t reach = 0;       // keys with i - j < reach are needed by query i
  int64_t first_kept = 0;  // keys j < first_kept are always needed

  // The oldest key that query i or a later query reads, apart from those
  // below first_kept.
  int64_t OldestNeeded(int64_t i) const {
    return i - reach + 1 > 0 ? i - reach + 1 : 0;
  }
};

struct Plan {
  std::vector<Band> bands;
  std::vector<FrequencyTable> tables;
  ScoreScale scale;
  bool operator==(const Plan&) const = default;

  // Index of the band that decides the pair; nullopt if the pair is masked.
  std::optional<int64_t> BandOf(int64_t i, int64_t j) const;

  // Distance r by which query and key are rotated against each other, in
  // positions; nullopt if the pair is masked.
  std::optional<double> EffectiveDistance(int64_t i, int64_t j) const;

  // The bands that decide pairs with j > i in bidirectional attention, in
  // order. Only training attention uses them. They mirror `bands` in the
  // diagonal: they select by |i - j|, and r(i, j) = -r(j, i). Where possible
  // only the query's offset changes, so that keys keep their rotation. The far
  // bands (query, key) become (-w, 0) for rerope and
  // ((i + w) / k - w, j / k) for leaky-rerope.
  //
  // Throws std::invalid_argument where a band does not select by distance.
  std::vector<Band> Mirror() const;

  // The distinct key rotations, the one with the longest reach first: a main
  // store, and a near ring beside it where near keys are rotated differently.
  // store_of[b] is the index of the store that band b reads; `store_of` may be
  // null.
  std::vector<KeyStore> KeyStores(std::vector<int64_t>* store_of) const;

  // The reason why scores would change if all ids of queries and keys moved by
  // `shift`, while keys below `fixed` keep their ids; nullopt if scores stay.
  std::optional<std::string> WhyNotShift(int64_t shift, int64_t fixed) const;

  // The distance i - j from which on keys are not read, apart from those that
  // are always kept; kUnbounded if there is no such distance.
  int64_t Reach() const;
};

// One plan for each layer.
using Stack = std::vector<Plan>;

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_PLAN_H_
