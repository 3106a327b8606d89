#include "tokenizer/tokenizer.h"

#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/byte_bpe.h"
#include "tokenizer/character_bpe.h"
#include "tokenizer/model_defaults.h"
#include "tokenizer/pipeline.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/sentencepiece_bpe.h"
#include "tokenizer/spaces.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/step_json.h"
#include "tokenizer/token_model.h"
#include "tokenizer/unigram.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kModel = "tokenizer.ggml.model";
constexpr std::string_view kPre = "tokenizer.ggml.pre";

PreTokenizerSpec ReadPreTokenizer(const formats::Metadata& metadata,
                                  std::string_view model) {
  const std::string name = model == "gemma4"
                               ? "gemma4"
                               : metadata.FindString(kPre).value_or("default");
  const std::optional<PreTokenizerSpec> spec = FindPreTokenizer(name);
  if (!spec) {
    throw metadata.Error(kPre, "the pre-tokenizer '" + Printable(name) +
                                   "' is not known (made for a newer "
                                   "program?)");
  }
  return *spec;
}

constexpr VocabularyDefaults kPipelineDefaults = {.bos = -1,
                                                  .eos = -1,
                                                  .unknown = -1,
                                                  .add_bos = false,
                                                  .escapes_spaces = false};

bool IsStripped(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// True for tokens behind which Encode adds the leading space again.
bool IsSpecial(const Vocabulary& vocabulary, Token token) {
  const TokenType type = vocabulary.type(token);
  return type == TokenType::kControl || type == TokenType::kUserDefined;
}

}  // namespace

// On the heap, so that the parts can point to each other when the Tokenizer is
// moved.
struct Tokenizer::Parts {
  Parts(const formats::Metadata& metadata, const VocabularyDefaults& defaults)
      : vocabulary(metadata, defaults),
        special(vocabulary),
        mark_is_space(
            defaults.escapes_spaces &&
            !metadata.FindBool("tokenizer.ggml.remove_extra_whitespaces")
                 .value_or(false)) {}

  Vocabulary vocabulary;
  SpecialTokens special;
  // U+2581 in a text stands for a space, also within special pieces.
  bool mark_is_space;
  // One of the two.
  std::unique_ptr<const TokenModel> model;
  std::unique_ptr<const Pipeline> pipeline;
};

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts)
    : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::FromGguf(const formats::GgufFile& file) {
  return FromMetadata(file.metadata());
}

Tokenizer Tokenizer::FromMetadata(const formats::Metadata& metadata) {
  if (metadata.Has(kPipelineKey)) {
    auto parts = std::make_unique<Parts>(metadata, kPipelineDefaults);
    parts->pipeline = std::make_unique<Pipeline>(metadata, parts->vocabulary);
    return Tokenizer(std::move(parts));
  }
  const std::optional<std::string> model = metadata.FindString(kModel);
  if (!model)
    throw metadata.Error(kModel, "missing: the file has no tokenizer");
  std::unique_ptr<Parts> parts;
  if (*model == "llama") {
    parts = std::make_unique<Parts>(metadata, VocabularyDefaults{});
    parts->model =
        std::make_unique<SentencePieceBpe>(metadata, parts->vocabulary);
  } else if (*model == "t5") {
    parts = std::make_unique<Parts>(metadata, kUnigramDefaults);
    parts->model = std::make_unique<Unigram>(metadata, parts->vocabulary);
  } else if (*model == "gpt2" || *model == "gemma4") {
    const PreTokenizerSpec spec = ReadPreTokenizer(metadata, *model);
    parts = std::make_unique<Parts>(metadata, DefaultsOfMerges(spec));
    if (spec.characters) {
      parts->model =
          std::make_unique<CharacterBpe>(metadata, parts->vocabulary, spec);
    } else {
      parts->model =
          std::make_unique<ByteBpe>(metadata, parts->vocabulary, spec);
    }
  } else {
    throw metadata.Error(
        kModel, "the tokenizer '" + Printable(*model) +
                    "' is not supported; supported: llama (SentencePiece "
                    "BPE), t5 (SentencePiece unigram), gpt2 (byte-level BPE), "
                    "gemma4");
  }
  return Tokenizer(std::move(parts));
}

int64_t Tokenizer::VocabularySize() const { return parts_->vocabulary.size(); }

