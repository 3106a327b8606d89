// The definition of attention to memories (attention/serving/memory_keys.h), in
// float64.

#ifndef ROPEWALK_ATTENTION_DEFINITION_MEMORY_REFERENCE_H_
#define ROPEWALK_ATTENTION_DEFINITION_MEMORY_REFERENCE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "attention/definition/heads.h"
#include "position/plan.h"

namespace ropewalk::attention {

// Tokens that queries attend to beside their own text. Query i meets key j of
// the memory at the distance query(i) - key(j).
struct ReferenceMemory {
  position::PositionMap query;
  position::PositionMap key;
  position::FrequencyTable table;
  double sharpness = 1;
  double bias = 0;                 // nats
  int64_t from = 0;                // the first id that attends to the memory
  std::span<const double> keys;    // [m, G, D], not rotated
  std::span<const double> values;  // [m, G, ValueWidth()]
};

// The output [n, H, ValueWidth()] for a text of ids [0, n): one softmax over
// the text, as in ReferenceAttention, and the memory. The score of query i with
// key j of the memory is
//
//   cap(head_scale s(i + m) factor sharpness
//       <q rotated by query(i) - key(j), k>) + bias
//
// and the scale of the plan counts m tokens more for the text's own keys too.
// Queries below `from` are those of ReferenceAttention.
std::vector<double> ReferenceMemoryAttention(const position::Plan& plan,
                                             const HeadShape& shape,
                                             std::span<const double> queries,
                                             std::span<const double> keys,
                                             std::span<const double> values,
                                             std::span<const double> head_scale,
                                             const ReferenceMemory& memory);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_MEMORY_REFERENCE_H_
