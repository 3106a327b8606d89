#include "lab/data/text_tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/text.h"
#include "formats/gguf.h"
#include "formats/text_file.h"
#include "lab/data/fingerprint.h"
#include "lab/data/sentencepiece_model.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::lab::data {
namespace {

using tokenizer::TokenType;

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581
// Words are kept up to that size and that many: names and typing errors
// would else fill memory.
constexpr size_t kMaxCachedBytes = 64;
constexpr size_t kMaxCachedWords = 1 << 20;

uint64_t FingerprintOfMetadata(const formats::Metadata& metadata) {
  Fingerprint fingerprint;
  for (const auto& [key, value, offset] : metadata.entries()) {
    fingerprint.Add(key);
    fingerprint.Add(value.bytes);
    for (const std::string_view text : value.strings) {
      fingerprint.AddNumber(text.size());
      fingerprint.Add(text);
    }
  }
  return fingerprint.value();
}

bool HoldsSpaceBehindText(std::string_view piece) {
  while (piece.starts_with(kSpace)) piece.remove_prefix(kSpace.size());
  return piece.find(kSpace) != std::string_view::npos;
}

}  // namespace

TextTokenizer::TextTokenizer(formats::Metadata metadata)
    : metadata_(std::move(metadata)),
      tokenizer_(std::make_unique<tokenizer::Tokenizer>(
          tokenizer::Tokenizer::FromMetadata(metadata_))),
      fingerprint_(FingerprintOfMetadata(metadata_)) {
  add_space_prefix_ =
      metadata_.FindBool("tokenizer.ggml.add_space_prefix").value_or(true);
  // Other models cut text by rules that look over spaces and line ends.
  words_are_alone_ =
      metadata_.FindString("tokenizer.ggml.model") == "llama" &&
      !metadata_.FindBool("tokenizer.ggml.remove_extra_whitespaces")
           .value_or(false) &&
      !metadata_.Has("tokenizer.ggml.precompiled_charsmap");
  if (!words_are_alone_) return;
  const tokenizer::Vocabulary vocabulary(metadata_);
  // A line's first word gets no space in front, which only Encode's start of
  // a text would do.
  line_ends_are_alone_ = !add_space_prefix_;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const std::string_view piece = vocabulary.piece(token);
    const TokenType type = vocabulary.type(token);
    // Text behind a user-defined piece starts afresh.
    if (type == TokenType::kUserDefined) words_are_alone_ = false;
    if (type != TokenType::kNormal && type != TokenType::kUnused) continue;
    if (HoldsSpaceBehindText(piece)) words_are_alone_ = false;
    if (piece.size() > 1 && piece.find('\n') != std::string::npos) {
      line_ends_are_alone_ = false;
    }
  }
}

TextTokenizer TextTokenizer::FromModel(const std::string& path,
                                       std::string_view model) {
  return TextTokenizer(MetadataOfSentencePiece(path, model));
}

TextTokenizer TextTokenizer::Load(const std::string& path,
                                  std::optional<int64_t> vocabulary) {
  const MappedFile file(path);
  const std::string_view bytes(
      reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  TextTokenizer loaded = [&] {
    if (!bytes.starts_with(formats::kGgufMagic)) return FromModel(path, bytes);
    const formats::GgufFile gguf(path);
    formats::Metadata metadata(path);
    for (const auto& [key, value, offset] : gguf.metadata().entries()) {
      if (key.starts_with("tokenizer.ggml.")) metadata.Set(key, value, offset);
    }
    return TextTokenizer(std::move(metadata));
  }();
  if (vocabulary && *vocabulary != loaded.vocabulary()) {
    throw FormatError(path, 0,
                      "the tokenizer has " +
                          std::to_string(loaded.vocabulary()) + " pieces but " +
                          std::to_string(*vocabulary) +
                          " are asked for: is it that of another run?");
  }
  return loaded;
}

struct TextEncoder::Cache {
  struct Ids {
    uint32_t begin = 0;
    uint32_t count = 0;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  std::unordered_map<std::string, Ids, Hash, std::equal_to<>> words;
  std::vector<Token> ids;
};

TextEncoder::TextEncoder(const TextTokenizer& tokenizer)
    : tokenizer_(tokenizer), cache_(std::make_unique<Cache>()) {}
TextEncoder::~TextEncoder() = default;

void TextEncoder::AppendPlain(std::string_view text,
                              std::vector<Token>* ids) const {
  const std::vector<Token> plain =
      tokenizer_.tokenizer().Encode(text, {.add_bos = false, .add_eos = false});
  ids->insert(ids->end(), plain.begin(), plain.end());
}

// `unit` is the beginning of a text, or begins with a space or a line end.
void TextEncoder::AppendUnit(std::string_view unit, bool first,
                             std::vector<Token>* ids) {
  // Encode would put a second space in front.
  if (!first && tokenizer_.add_space_prefix_) unit.remove_prefix(1);
  if (unit.size() > kMaxCachedBytes) return AppendPlain(unit, ids);
  auto found = cache_->words.find(unit);
  if (found == cache_->words.end()) {
    if (cache_->words.size() == kMaxCachedWords) {
      cache_->words.clear();
      cache_->ids.clear();
    }
    const auto begin = static_cast<uint32_t>(cache_->ids.size());
    AppendPlain(unit, &cache_->ids);
    const auto count = static_cast<uint32_t>(cache_->ids.size()) - begin;
    found = cache_->words.emplace(std::string(unit), Cache::Ids{begin, count})
                .first;
  }
  const auto begin =
      cache_->ids.begin() + static_cast<std::ptrdiff_t>(found->second.begin);
  ids->insert(ids->end(), begin,
              begin + static_cast<std::ptrdiff_t>(found->second.count));
}

void TextEncoder::Append(std::string_view text, std::vector<Token>* ids) {
  // U+2581 in a text is one more space to the model.
  if (!tokenizer_.words_are_alone_ ||
      text.find(kSpace) != std::string_view::npos) {
    return AppendPlain(text, ids);
  }
  const bool cut_lines = tokenizer_.line_ends_are_alone_;
  const auto cuts_at = [&](size_t i) {
    if (cut_lines && (text[i] == '\n' || text[i - 1] == '\n')) return true;
    if (text[i] != ' ' || text[i - 1] == ' ') return false;
    // With the prefix a last lone space would have to be encoded as nothing.
    return !tokenizer_.add_space_prefix_ || i + 1 < text.size();
  };
  size_t begin = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (!cuts_at(i)) continue;
    AppendUnit(text.substr(begin, i - begin), begin == 0, ids);
    begin = i;
  }
  if (begin < text.size()) AppendUnit(text.substr(begin), begin == 0, ids);
}

}  // namespace ropewalk::lab::data
