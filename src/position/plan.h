// A plan: what a position scheme comes to once model and length are known.
//
// Every scheme says by which effective distance the score of query i and key
// j is rotated, which pairs it masks, and how it scales the score. All of them
// are piecewise, and within a piece the query's angle depends on i alone and
// the key's on j alone. A piece is a Band; a Plan is a short list of them, and
// the first band that selects a pair decides. The attention loops read plans
// and never learn a scheme's name.
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

// Larger than any position, small enough to add to one.
inline constexpr int64_t kUnbounded = int64_t{1} << 60;

// Position ids [first, last), not clipped to those that exist.
struct KeyRange {
  int64_t first = 0;
  int64_t last = 0;
};

// Which keys a band serves. KeysOf is an interval for every query, and both of
// its ends never fall as the query moves on; tiles rely on both facts.
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

// The position at which a query or key of id i is rotated:
// min(cap, offset + f(i)), f chosen by kind.
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
  // By how much the position grows from one id to the next where it grows
  // evenly: short of the cap, within a floor's or a modulo's step.
  double Pace() const { return kind == Kind::kScaled ? scale : 1; }
  // Rotation by 0 for every id: such keys are stored as they are.
  bool IsZero() const {
    return kind == Kind::kScaled && scale == 0 && offset == 0;
  }
  bool operator==(const PositionMap&) const = default;
};

inline PositionMap Identity() { return {}; }
inline PositionMap Constant(double position) {
  return {.scale = 0, .offset = position};
}

// Pair m of a head is rotated by position * frequencies[m]; pairs beyond the
// table, if any, are left alone (partial rotary). An empty table rotates
// nothing. `magnitude` multiplies cos and sin on both sides.
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

// The factor s(i) on the score of query i, beside 1/sqrt(D); n = i + 1.
struct ScoreScale {
  enum class Kind {
    kNone,     // 1
    kLogN,     // ln max(n, 16) / ln base           (posts 8823, 9588)
    kClip,     // max(1, ln n / ln train_length)    (post 9706)
    kLearned,  // ln n, times a learned scalar a head (arXiv 2501.19399)
  };
  Kind kind = Kind::kNone;
  int64_t length = 512;  // the base, or the train length

  double operator()(int64_t i) const;
  bool operator==(const ScoreScale&) const = default;
};

// One way in which keys are stored: which rotation they carry, and for how
// long they are needed.
struct KeyStore {
  PositionMap key;
  int64_t table = 0;
  int64_t reach = 0;       // keys with i - j < reach are needed by query i
  int64_t first_kept = 0;  // keys j < first_kept are needed for ever

  // Oldest key that query i, or any later one, reads; but for those kept.
  int64_t OldestNeeded(int64_t i) const {
    return i - reach + 1 > 0 ? i - reach + 1 : 0;
  }
};

struct Plan {
  std::vector<Band> bands;
  std::vector<FrequencyTable> tables;
  ScoreScale scale;
  bool operator==(const Plan&) const = default;

  // Index of the band that decides the pair, or nothing where it is masked.
  std::optional<int64_t> BandOf(int64_t i, int64_t j) const;

  // Distance r by which the pair is rotated against each other, in the units
  // of its band's table; nothing where the pair is masked.
  std::optional<double> EffectiveDistance(int64_t i, int64_t j) const;

  // The bands that decide pairs with j > i where attention looks both ways, in
  // order; nobody but the training attention does. They mirror those above in
  // the diagonal: selection by |i - j|, and r(i, j) = -r(j, i). A far band's
  // query offset turns round, so that its keys are rotated as they were:
  // rerope (-w, 0), leaky-rerope ((i + w) / k - w, j / k).
  //
  // Throws std::invalid_argument where a band does not select by distance.
  std::vector<Band> Mirror() const;

  // The distinct key rotations, the longest-reaching first: one main store,
  // and a near ring beside it where the plan needs one. store_of[b] is the
  // store that band b reads.
  std::vector<KeyStore> KeyStores(std::vector<int64_t>* store_of) const;

  // Why scores change when every id of queries and keys, and every position,
  // moves by `shift`; nothing where they stay. Keys below `fixed` keep their
  // ids.
  std::optional<std::string> WhyNotShift(int64_t shift, int64_t fixed) const;

  // Distance i - j at or beyond which no key is read but those kept for ever;
  // kUnbounded for none.
  int64_t Reach() const;
};

// One plan a layer.
using Stack = std::vector<Plan>;

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_PLAN_H_
