// Attends with few queries: the work of a decode step.
//
// Keys and values are read once from memory, in whatever type they are stored,
// and used for all rows. A long store is cut into parts that workers share;
// each part gives a maximum, a sum and an output that is not yet divided, and
// Merge puts them together in order. Where the cuts are depends on the store
// alone, so that a result has the same bits with any number of threads.

#ifndef ROPEWALK_ATTENTION_SERVING_ROW_WORKER_H_
#define ROPEWALK_ATTENTION_SERVING_ROW_WORKER_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attention/serving/share.h"

namespace ropewalk::attention {

// Tokens of a share: up to 16 rows, heads times tokens, this is the faster way.
// One token is always taken here, as its store can be cut into parts.
inline int64_t RowTokens(const HeadShape& shape) {
  return std::max<int64_t>(1, 16 / shape.Group());
}

// Slots that one part takes: some 256 KiB of a head's keys and values, whole
// tiles, at most 2048.
int64_t PartSlots(const HeadShape& shape, DType type);

// Floats of the partial result of one part.
int64_t PartialFloats(const HeadShape& shape);

class RowWorker {
 public:
  RowWorker(const BandedAttention& attention, DType type,
            const float* head_scale, Arena& arena);

  // Writes the result of the share, or its partial one to `partial`.
  void Run(const Share& share, float* partial);

  // The partial results [parts] of one share, into its result.
  static void Merge(const HeadShape& shape, const Share& share,
                    const float* partials, int64_t parts);

 private:
  bool Score(int64_t first, int64_t last);
  void Product(const View& view, int64_t tile, int64_t first, int64_t last,
               float* scores);
  const void* Next(int64_t tile, int64_t block, int64_t last) const;
  void RotateFor(int64_t band);
  int64_t TokenOf(int64_t row) const { return row / shape_.Group(); }

  const BandedAttention& attention_;
  const HeadShape& shape_;
  const DType type_;
  const float* head_scale_;
  Share share_;
  std::vector<View> views_;
  std::vector<Bounds> bounds_;
  std::vector<bool> rotated_;
  int64_t capacity_;  // most rows of a share
  int64_t rows_ = 0;

  float* queries_;   // [bands, capacity, D]
  int16_t* quants_;  // the same as 16-bit integers, for q8_0
  float* quant_scales_;
  float* scores_;  // [rows, kTile]
  float* other_;   // [rows, kTile]
  float* output_;  // [rows, width]
  float* maxima_;
  double* sums_;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_ROW_WORKER_H_
