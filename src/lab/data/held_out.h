// Long pieces of held-out text to judge a model by; evaluate/ scores them.

#ifndef ROPEWALK_LAB_DATA_HELD_OUT_H_
#define ROPEWALK_LAB_DATA_HELD_OUT_H_

#include <cstdint>
#include <vector>

#include "base/token.h"
#include "lab/data/token_file.h"

namespace ropewalk::lab::data {

// At most `count` pieces of `size` ids out of `documents`, in order. Pieces
// are dealt to the long enough documents in turn, lie evenly spread from a
// document's begin to its end (a single one at its end) and never overlap or
// cross into another document. Fewer where the text holds no more, none where
// every document is too short. For lengths up to L, size is L + 1.
std::vector<std::vector<Token>> HeldOutPieces(
    const TokenFile& tokens, const std::vector<int64_t>& documents,
    int64_t size, int64_t count);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_HELD_OUT_H_