std::vector<Token> Tokenizer::Encode(std::string_view text,
                                     const EncodeOptions& options) const {
  if (parts_->pipeline) return EncodeByPipeline(text, options);
  const Vocabulary& vocabulary = parts_->vocabulary;
  std::vector<Token> tokens;
  if (options.add_bos.value_or(vocabulary.add_bos())) {
    Require(bos().has_value(), "Encode: the vocabulary has no begin token");
    tokens.push_back(*bos());
  }
  std::string spaced;
  if (parts_->mark_is_space &&
      text.find(kSpaceMark) != std::string_view::npos) {
    spaced = UnescapeSpaces(text);
    text = spaced;
  }
  size_t at = 0;
  while (at < text.size()) {
    const std::optional<SpecialTokens::Match> match =
        parts_->special.FindIn(text, at, options.parse_special);
    size_t end = match ? match->begin : text.size();
    const size_t next = match ? match->begin + match->bytes : text.size();
    while (match && vocabulary.strips_left(match->token) && end > at &&
           IsStripped(text[end - 1])) {
      --end;
    }
    parts_->model->Encode(text.substr(at, end - at), &tokens);
    if (!match) break;
    tokens.push_back(match->token);
    at = next;
    while (vocabulary.strips_right(match->token) && at < text.size() &&
           IsStripped(text[at])) {
      ++at;
    }
  }
  if (options.add_eos.value_or(vocabulary.add_eos())) {
    Require(eos().has_value(), "Encode: the vocabulary has no end token");
    tokens.push_back(*eos());
  }
  return tokens;
}

std::vector<Token> Tokenizer::EncodeByPipeline(
    std::string_view text, const EncodeOptions& options) const {
  const SpecialFrame& frame = parts_->pipeline->frame();
  std::vector<Token> tokens;
  // The tokens of one side, or `usual` where they are asked for and the file
  // has none.
  const auto append = [&](const std::vector<Token>& side,
                          const std::optional<bool>& wanted,
                          const std::optional<Token>& usual, const char* name) {
    if (!wanted.value_or(true)) return;
    tokens.insert(tokens.end(), side.begin(), side.end());
    if (!wanted || !side.empty()) return;
    Require(usual.has_value(),
            "Encode: the vocabulary has no " + std::string(name) + " token");
    tokens.push_back(*usual);
  };
  append(frame.front, options.add_bos, bos(), "begin");
  parts_->pipeline->Encode(text, options.parse_special, &tokens);
  append(frame.behind, options.add_eos, eos(), "end");
  return tokens;
}

std::string Tokenizer::Decode(std::span<const Token> tokens) const {
  std::string text;
  std::optional<Token> previous;
  for (const Token token : tokens) {
    text += DecodeNext(token, previous);
    if (IsPrevious(token)) previous = token;
  }
  return text;
}

std::string Tokenizer::DecodeNext(Token token,
                                  std::optional<Token> previous) const {
  RequireToken(token);
  if (previous) RequireToken(*previous);
  if (parts_->pipeline) return parts_->pipeline->DecodeNext(token, previous);
  const Vocabulary& vocabulary = parts_->vocabulary;
  if (vocabulary.type(token) == TokenType::kControl) return "";
  if (vocabulary.type(token) == TokenType::kUserDefined) {
    return vocabulary.escapes_spaces() ? UnescapeSpaces(vocabulary.piece(token))
                                       : std::string(vocabulary.piece(token));
  }
  const bool at_start = !previous || IsSpecial(vocabulary, *previous);
  return parts_->model->Bytes(token, at_start);
}

bool Tokenizer::IsPrevious(Token token) const {
  RequireToken(token);
  return !parts_->pipeline || parts_->pipeline->IsText(token);
}

std::optional<Token> Tokenizer::bos() const { return parts_->vocabulary.bos(); }
std::optional<Token> Tokenizer::eos() const { return parts_->vocabulary.eos(); }

bool Tokenizer::IsEndOfText(Token token) const {
  RequireToken(token);
  return parts_->vocabulary.ends_text(token);
}

bool Tokenizer::IsControl(Token token) const {
  RequireToken(token);
  return parts_->vocabulary.type(token) == TokenType::kControl;
}

std::string_view Tokenizer::Piece(Token token) const {
  RequireToken(token);
  return parts_->vocabulary.piece(token);
}

std::optional<Token> Tokenizer::Find(std::string_view piece) const {
  for (Token token = 0; token < VocabularySize(); ++token) {
    if (parts_->vocabulary.piece(token) == piece) return token;
  }
  return std::nullopt;
}

void Tokenizer::RequireToken(Token token) const {
  if (parts_->vocabulary.Contains(token)) return;
  throw std::invalid_argument("token id must be from 0 to " +
                              std::to_string(VocabularySize() - 1) + ", got " +
                              std::to_string(token));
}

}  // namespace ropewalk::tokenizer
