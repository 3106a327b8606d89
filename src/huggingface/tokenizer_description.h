// The vocabulary of a GGUF file as a tokenizer.json.

#ifndef ROPEWALK_HUGGINGFACE_TOKENIZER_DESCRIPTION_H_
#define ROPEWALK_HUGGINGFACE_TOKENIZER_DESCRIPTION_H_

#include "formats/gguf_metadata.h"
#include "formats/json_file.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::huggingface {

// What ropewalk.tokenizer.pipeline would say, were it there, with the model's
// `vocab` and `merges` in it: steps in the order in which tokenizer/ encodes by
// the keys tokenizer.ggml.*. Throws FormatError for keys that are wrong and,
// naming them, for those that a tokenizer.json cannot say.
formats::Json DescribeVocabulary(const formats::Metadata& metadata);

// The map of a vocabulary as tokenizer.json has it, in base64; null without.
formats::Json CharacterMapText(const formats::Metadata& metadata);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_TOKENIZER_DESCRIPTION_H_
