#include "tokenizer/added_tokens.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/text.h"
#include "tokenizer/step_json.h"
#include "tokenizer/unicode_classes.h"
#include "tokenizer/unicode_forms.h"

namespace ropewalk::tokenizer {
namespace {

// The beginning of the last character in front of `at`, which is above 0.
size_t CharacterBefore(std::string_view text, size_t at) {
  --at;
  while (at > 0 && (text[at] & 0xc0) == 0x80) --at;
  return at;
}

bool EndsWithWord(std::string_view text, size_t at) {
  return at > 0 &&
         IsRustWord(CharacterAt(text, CharacterBefore(text, at)).code_point);
}

bool BeginsWithWord(std::string_view text, size_t at) {
  return at < text.size() && IsRustWord(CharacterAt(text, at).code_point);
}

// The beginning of the spaces that end at `at`, but not before `least`.
size_t SpacesBegin(std::string_view text, size_t at, size_t least) {
  while (at > least) {
    const size_t before = CharacterBefore(text, at);
    if (!IsRustSpace(CharacterAt(text, before).code_point)) break;
    at = before;
  }
  return std::max(at, least);
}

size_t SpacesEnd(std::string_view text, size_t at) {
  while (at < text.size()) {
    const Character c = CharacterAt(text, at);
    if (!IsRustSpace(c.code_point)) break;
    at += c.bytes;
  }
  return at;
}

PrefixTree MakeTree(const std::vector<AddedToken>& tokens, bool normalized,
                    const TextSteps& normalizer) {
  std::vector<std::pair<std::string, Token>> texts;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].normalized != normalized) continue;
    texts.emplace_back(
        normalized ? normalizer.Apply(tokens[i].content) : tokens[i].content,
        static_cast<Token>(i));
  }
  return PrefixTree(std::move(texts));
}

}  // namespace

std::vector<AddedToken> ReadAddedTokens(const formats::Metadata& metadata,
                                        const formats::Json& list,
                                        int64_t size) {
  std::vector<AddedToken> tokens;
  if (list.is_null()) return tokens;
  std::set<int64_t> ids;
  std::set<std::string> contents;
  if (!list.is_array()) {
    throw metadata.Error(kPipelineKey, "added_tokens must be a list");
  }
  for (const formats::Json& item : list) {
    const StepJson fields(metadata, item, "added_tokens");
    AddedToken token;
    token.content = fields.String("content");
    if (token.content.empty()) continue;
    token.id = static_cast<Token>(fields.Int("id", 0, size - 1));
    token.single_word = fields.Bool("single_word", false);
    token.lstrip = fields.Bool("lstrip", false);
    token.rstrip = fields.Bool("rstrip", false);
    token.special = fields.Bool("special", false);
    token.normalized = fields.Bool("normalized", !token.special);
    token.in_vocabulary = fields.Bool("in_vocabulary", false);
    if (!ids.insert(token.id).second ||
        !contents.insert(token.content).second) {
      throw fields.Error("token " + std::to_string(token.id) + " '" +
                         Printable(token.content, 40) + "' comes twice");
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens,
                         const TextSteps& normalizer)
    : tokens_(std::move(tokens)),
      raw_(MakeTree(tokens_, false, normalizer)),
      normalized_(MakeTree(tokens_, true, normalizer)) {}

void AddedTokens::Split(
    std::string_view text, bool normalized, bool with_special,
    const std::function<void(std::string_view part, Token token)>& found)
    const {
  const PrefixTree& tree = normalized ? normalized_ : raw_;
  size_t done = 0;  // of the text that is in parts already
  for (size_t at = 0; at < text.size();) {
    size_t bytes = 0;
    const AddedToken* token = nullptr;
    if (tree.Begins(static_cast<unsigned char>(text[at]))) {
      tree.Walk(text.substr(at), [&](size_t length, Token index) {
        bytes = length;
        token = &tokens_[static_cast<size_t>(index)];
      });
    }
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + bytes;
    at = end;  // a token that is left in the text is not searched again
    if (token->special && !with_special) continue;
    if (token->single_word &&
        (EndsWithWord(text, begin) || BeginsWithWord(text, end))) {
      continue;
    }
    begin = std::max(begin, done);
    if (token->lstrip) begin = SpacesBegin(text, begin, done);
    if (token->rstrip) end = SpacesEnd(text, end);
    if (begin > done) found(text.substr(done, begin - done), -1);
    found(text.substr(begin, std::max(end, begin) - begin), token->id);
    done = std::max(end, done);
  }
  if (done < text.size()) found(text.substr(done), -1);
}

}  // namespace ropewalk::tokenizer
