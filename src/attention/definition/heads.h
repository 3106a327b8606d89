// The heads of an attention layer: how many, how wide, and what becomes of a
// score.

#ifndef ROPEWALK_ATTENTION_DEFINITION_HEADS_H_
#define ROPEWALK_ATTENTION_DEFINITION_HEADS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ropewalk::attention {

inline constexpr int64_t kValueBlock = 128;  // columns of a value

struct HeadShape {
  int64_t H = 0;            // query heads
  int64_t G = 0;            // key and value heads; H is a multiple of G
  int64_t D = 0;            // head width: of queries and keys
  int64_t value_width = 0;  // of values and outputs; 0 for D
  // On the product of query and key; 0 for 1/sqrt(D).
  double score_factor = 0;
  // A score s becomes softcap tanh(s / softcap); 0 for none.
  double softcap = 0;

  int64_t Group() const { return H / G; }
  int64_t ValueWidth() const { return value_width > 0 ? value_width : D; }
  // Column blocks of a value; all but the last are kValueBlock wide.
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
  // What softmax gets of a score: the last step after every factor, those of
  // the plan and of the head among them.
  double Capped(double score) const {
    return softcap > 0 ? softcap * std::tanh(score / softcap) : score;
  }
  bool operator==(const HeadShape&) const = default;
};

// A factor or cap outside of these has no use, and float32 no room for it.
inline constexpr double kLeastScoreNumber = 1e-6;
inline constexpr double kMostScoreNumber = 1e9;

// Throws std::invalid_argument when the shape makes no sense.
void Validate(const HeadShape& shape);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_HEADS_H_
