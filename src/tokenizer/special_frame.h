// The post_processor of a tokenizer.json: the special tokens around a text.

#ifndef ROPEWALK_TOKENIZER_SPECIAL_FRAME_H_
#define ROPEWALK_TOKENIZER_SPECIAL_FRAME_H_

#include <vector>

#include "base/token.h"
#include "formats/gguf_metadata.h"
#include "formats/json_file.h"

namespace ropewalk::tokenizer {

struct SpecialFrame {
  std::vector<Token> front, behind;
};

// The frame of a single text; `post_processor` may be null. Throws FormatError
// for processors that are not known, for templates in which the text does not
// stand exactly once, and for ids outside `size`.
SpecialFrame ReadSpecialFrame(const formats::Metadata& metadata,
                              const formats::Json& post_processor,
                              int64_t size);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_SPECIAL_FRAME_H_
