// A tokenizer's vocabulary as grammars see it.

#ifndef ROPEWALK_ENGINE_GRAMMAR_VOCABULARY_H_
#define ROPEWALK_ENGINE_GRAMMAR_VOCABULARY_H_

#include "base/token.h"
#include "grammar/vocabulary.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

// Control tokens have no text. The ends are the tokens that end a text; where a
// vocabulary has none, the begin token, which then stands between texts.
grammar::Vocabulary GrammarVocabulary(const tokenizer::Tokenizer& tokenizer);

// Whether a token behind `previous` adds what it adds at the start of a text.
bool StartsText(const tokenizer::Tokenizer& tokenizer,
                const grammar::Vocabulary& vocabulary, Token previous);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_GRAMMAR_VOCABULARY_H_
