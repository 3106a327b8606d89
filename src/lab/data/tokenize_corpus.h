// A corpus becomes a token file, once.

#ifndef ROPEWALK_LAB_DATA_TOKENIZE_CORPUS_H_
#define ROPEWALK_LAB_DATA_TOKENIZE_CORPUS_H_

#include <string>

#include "base/parallel.h"
#include "lab/data/corpus.h"
#include "lab/data/text_tokenizer.h"
#include "lab/data/token_file.h"

namespace ropewalk::lab::data {

// Writes `path`. A document is the begin token, if there is one, and the ids
// of its text. The same bytes whatever the number of threads. Throws IoError
// and Interrupted.
void TokenizeCorpus(const Corpus& corpus, const TextTokenizer& tokenizer,
                    ParallelFor& threads, const std::string& path);

// The token file of this corpus and tokenizer below `folder`, which is made
// where it is missing: an earlier call's, or a new one where there is none or
// a damaged one.
TokenFile CachedTokens(const Corpus& corpus, const TextTokenizer& tokenizer,
                       ParallelFor& threads, const std::string& folder);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_TOKENIZE_CORPUS_H_
