#include "huggingface/tokenizer_pieces.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::huggingface {

using tokenizer::TokenType;

int64_t ReadId(const std::string& path, const formats::Json& id,
               const std::string& what) {
  if (!id.is_number_unsigned() || id.get<uint64_t>() > uint64_t{INT64_MAX}) {
    throw FormatError(path, 0,
                      what + " must be an integer from 0 on, got " +
                          Printable(id.dump(), 40));
  }
  return static_cast<int64_t>(id.get<uint64_t>());
}

bool LooksSpecial(std::string_view text) {
  const auto framed = [&](std::string_view begin, std::string_view end) {
    return text.size() >= begin.size() + end.size() &&
           text.starts_with(begin) && text.ends_with(end);
  };
  return text == "<pad>" || text == "<mask>" || text == "<2mass>" ||
         text == "[@BOS@]" || framed("<|", "|>") ||
         framed("<\uff5c", "\uff5c>") || framed("<unused", ">");
}

std::optional<int64_t> TokenizerPieces::Find(const std::string& text) const {
  const auto found = ids_.find(text);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

void TokenizerPieces::Expect(size_t count) {
  most_ = 2 * static_cast<int64_t>(count) + 65536;
  ids_.reserve(count);
}

void TokenizerPieces::FillTo(int64_t size) {
  if (size > most_) {
    throw FormatError(path_, 0,
                      "ids must be below " + std::to_string(most_) +
                          " for a vocabulary of this size, got " +
                          std::to_string(size - 1));
  }
  if (size <= this->size()) return;
  texts_.resize(At(size));
  types_.resize(At(size), TokenType::kUnused);
  scores_.resize(At(size), 0);
  used_.resize(At(size), false);
}

void TokenizerPieces::Add(int64_t id, const std::string& text, double score) {
  if (id >= most_) FillTo(id == INT64_MAX ? id : id + 1);  // throws
  FillTo(id + 1);
  if (used_[At(id)]) {
    throw FormatError(path_, 0,
                      "the id " + std::to_string(id) + " has two pieces, '" +
                          Printable(texts_[At(id)], 40) + "' and '" +
                          Printable(text, 40) + "'");
  }
  used_[At(id)] = true;
  texts_[At(id)] = text;
  types_[At(id)] = TokenType::kNormal;
  scores_[At(id)] = score;
  ids_.emplace(text, id);
}

void TokenizerPieces::SetText(int64_t id, const std::string& text) {
  texts_[At(id)] = text;
  ids_.emplace(text, id);
}

void TokenizerPieces::Store(formats::Metadata& metadata) const {
  std::vector<std::string> tokens(texts_);
  std::vector<int64_t> types;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!used_[i]) tokens[i] = "[PAD" + std::to_string(i) + "]";
    types.push_back(static_cast<int64_t>(types_[i]));
  }
  metadata.SetStrings("tokenizer.ggml.tokens", tokens);
  metadata.SetInts("tokenizer.ggml.token_type", types);
}

void TokenizerPieces::StoreScores(formats::Metadata& metadata) const {
  std::vector<float> rounded;
  bool exact = true;
  for (const double score : scores_) {
    rounded.push_back(static_cast<float>(score));
    exact = exact && static_cast<double>(rounded.back()) == score;
  }
  metadata.SetFloats("tokenizer.ggml.scores", rounded);
  if (exact) return;
  formats::MetadataValue value;
  value.type = formats::GgufType::kArray;
  value.element_type = formats::GgufType::kFloat64;
  value.count = size();
  value.bytes.resize(scores_.size() * sizeof(double));
  std::memcpy(value.bytes.data(), scores_.data(), value.bytes.size());
  metadata.Set("ropewalk.tokenizer.scores", std::move(value));
}

}  // namespace ropewalk::huggingface
