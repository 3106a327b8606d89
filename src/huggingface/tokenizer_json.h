// A tokenizer.json as the keys of a GGUF file.

#ifndef ROPEWALK_HUGGINGFACE_TOKENIZER_JSON_H_
#define ROPEWALK_HUGGINGFACE_TOKENIZER_JSON_H_

#include <cstdint>
#include <string>

#include "formats/gguf_metadata.h"
#include "formats/json_file.h"
#include "huggingface/tokenizer_pieces.h"

namespace ropewalk::huggingface {

// Sets model, pre, tokens, token_type, scores, merges, the options of spaces
// and ropewalk.tokenizer.pipeline from `json`, the file at `path`. The
// vocabulary has at least `least_size` tokens. Returns the pieces, to look
// special tokens up. Throws FormatError.
TokenizerPieces ReadTokenizerJson(const std::string& path, formats::Json json,
                                  int64_t least_size,
                                  formats::Metadata& metadata);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_TOKENIZER_JSON_H_
