// What the attention of every layer was given while a text was read.

#ifndef ROPEWALK_EVALUATE_ATTENTION_INPUTS_H_
#define ROPEWALK_EVALUATE_ATTENTION_INPUTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/token.h"
#include "engine/engine.h"
#include "evaluate/scorer.h"
#include "position/plan.h"

namespace ropewalk::evaluate {

// Of one layer.
struct AttentionSeen {
  std::vector<float> queries;     // [asked, H, D], not rotated
  std::vector<float> keys;        // [n, G, D], not rotated, behind key norm
  std::vector<float> head_scale;  // [H] of a learned log n scale, or empty
};

// Reads `ids` in a context of its own, [L] layers. Keys are those of all ids,
// in f32, as large as the key half of a context; queries those from
// `first_query` on.
//
//   on_tokens   called as Scorer calls it, with the tokens read and
//               the work of ModelScorer::Work; may throw (Interrupted)
//
// Throws std::invalid_argument for an id outside the vocabulary.
std::vector<AttentionSeen> ReadAttention(
    engine::Engine& engine, const position::Stack& stack,
    std::span<const Token> ids, int64_t first_query,
    const OnTokens& on_tokens = [](int64_t, double) {});

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_ATTENTION_INPUTS_H_
