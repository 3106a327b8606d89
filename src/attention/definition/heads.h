// The heads of an attention layer: their number, their widths, and the factor
// and soft-cap of their scores.

#ifndef ROPEWALK_ATTENTION_DEFINITION_HEADS_H_
#define ROPEWALK_ATTENTION_DEFINITION_HEADS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ropewalk::attention {

inline constexpr int64_t kValueBlock = 128;  // columns of a value in a block

struct HeadShape {
  int64_t H = 0;            // query heads
  int64_t G = 0;            // key and value heads; H is a multiple of G
  int64_t D = 0;            // head width: of queries and keys
  int64_t value_width = 0;  // of values and outputs; 0 for D
  // Multiplies the product of query and key; 0 stands for 1/sqrt(D).
  double score_factor = 0;
  // A score s becomes softcap tanh(s / softcap); 0 means no soft-cap.
  double softcap = 0;

  int64_t Group() const { return H / G; }
  int64_t ValueWidth() const { return value_width > 0 ? value_width : D; }
  // The number of column blocks of a value; all but the last are kValueBlock
  // wide.
  int64_t ValueBlocks() const {
    return (ValueWidth() + kValueBlock - 1) / kValueBlock;
  }
  int64_t BlockWidth(int64_t block) const {
    return std::min(kValueBlock, ValueWidth() - block * kValueBlock);
  }
  double ScoreFactor() const {
    return score_factor > 0 ? score_factor
                            : 1 / std::sqrt(static_cast<double>(D));
  }
  // Applies the soft-cap to a score, after all factors including those of plan
  // and head.
  double Capped(double score) const {
    return softcap > 0 ? softcap * std::tanh(score / softcap) : score;
  }
  bool operator==(const HeadShape&) const = default;
};

// Limits of a score factor and of a soft-cap. Others have no use, and float32
// could not hold the scores.
inline constexpr double kLeastScoreNumber = 1e-6;
inline constexpr double kMostScoreNumber = 1e9;

// Throws std::invalid_argument unless numbers and widths of heads fit together
// and factor and soft-cap are 0 or within the limits.
void Validate(const HeadShape& shape);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_HEADS_H_
