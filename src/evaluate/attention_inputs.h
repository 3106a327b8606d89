// The inputs of the attention of every layer, collected while a text is read.

#ifndef ROPEWALK_EVALUATE_ATTENTION_INPUTS_H_
#define ROPEWALK_EVALUATE_ATTENTION_INPUTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/token.h"
#include "engine/engine.h"
#include "evaluate/scorer.h"
#include "position/plan.h"

namespace ropewalk::evaluate {

// The inputs of one layer.
struct AttentionSeen {
  std::vector<float> queries;     // [asked, H, D], not rotated
  std::vector<float> keys;        // [n, G, D], not rotated, after any key norm
  std::vector<float> head_scale;  // [H], of a learned log n scale; else empty
};

struct CollectOptions {
  // [L]: the layers to collect, which saves memory; the others stay empty. No
  // entries: all layers.
  std::vector<bool> layers;
  DType kv_type = DType::kF32;  // of the context's keys and values
};

// Reads `ids` in a context of its own and returns the inputs of [L] layers: the
// keys of all ids in f32, and the queries from `first_query` on.
//
//   on_tokens   called as Scorer calls it, with the tokens read and
//               the work of ModelScorer::Work; may throw (Interrupted)
//
// Throws std::invalid_argument for an id outside the vocabulary.
std::vector<AttentionSeen> ReadAttention(
    engine::Engine& engine, const position::Stack& stack,
    std::span<const Token> ids, int64_t first_query,
    const OnTokens& on_tokens = [](int64_t, const Workload&) {},
    const CollectOptions& options = {});

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_ATTENTION_INPUTS_H_
