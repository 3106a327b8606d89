// From a rendered conversation to ids.

#ifndef ROPEWALK_ENGINE_CHAT_ENCODER_H_
#define ROPEWALK_ENGINE_CHAT_ENCODER_H_

#include <string>
#include <vector>

#include "base/token.h"
#include "jinja/text.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

// The marks in `pieces` that the template wrote and the vocabulary finds even
// in plain text, as user-defined pieces.
std::vector<std::string> PlainMarks(const tokenizer::Tokenizer& tokenizer,
                                    const std::vector<jinja::Piece>& pieces);

// The ids of `pieces`, without the begin token that the file may want in front.
// Control pieces in parts of the template become tokens; other text is encoded
// as it stands between them, whatever its origin. Where the input has one of
// `plain_marks`, its text is cut behind the first byte of it, so that no
// vocabulary reads the mark.
std::vector<Token> EncodePieces(const tokenizer::Tokenizer& tokenizer,
                                const std::vector<jinja::Piece>& pieces,
                                const std::vector<std::string>& plain_marks);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_CHAT_ENCODER_H_
