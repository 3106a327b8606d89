// The tokenizer of a model folder as the keys of a GGUF file, and back.
//
// Read are tokenizer.json, or where there is none tokenizer.model or
// spiece.model of SentencePiece; beside it tokenizer_config.json,
// special_tokens_map.json, added_tokens.json, generation_config.json,
// config.json, chat_template.jinja, chat_template.json and the folder
// additional_chat_templates, those that are there.
//
// The keys tokenizer.ggml.* are those that llama.cpp's converter would write,
// so that llama.cpp encodes equally. Where no such key says what a
// tokenizer.json does, tokenizer.ggml.pre or tokenizer.ggml.model is a name
// that llama.cpp refuses. What GGUF cannot say stands in
// ropewalk.tokenizer.pipeline (tokenizer/pipeline.h).

#ifndef ROPEWALK_HUGGINGFACE_TOKENIZER_FILES_H_
#define ROPEWALK_HUGGINGFACE_TOKENIZER_FILES_H_

#include <string>

#include "formats/gguf_metadata.h"

namespace ropewalk::huggingface {

// Sets the keys tokenizer.* and ropewalk.tokenizer.* of `metadata` from the
// files of `folder`. Throws IoError, and FormatError naming file and construct
// for what is broken or not known, and if there is no tokenizer.
void ReadTokenizerFiles(const std::string& folder, formats::Metadata& metadata);

// Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json,
// generation_config.json and chat templates to `folder`, which must exist, so
// that `tokenizers` and transformers encode as the keys say. Throws IoError,
// and FormatError for keys that are wrong or that a tokenizer.json cannot say.
void WriteTokenizerFiles(const formats::Metadata& metadata,
                         const std::string& folder);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_TOKENIZER_FILES_H_
