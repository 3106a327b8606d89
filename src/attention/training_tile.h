// The working parts of training attention: memory laid out for the products,
// and the scores of one tile.
//
// A tile is a block of queries of one head against kKeyTile keys. Matrices that
// stand on the right of a product lie in panels of kPanel columns, so that the
// rows read together are neighbours in memory: with the rows of a packed
// projection 2 KiB apart, 64 of them fight for 8 sets of the L1 cache.

#ifndef ROPEWALK_ATTENTION_TRAINING_TILE_H_
#define ROPEWALK_ATTENTION_TRAINING_TILE_H_

#include <cstdint>
#include <vector>

#include "attention/arena.h"
#include "attention/training.h"
#include "attention/training_law.h"

namespace ropewalk::attention {

inline constexpr int64_t kKeyTile = 128;  // keys of a tile
inline constexpr int64_t kMaxBlock = 64;  // queries of a tile
inline constexpr int64_t kPanel = 64;  // columns of a panel: 4 AVX-512 vectors
inline constexpr int64_t kGrain = 16;  // keys computed together

inline int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// [rows, width] as panels [width / kPanel, rows, kPanel].
struct Panels {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t width = 0;

  static int64_t Floats(int64_t rows, int64_t width) {
    return CeilDivide(width, kPanel) * kPanel * rows;
  }
  // Copies `count` rows to those from `first` on.
  void Put(const float* x, int64_t stride, int64_t first, int64_t count);
  void Zero(int64_t first, int64_t count);
};

// c += a times rows [first, first + depth) of the panels, a as in Gemm.
struct PanelProduct {
  const float* a = nullptr;  // [rows, depth]
  int64_t a_stride = 0;
  int64_t a_step = 1;
  int64_t rows = 0;
  const Panels* b = nullptr;
  int64_t first = 0;
  int64_t depth = 0;
  float* c = nullptr;  // [rows, width of the panels]
  int64_t c_stride = 0;
};
void Accumulate(const PanelProduct& product);

// x[r, :] *= scales[r], in place.
void ScaleRows(float* x, int64_t stride, int64_t rows, int64_t width,
               const float* scales);

// What every task of a call shares. Borrows the input and the tables.
struct TrainingCall {
  TrainingCall(const TrainingInput& input, TrainingScratch& scratch);

  const TrainingInput& input;
  Law law;
  std::vector<RotationRows> query_rows;  // of each query turn
  std::vector<RotationRows> key_rows;
  std::vector<double> scales;  // [T]: s(i) / sqrt(D)

  int64_t query_turns() const {
    return static_cast<int64_t>(law.query_turns.size());
  }
  int64_t key_turns() const {
    return static_cast<int64_t>(law.key_turns.size());
  }
  double HeadScale(int64_t h) const {
    return input.head_scale == nullptr ? 1 : input.head_scale[h];
  }
  const float* Q(int64_t b, int64_t t, int64_t h) const {
    const TrainingShape& s = input.shape;
    return input.q + (b * s.T + t) * input.q_stride + h * s.D;
  }
  const float* K(int64_t b, int64_t j, int64_t g) const {
    const TrainingShape& s = input.shape;
    return input.k + (b * s.S + j) * input.k_stride + g * s.D;
  }
  const float* V(int64_t b, int64_t j, int64_t g) const {
    const TrainingShape& s = input.shape;
    return input.v + (b * s.S + j) * input.v_stride + g * s.Dv;
  }

  // s(i) / sqrt(D) of queries [begin, begin + rows), times `factor`.
  void Scales(int64_t begin, int64_t rows, double factor, float* scales) const;
  // Queries [begin, begin + rows) of a head under a turn, scaled and times
  // `factor`, to y [rows, D].
  void TurnQueries(int64_t turn, int64_t b, int64_t h, int64_t begin,
                   int64_t rows, double factor, float* y) const;
  // Keys of one tile under a turn, to y [kKeyTile, D]; zeros where none are.
  void TurnKeys(int64_t turn, int64_t b, int64_t g, int64_t first,
                int64_t limit, float* y) const;
};

// Scores of a tile.
struct TileScores {
  const TrainingCall* call = nullptr;
  const float* queries = nullptr;  // [query turns] of [rows, D]
  int64_t query_step = 0;          // from turn to turn
  const float* keys = nullptr;     // [key turns] of [D, kKeyTile]
  int64_t key_step = 0;
  int64_t begin = 0;  // first query
  int64_t rows = 0;
  int64_t first = 0;          // first key of the tile
  float* scores = nullptr;    // [rows, kKeyTile], filled at the view's hull
  float* other = nullptr;     // the same, for a second piece
  int64_t stride = kKeyTile;  // of both

  void Compute(const TileView& view) const;

 private:
  void Product(const Piece& piece, position::KeyRange keys, float* out) const;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_TRAINING_TILE_H_
