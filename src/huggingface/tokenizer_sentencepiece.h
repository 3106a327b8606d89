// SentencePiece's tokenizer.model as the keys of a GGUF file.
//
// The file is a message of Protocol Buffers (sentencepiece_model.proto), read
// here by hand: of its fields, a tokenizer needs a dozen.

#ifndef ROPEWALK_HUGGINGFACE_TOKENIZER_SENTENCEPIECE_H_
#define ROPEWALK_HUGGINGFACE_TOKENIZER_SENTENCEPIECE_H_

#include <string>
#include <string_view>

#include "formats/gguf_metadata.h"
#include "huggingface/tokenizer_config.h"
#include "huggingface/tokenizer_pieces.h"

namespace ropewalk::huggingface {

// Sets model ("llama" for BPE, "t5" for unigram), pre, tokens, token_type,
// scores and the options of spaces from the bytes of the file at `path`, and
// the tokens that added_tokens.json and tokenizer_config.json add. Throws
// FormatError for bytes that are no such message and for other models.
TokenizerPieces ReadSentencePieceModel(const std::string& path,
                                       std::string_view bytes,
                                       const TokenizerConfig& config,
                                       formats::Metadata& metadata);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_TOKENIZER_SENTENCEPIECE_H_
