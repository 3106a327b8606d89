#include "tokenizer/pipeline.h"

#include <unordered_map>
#include <utility>

#include "base/text.h"
#include "formats/json_file.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/decoder_steps.h"
#include "tokenizer/spaces.h"
#include "tokenizer/step_json.h"
#include "tokenizer/text_steps.h"
#include "tokenizer/unicode_classes.h"
#include "tokenizer/word_model.h"
#include "tokenizer/word_steps.h"

namespace ropewalk::tokenizer {
namespace {

using formats::Json;

Json Parse(const formats::Metadata& metadata) {
  const std::string text = *metadata.FindString(kPipelineKey);
  Json json;
  try {
    json = formats::ParseJson(text, std::string(kPipelineKey));
  } catch (const FormatError& error) {
    throw metadata.Error(kPipelineKey, error.what());
  }
  if (!json.is_object()) {
    throw metadata.Error(kPipelineKey, "must be a JSON object");
  }
  return json;
}

Json Field(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found == json.end() ? Json() : *found;
}

// llama.cpp wants the pieces of WordPiece marked at the beginning of words,
// files mark them inside.
std::string WordPieceText(std::string_view piece, const std::string& inner) {
  if (piece.starts_with(kSpaceMark)) {
    return std::string(piece.substr(kSpaceMark.size()));
  }
  return inner + std::string(piece);
}

ModelPieces ReadPieces(const Vocabulary& vocabulary, const StepJson& model,
                       const std::vector<AddedToken>& added) {
  const bool word_piece = model.type() == "WordPiece";
  const std::string inner =
      word_piece ? model.String("continuing_subword_prefix", "##") : "";
  std::vector<const AddedToken*> by_id(static_cast<size_t>(vocabulary.size()));
  for (const AddedToken& token : added) {
    by_id[static_cast<size_t>(token.id)] = &token;
  }
  StringList texts;
  std::vector<bool> in_model;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const AddedToken* is_added = by_id[static_cast<size_t>(token)];
    if (is_added != nullptr) {
      texts.Add(is_added->content);
      in_model.push_back(is_added->in_vocabulary);
    } else {
      texts.Add(word_piece ? WordPieceText(vocabulary.piece(token), inner)
                           : vocabulary.piece(token));
      in_model.push_back(vocabulary.type(token) != TokenType::kUnused);
    }
  }
  return {std::move(texts), in_model};
}

// `text` with ill-formed bytes as U+FFFD.
std::string Utf8Of(std::string_view text) {
  std::string whole;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = Utf8SequenceLength(text, at);
    if (bytes == 0) {
      whole += "\ufffd";
      ++at;
      continue;
    }
    whole += text.substr(at, bytes);
    at += bytes;
  }
  return whole;
}

}  // namespace

struct Pipeline::Steps {
  Steps(const formats::Metadata& metadata, const Vocabulary& vocabulary)
      : Steps(metadata, vocabulary, Parse(metadata)) {}

  Steps(const formats::Metadata& metadata, const Vocabulary& vocabulary,
        const Json& json)
      : normalizer(metadata, Field(json, "normalizer")),
        listed(ReadAddedTokens(metadata, Field(json, "added_tokens"),
                               vocabulary.size())),
        added(listed, normalizer),
        words(metadata, Field(json, "pre_tokenizer")),
        frame(ReadSpecialFrame(metadata, Field(json, "post_processor"),
                               vocabulary.size())),
        decoder(metadata, Field(json, "decoder")),
        model_json(Field(json, "model")),
        pieces(ReadPieces(vocabulary, {metadata, model_json, "model"}, listed)),
        model(MakeWordModel(metadata, {metadata, model_json, "model"}, pieces)),
        special(static_cast<size_t>(vocabulary.size())) {
    for (const AddedToken& token : listed) {
      special[static_cast<size_t>(token.id)] = token.special;
      if (token.normalized) {
        normalized[token.id] = normalizer.Apply(token.content);
      }
    }
  }

  // What a token is decoded from.
  std::string_view TextOf(Token token) const {
    const auto found = normalized.find(token);
    return found == normalized.end() ? pieces.text(token) : found->second;
  }

  TextSteps normalizer;
  std::vector<AddedToken> listed;
  AddedTokens added;
  WordSteps words;
  SpecialFrame frame;
  DecoderSteps decoder;
  Json model_json;
  ModelPieces pieces;
  std::unique_ptr<const WordModel> model;
  std::vector<bool> special;
  std::unordered_map<Token, std::string> normalized;  // of added tokens
};

Pipeline::Pipeline(const formats::Metadata& metadata,
                   const Vocabulary& vocabulary)
    : steps_(std::make_unique<const Steps>(metadata, vocabulary)) {}

Pipeline::~Pipeline() = default;

const SpecialFrame& Pipeline::frame() const { return steps_->frame; }

void Pipeline::Encode(std::string_view text, bool parse_special,
                      std::vector<Token>* tokens) const {
  std::string whole;
  if (FindInvalidUtf8(text)) {
    whole = Utf8Of(text);
    text = whole;
  }
  const Steps& steps = *steps_;
  WordModel::Memory memory(text.size());
  const auto encode_words = [&](std::string_view part, bool first) {
    steps.words.Split(part, first, [&](std::string_view word) {
      steps.model->Encode(word, memory, tokens);
    });
  };
  steps.added.Split(
      text, false, parse_special, [&](std::string_view raw, Token token) {
        if (token >= 0) return tokens->push_back(token);
        const bool at_start = raw.data() == text.data();
        const std::string normalized = steps.normalizer.Apply(raw);
        steps.added.Split(
            normalized, true, parse_special,
            [&](std::string_view part, Token inner) {
              if (inner >= 0) return tokens->push_back(inner);
              encode_words(part, at_start && part.data() == normalized.data());
            });
      });
}

std::string Pipeline::DecodeNext(Token token,
                                 std::optional<Token> previous) const {
  if (!IsText(token)) return "";
  return steps_->decoder.Bytes(
      steps_->TextOf(token), !previous,
      previous ? steps_->TextOf(*previous) : std::string_view());
}

bool Pipeline::IsText(Token token) const {
  return !steps_->special[static_cast<size_t>(token)];
}

}  // namespace ropewalk::tokenizer
