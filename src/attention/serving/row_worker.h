// Attends with few queries: the work of a decode step.
//
// Keys and values are read from memory once, in the type they are stored in,
// and used for all rows. A long store is divided into parts for several
// workers. Each part gives a maximum, a sum and an output that is not yet
// divided by the sum; Merge combines them in order. The size of parts depends
// on the store alone, so a result has the same bits with any number of threads.

#ifndef ROPEWALK_ATTENTION_SERVING_ROW_WORKER_H_
#define ROPEWALK_ATTENTION_SERVING_ROW_WORKER_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attention/serving/share.h"

namespace ropewalk::attention {

// The most tokens of a share: up to 16 rows (heads times tokens) rows are
// faster than strips. One token is always computed here, because its store can
// be divided into parts.
inline int64_t RowTokens(const HeadShape& shape) {
  return std::max<int64_t>(1, 16 / shape.Group());
}

// The slots of one part: whole tiles with about 256 KiB of a head's keys and
// values, at most 2048 slots.
int64_t PartSlots(const HeadShape& shape, DType type);

// The floats of the partial result of one part.
int64_t PartialFloats(const HeadShape& shape);

class RowWorker {
 public:
  RowWorker(const BandedAttention& attention, DType type,
            const float* head_scale, Arena& arena);

  // Writes the output of the share or, if it is a part, its partial result to
  // `partial`.
  void Run(const Share& share, float* partial);

  // Combines the partial results [parts] of one share into its output.
  static void Merge(const HeadShape& shape, const Share& share,
                    const float* partials, int64_t parts);

 private:
  bool Score(int64_t first, int64_t last);
  void Product(const BandView& view, int64_t tile, int64_t first, int64_t last,
               float* scores);
  const void* Next(int64_t tile, int64_t block, int64_t last) const;
  void RotateFor(int64_t band);
  int64_t TokenOf(int64_t row) const { return row / shape_.Group(); }

  const BandedAttention& attention_;
  const HeadShape& shape_;
  const DType type_;
  const float* head_scale_;
  Share share_;
  std::vector<BandView> views_;
  std::vector<Bounds> bounds_;
  std::vector<bool> rotated_;
  int64_t capacity_;  // most rows of a share
  int64_t rows_ = 0;

  float* queries_;   // [bands + 1, capacity, D], the last for memories
  int16_t* quants_;  // queries as integers, for quantised keys
  float* quant_scales_;
  float* scores_;  // [rows, kTile]
  float* other_;   // [rows, kTile]
  float* output_;  // [rows, width]
  float* maxima_;
  double* sums_;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_ROW_WORKER_H_
