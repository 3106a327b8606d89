#include "huggingface/tokenizer_description.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "base/error.h"
#include "base/text.h"
#include "tokenizer/model_defaults.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/pre_tokenizer_expressions.h"
#include "tokenizer/spaces.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;
using tokenizer::kSpaceMark;
using tokenizer::TokenType;
using tokenizer::Vocabulary;
using tokenizer::VocabularyDefaults;

constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr const char* kCharacterMap = "tokenizer.ggml.precompiled_charsmap";

Json Replace(const Json& pattern, std::string_view content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

Json Sequence(const char* list, Json steps) {
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return steps[0];
  return {{"type", "Sequence"}, {list, std::move(steps)}};
}

class Describer {
 public:
  Describer(const formats::Metadata& metadata,
            const VocabularyDefaults& defaults, bool spaces_in_front)
      : metadata_(metadata),
        vocabulary_(metadata, defaults),
        add_prefix_(metadata.FindBool("tokenizer.ggml.add_space_prefix")
                        .value_or(spaces_in_front)),
        remove_extra_(
            metadata.FindBool("tokenizer.ggml.remove_extra_whitespaces")
                .value_or(false)) {
    for (Token token = 0; token < vocabulary_.size(); ++token) {
      ids_.emplace(vocabulary_.piece(token), token);
    }
  }

  // Byte-level BPE.
  Json Bytes(const tokenizer::PreTokenizerSpec& spec, const std::string& name) {
    if (spec.characters) {
      throw metadata_.Error(kPre, "'" + Printable(name) +
                                      "', which merges characters by lines, "
                                      "cannot be written as a tokenizer.json");
    }
    Json steps = Json::array();
    const auto& expressions = tokenizer::FindPublished(name)->expressions;
    const bool built_in = expressions.back() == tokenizer::Gpt2Expression();
    for (size_t i = 0; i + built_in < expressions.size(); ++i) {
      steps.push_back({{"type", "Split"},
                       {"pattern", {{"Regex", expressions[i]}}},
                       {"behavior", "Isolated"},
                       {"invert", false}});
    }
    steps.push_back(ByteLevel(built_in));
    Json model = BpeModel();
    model["ignore_merges"] = spec.ignore_merges;
    model["vocab"] = Vocab();
    model["merges"] = WrittenMerges();
    return Tokenizer(nullptr, Sequence("pretokenizers", std::move(steps)),
                     ByteLevel(true), std::move(model));
  }

  // SentencePiece's BPE: merges in the order of their scores.
  Json Scored() {
    Json model = BpeModel();
    model["byte_fallback"] = true;
    if (vocabulary_.unknown()) {
      model["unk_token"] = vocabulary_.piece(*vocabulary_.unknown());
    }
    model["vocab"] = Vocab();
    model["merges"] = MergesOfScores();
    return Tokenizer(SpaceSteps(), nullptr, SpaceDecoder(), std::move(model));
  }

  Json Unigram() {
    Json pieces = Json::array();
    const std::vector<double> scores = Scores();
    double worst = 0;
    for (Token token = 0; token < vocabulary_.size(); ++token) {
      if (vocabulary_.type(token) != TokenType::kNormal) continue;
      worst = std::min(worst, scores[static_cast<size_t>(token)]);
    }
    for (Token token = 0; token < vocabulary_.size(); ++token) {
      const bool unused = vocabulary_.type(token) == TokenType::kUnused;
      pieces.push_back({Spelled(token),
                        unused ? worst : scores[static_cast<size_t>(token)]});
    }
    Json model = {{"type", "Unigram"}};
    if (!vocabulary_.unknown()) {
      throw metadata_.Error("tokenizer.ggml.unknown_token_id",
                            "missing: a unigram tokenizer.json needs it");
    }
    model["unk_id"] = *vocabulary_.unknown();
    model["vocab"] = std::move(pieces);
    model["byte_fallback"] = vocabulary_.byte_token(0).has_value();
    return Tokenizer(SpaceSteps(), nullptr, SpaceDecoder(), std::move(model));
  }

 private:
  static Json BpeModel() {
    return {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false}};
  }

  static Json ByteLevel(bool use_regex) {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", false},
            {"trim_offsets", true},
            {"use_regex", use_regex}};
  }

  Json Tokenizer(Json normalizer, Json pre_tokenizer, Json decoder,
                 Json model) {
    return {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens", AddedTokens()},
            {"normalizer", std::move(normalizer)},
            {"pre_tokenizer", std::move(pre_tokenizer)},
            {"post_processor", Frame()},
            {"decoder", std::move(decoder)},
            {"model", std::move(model)}};
  }

  bool IsAdded(Token token) const {
    const TokenType type = vocabulary_.type(token);
    return type == TokenType::kControl || type == TokenType::kUnknown ||
           type == TokenType::kUserDefined;
  }

  // JSON has no other texts than UTF-8.
  std::string Spelled(Token token) const {
    std::string piece(vocabulary_.piece(token));
    if (FindInvalidUtf8(piece)) {
      throw metadata_.Error("tokenizer.ggml.tokens",
                            "token " + std::to_string(token) + " '" +
                                Printable(piece, 40) +
                                "' is not UTF-8, which a tokenizer.json "
                                "cannot say");
    }
    // Of pieces that come twice, Encode gives the first.
    if (ids_.at(piece) != token) {
      piece += " (" + std::to_string(token) + ")";
    }
    return piece;
  }

  // Whether the normalizer does nothing else, also to an added token.
  bool OnlyMarksSpaces() const {
    return vocabulary_.escapes_spaces() && !add_prefix_ && !remove_extra_ &&
           !metadata_.Has(kCharacterMap);
  }

  Json AddedTokens() const {
    Json tokens = Json::array();
    for (Token token = 0; token < vocabulary_.size(); ++token) {
      if (!IsAdded(token) || vocabulary_.piece(token).empty()) continue;
      const bool user = vocabulary_.type(token) == TokenType::kUserDefined;
      std::string content = Spelled(token);
      if (user && vocabulary_.escapes_spaces()) {
        content = tokenizer::UnescapeSpaces(content);
      }
      // A run of spaces may also stand in the text as marks.
      const bool normalized =
          user && OnlyMarksSpaces() && content.find(' ') != std::string::npos;
      tokens.push_back({{"id", token},
                        {"content", content},
                        {"single_word", false},
                        {"lstrip", vocabulary_.strips_left(token)},
                        {"rstrip", vocabulary_.strips_right(token)},
                        {"normalized", normalized},
                        {"special", !user}});
    }
    return tokens;
  }

  Json Vocab() const {
    Json vocab = Json::object();
    auto& members = vocab.get_ref<Json::object_t&>();
    for (Token token = 0; token < vocabulary_.size(); ++token) {
      std::string piece = Spelled(token);
      if (vocabulary_.type(token) == TokenType::kUserDefined &&
          vocabulary_.escapes_spaces()) {
        piece = tokenizer::UnescapeSpaces(piece);
      }
      // Distinct, so that the slow search of operator[] is not needed.
      static_cast<std::vector<Json::object_t::value_type>&>(members)
          .emplace_back(std::move(piece), token);
    }
    return vocab;
  }

  Json WrittenMerges() const {
    constexpr const char* kMerges = "tokenizer.ggml.merges";
    const StringList* merges = metadata_.FindStringList(kMerges);
    if (merges == nullptr) throw metadata_.Error(kMerges, "missing");
    Json pairs = Json::array();
    for (const std::string_view merge : *merges) {
      const size_t space = merge.find(' ', 1);
      const std::string left(merge.substr(0, space));
      const std::string right(
          space == std::string_view::npos ? "" : merge.substr(space + 1));
      for (const std::string& piece : {left, right, left + right}) {
        if (ids_.contains(piece)) continue;
        throw metadata_.Error(
            kMerges, "merge " + std::to_string(pairs.size()) + " needs '" +
                         Printable(piece, 40) +
                         "', which is no piece; a tokenizer.json cannot say "
                         "that");
      }
      pairs.push_back({left, right});
    }
    return pairs;
  }

  std::vector<double> Scores() const {
    constexpr const char* kScores = "tokenizer.ggml.scores";
    auto scores = metadata_.FindFloats(kScores);
    if (!scores || static_cast<int64_t>(scores->size()) != vocabulary_.size()) {
      throw metadata_.Error(kScores, "must have a score for each piece");
    }
    return *std::move(scores);
  }

  bool TakesPart(Token token) const {
    const TokenType type = vocabulary_.type(token);
    return type == TokenType::kNormal || type == TokenType::kUnused;
  }

  // Each way to cut a piece in two is a merge that gives it.
  Json MergesOfScores() const {
    struct Merge {
      double score;
      size_t left, right;  // bytes
      Token piece;
    };
    const std::vector<double> scores = Scores();
    std::vector<Merge> merges;
    const auto find = [&](std::string_view text) {
      const auto found = ids_.find(std::string(text));
      return found != ids_.end() && TakesPart(found->second);
    };
    for (Token token = 0; token < vocabulary_.size(); ++token) {
      const std::string_view piece = vocabulary_.piece(token);
      if (!TakesPart(token) || piece.size() > 512) continue;
      for (size_t cut = 1; cut < piece.size(); ++cut) {
        if ((piece[cut] & 0xc0) == 0x80 || !find(piece.substr(0, cut)) ||
            !find(piece.substr(cut))) {
          continue;
        }
        if (vocabulary_.type(token) == TokenType::kUnused) {
          throw metadata_.Error(
              "tokenizer.ggml.token_type",
              "token " + std::to_string(token) + " '" + Printable(piece, 40) +
                  "' is unused but can be merged; a tokenizer.json cannot say "
                  "that");
        }
        merges.push_back({scores[static_cast<size_t>(token)], cut,
                          piece.size() - cut, token});
      }
    }
    std::stable_sort(
        merges.begin(), merges.end(),
        [](const Merge& a, const Merge& b) { return a.score > b.score; });
    Json pairs = Json::array();
    for (const Merge& merge : merges) {
      const std::string_view piece = vocabulary_.piece(merge.piece);
      pairs.push_back({piece.substr(0, merge.left), piece.substr(merge.left)});
    }
    return pairs;
  }

  // As tokenizer/normalizer.h.
  Json SpaceSteps() const {
    Json steps = Json::array();
    if (metadata_.Has(kCharacterMap)) {
      steps.push_back({{"type", "Precompiled"},
                       {"precompiled_charsmap", CharacterMapText(metadata_)}});
    }
    if (remove_extra_) {
      steps.push_back(Replace({{"Regex", " {2,}"}}, " "));
      steps.push_back(Replace({{"Regex", "^ | $"}}, ""));
    }
    if (add_prefix_) {
      steps.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
    }
    steps.push_back(Replace({{"String", " "}}, kSpaceMark));
    return Sequence("normalizers", std::move(steps));
  }

  Json SpaceDecoder() const {
    Json steps = Json::array({Replace({{"String", kSpaceMark}}, " "),
                              {{"type", "ByteFallback"}},
                              {{"type", "Fuse"}}});
    if (add_prefix_) {
      steps.push_back(
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    return Sequence("decoders", std::move(steps));
  }

  Json Frame() const {
    Json single = Json::array(), tokens = Json::object();
    const auto add = [&](const std::optional<Token>& token) {
      const std::string piece = Spelled(*token);
      single.push_back({{"SpecialToken", {{"id", piece}, {"type_id", 0}}}});
      tokens[piece] = {{"id", piece},
                       {"ids", Json::array({*token})},
                       {"tokens", Json::array({piece})}};
    };
    if (vocabulary_.add_bos()) add(vocabulary_.bos());
    single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
    Json pair = single;
    if (vocabulary_.add_bos()) pair.push_back(single[0]);
    pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 0}}}});
    if (vocabulary_.add_eos()) {
      add(vocabulary_.eos());
      pair.push_back(single.back());
    }
    if (tokens.empty()) return nullptr;
    return {{"type", "TemplateProcessing"},
            {"single", std::move(single)},
            {"pair", std::move(pair)},
            {"special_tokens", std::move(tokens)}};
  }

  const formats::Metadata& metadata_;
  Vocabulary vocabulary_;
  bool add_prefix_, remove_extra_;
  std::unordered_map<std::string, Token> ids_;  // of equal pieces the first
};

}  // namespace

Json CharacterMapText(const formats::Metadata& metadata) {
  const formats::MetadataValue* map = metadata.Find(kCharacterMap);
  if (map == nullptr) return nullptr;
  return EncodeBase64(map->bytes);
}

Json DescribeVocabulary(const formats::Metadata& metadata) {
  const std::optional<std::string> model = metadata.FindString(kModel);
  if (!model) throw metadata.Error(kModel, "missing: there is no tokenizer");
  if (*model == "llama") return Describer(metadata, {}, true).Scored();
  if (*model == "t5") {
    return Describer(metadata, tokenizer::kUnigramDefaults, false).Unigram();
  }
  if (*model == "gpt2") {
    const std::string name = metadata.FindString(kPre).value_or("default");
    const auto spec = tokenizer::FindPreTokenizer(name);
    if (!spec) {
      throw metadata.Error(
          kPre, "the pre-tokenizer '" + Printable(name) + "' is not known");
    }
    return Describer(metadata, tokenizer::DefaultsOfMerges(*spec), false)
        .Bytes(*spec, name);
  }
  throw metadata.Error(kModel, "the tokenizer '" + Printable(*model) +
                                   "' cannot be written as a tokenizer.json");
}

}  // namespace ropewalk::huggingface
