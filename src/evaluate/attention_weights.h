// What the heads of a layer attend to: weights of single queries over all keys,
// and what is said of them in a few numbers.
//
// Scores are those of attention/definition/scores.h, in float64 from inputs
// that a probe has collected. Only the order differs: queries and keys are
// rotated first and multiplied then, so that a text of 16k tokens takes seconds
// a layer.

#ifndef ROPEWALK_EVALUATE_ATTENTION_WEIGHTS_H_
#define ROPEWALK_EVALUATE_ATTENTION_WEIGHTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "attention/definition/heads.h"
#include "base/parallel.h"
#include "evaluate/attention_inputs.h"
#include "position/plan.h"

namespace ropewalk::evaluate {

// The weights of one query.
struct WeightRow {
  std::vector<std::vector<double>> weights;  // [H][i + 1]; 0 where masked
  // [H]: ln of the weight of the query's own key, finite where that is seen,
  // even if the weight itself rounds to 0.
  std::vector<double> log_own;
  std::vector<double> entropies;  // [H], nats
  std::vector<int8_t> bands;  // [i + 1]: the band of each pair, -1 if masked
};

// Borrows plan and inputs, which must outlive it. Holds the keys of the layer
// in float64, once for each rotation of the plan. Immutable after construction.
class AttentionWeights {
 public:
  // `first_query`: the id of the first query in `seen`. Throws
  // std::invalid_argument if a table of the plan is wider than the heads.
  AttentionWeights(const position::Plan& plan,
                   const attention::HeadShape& shape, const AttentionSeen& seen,
                   int64_t first_query, ParallelFor& threads);

  // Of the query at id i, which `seen` must have.
  WeightRow RowOf(int64_t i) const;

  // The keys [n, G, D] as the first band reads them.
  const std::vector<double>& rotated_keys() const { return rotated_[0]; }

 private:
  const position::Plan& plan_;
  attention::HeadShape shape_;
  const AttentionSeen& seen_;
  int64_t first_query_;
  std::vector<size_t> rotation_of_;           // [bands]
  std::vector<std::vector<double>> rotated_;  // [rotations][n, G, D]
};

// So many first ids count as sinks.
inline constexpr int64_t kSinks = 4;

// Of one head and one query, or means over queries.
struct HeadFigures {
  double entropy = 0;  // nats
  // Parts of the attention; these three sum to 1.
  double sinks = 0;  // on the first kSinks ids
  double near = 0;   // on other keys of the band that reads the query's own key
  double far = 0;    // on keys of the other bands
  double source = 0;  // on one key asked about, whichever of the three it is
};

// Of [H] heads. `source`: the id of the key asked about, or -1 for none; a key
// that is not seen has none.
std::vector<HeadFigures> FiguresOf(const WeightRow& row, int64_t source);

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_ATTENTION_WEIGHTS_H_
