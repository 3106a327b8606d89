// The published regular expressions that the names of tokenizer.ggml.pre stand
// for, so that a tokenizer.json gets its name and a name its tokenizer.json.

#ifndef ROPEWALK_TOKENIZER_PRE_TOKENIZER_EXPRESSIONS_H_
#define ROPEWALK_TOKENIZER_PRE_TOKENIZER_EXPRESSIONS_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/pre_tokenizer.h"

namespace ropewalk::tokenizer {

struct PublishedPreTokenizer {
  std::vector<std::string_view> names;  // the one that converters write first
  // One for each stage of the spec of each name: each cuts the words of the
  // one before it, and what does not match is a word too.
  std::vector<std::string> expressions;
};

// All that FindPreTokenizer knows, in the same order of stages.
const std::vector<PublishedPreTokenizer>& PublishedPreTokenizers();

// GPT-2's expression, which the step ByteLevel has built in.
const std::string& Gpt2Expression();

// Null if `name` is not known.
const PublishedPreTokenizer* FindPublished(std::string_view name);

// The first name that has these expressions and this `ignore_merges`, and whose
// merges join bytes.
std::optional<std::string_view> NameOfExpressions(
    std::span<const std::string> expressions, bool ignore_merges);

// The rules of one expression; nullopt if it is not a published one.
std::optional<WordStage> StageOfExpression(std::string_view expression);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_PRE_TOKENIZER_EXPRESSIONS_H_
