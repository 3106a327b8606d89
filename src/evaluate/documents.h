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

// The ids of a whole text, without a leading BOS. Each `<|endoftext|>`, with
// the line ends around it, becomes one BOS if the vocabulary has one; else it
// is dropped.
Document EncodeText(const tokenizer::Tokenizer& tokenizer,
                    std::string_view text);

// At most `documents` pieces of `size` ids, evenly spread over `ids`; fewer, or
// an empty list, if the text is too short for so many.
std::vector<Document> CutPieces(const Document& ids, int64_t size,
                                int64_t documents);

// Documents of `texts`: `documents` pieces of `size` ids from all of them
// together, in equal shares; the first texts take what is left over. A text
// that is too short for a piece stays as it is, to be counted as skipped.
std::vector<Document> CutTexts(std::vector<Document> texts, int64_t size,
                               int64_t documents);

// `size` ids that repeat the last `period` ids of `document` and end with them.
Document Repeated(const Document& document, int64_t period, int64_t size);

// A prompt and its answer, encoded as one text.
struct AnsweredPrompt {
  std::vector<Token> ids;    // prompt, then the answer
  int64_t answer_first = 0;  // index of the answer's first token
};

// The answer's tokens are those behind what the encodings of `prompt` and of
// both together have in common. `begins`: add the begin token if the vocabulary
// wants one.
AnsweredPrompt EncodeAnswered(const tokenizer::Tokenizer& tokenizer,
                              const std::string& prompt,
                              const std::string& answer, bool begins);

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_DOCUMENTS_H_
