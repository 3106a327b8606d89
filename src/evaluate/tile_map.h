// Which way each block of an attention call takes.

#ifndef ROPEWALK_EVALUATE_TILE_MAP_H_
#define ROPEWALK_EVALUATE_TILE_MAP_H_

#include <cstdint>
#include <vector>

#include "position/plan.h"

namespace ropewalk::evaluate {

// A prompt of `length` tokens as strips of AVX-512 take it: blocks of 8 keys
// against the heads of a group times so many tokens that they fill 48 lanes.
struct TileMap {
  enum class Kind {
    kSkipped,  // masked: not computed at all
    kWhole,    // one band, every pair: no mask, no choice
    kPart,     // one band, some pairs masked
    kMixed,    // several bands, each computed, chosen by lane
  };
  struct Cell {
    Kind kind = Kind::kSkipped;
    int64_t band = 0;  // the first that it touches
    int64_t bands = 0;
  };
  int64_t length = 0;
  int64_t strip_tokens = 0;
  int64_t block_keys = 0;
  std::vector<std::vector<Cell>> rows;  // [strips][blocks]

  // Blocks computed, one for each band that is, over the blocks that touch
  // any: 1 is a scheme with one band.
  double WorkRatio() const;
  int64_t Count(Kind kind) const;
};

// `group`: query heads that share a key head.
TileMap MapTiles(const position::Plan& plan, int64_t length, int64_t group);

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_TILE_MAP_H_
