// Documents for evaluation, as token ids.

#ifndef ROPEWALK_EVALUATE_DOCUMENTS_H_
#define ROPEWALK_EVALUATE_DOCUMENTS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::evaluate {

using Document = std::vector<Token>;

// The ids of a whole text, without a leading BOS; each `<|endoftext|>` and the
// line ends around it become one BOS (or nothing where there is none).
Document EncodeText(const tokenizer::Tokenizer& tokenizer,
                    std::string_view text);

// At most `documents` pieces of `size` ids, evenly spread over `ids`; fewer
// where the text holds no more whole ones, none where it is too short.
std::vector<Document> CutPieces(const Document& ids, int64_t size,
                                int64_t documents);

// `size` ids that end as `document` does and repeat its last `period` ids.
Document Repeated(const Document& document, int64_t period, int64_t size);

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_DOCUMENTS_H_
