#include "engine/chat_encoder.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "jinja/template.h"

namespace ropewalk::engine {
namespace {

using jinja::Piece;

constexpr size_t kLongestMark = 64;

std::vector<Token> EncodeText(const tokenizer::Tokenizer& tokenizer,
                              std::string_view text, bool parse_special) {
  return tokenizer.Encode(
      text,
      {.add_bos = false, .add_eos = false, .parse_special = parse_special});
}

// Control pieces by their first byte, the longest first.
class ControlPieces {
 public:
  explicit ControlPieces(const tokenizer::Tokenizer& tokenizer) {
    const auto size = static_cast<Token>(tokenizer.VocabularySize());
    for (Token token = 0; token < size; ++token) {
      const std::string_view piece = tokenizer.Piece(token);
      if (!piece.empty() && tokenizer.IsControl(token)) {
        by_first_[piece[0]].emplace_back(piece, token);
      }
    }
    for (auto& [first, pieces] : by_first_) {
      std::stable_sort(pieces.begin(), pieces.end(),
                       [](const auto& a, const auto& b) {
                         return a.first.size() > b.first.size();
                       });
    }
  }

  // The one that text[at] begins with, or null.
  const std::pair<std::string_view, Token>* Find(std::string_view text,
                                                 size_t at) const {
    const auto pieces = by_first_.find(text[at]);
    if (pieces == by_first_.end()) return nullptr;
    for (const auto& piece : pieces->second) {
      if (text.substr(at).starts_with(piece.first)) return &piece;
    }
    return nullptr;
  }

 private:
  std::map<char, std::vector<std::pair<std::string_view, Token>>> by_first_;
};

// Text between control pieces, and the token behind it.
struct Segment {
  std::string text;
  std::vector<size_t> cuts;  // bytes in it that are encoded apart
  bool has_token = false;
  Token token = 0;
};

void AppendInput(Segment& segment, const std::string& text,
                 const std::vector<std::string>& plain_marks) {
  for (const std::string& mark : plain_marks) {
    for (size_t at = text.find(mark); at != std::string::npos;
         at = text.find(mark, at + 1)) {
      segment.cuts.push_back(segment.text.size() + at + 1);
    }
  }
  segment.text += text;
}

std::vector<Segment> SplitAtControls(
    const tokenizer::Tokenizer& tokenizer, const std::vector<Piece>& pieces,
    const std::vector<std::string>& plain_marks) {
  const ControlPieces controls(tokenizer);
  std::vector<Segment> segments(1);
  for (const Piece& piece : pieces) {
    if (piece.from_input) {
      AppendInput(segments.back(), piece.text, plain_marks);
      continue;
    }
    for (size_t at = 0; at < piece.text.size();) {
      const auto* control = controls.Find(piece.text, at);
      if (control == nullptr) {
        segments.back().text += piece.text[at++];
        continue;
      }
      segments.back().has_token = true;
      segments.back().token = control->second;
      segments.emplace_back();
      at += control->first.size();
    }
  }
  return segments;
}

void EncodeSegment(const tokenizer::Tokenizer& tokenizer, Segment& segment,
                   std::vector<Token>& tokens) {
  std::sort(segment.cuts.begin(), segment.cuts.end());
  segment.cuts.push_back(segment.text.size());
  size_t begin = 0;
  for (const size_t cut : segment.cuts) {
    if (cut <= begin) continue;
    const std::vector<Token> part = EncodeText(
        tokenizer, std::string_view(segment.text).substr(begin, cut - begin),
        false);
    tokens.insert(tokens.end(), part.begin(), part.end());
    begin = cut;
  }
  if (segment.has_token) tokens.push_back(segment.token);
}

// The bytes of what looks like a mark at text[at]: <name>, <|name|>, [NAME]; or
// 0.
size_t MarkBytes(std::string_view text, size_t at) {
  const char close = text[at] == '<' ? '>' : text[at] == '[' ? ']' : '\0';
  if (close == '\0') return 0;
  const std::string_view rest = text.substr(at, kLongestMark);
  const size_t end = rest.find(close);
  if (end == std::string_view::npos || end < 2) return 0;
  const bool has_space =
      rest.substr(0, end).find_first_of(" \n\t") != std::string_view::npos;
  return has_space ? 0 : end + 1;
}

}  // namespace

std::vector<std::string> PlainMarks(const tokenizer::Tokenizer& tokenizer,
                                    const std::vector<Piece>& pieces) {
  std::vector<std::string> marks;
  for (const Piece& piece : pieces) {
    if (piece.from_input) continue;
    for (size_t at = 0; at < piece.text.size(); ++at) {
      const size_t bytes = MarkBytes(piece.text, at);
      if (bytes == 0) continue;
      const std::string mark = piece.text.substr(at, bytes);
      const std::vector<Token> tokens = EncodeText(tokenizer, mark, false);
      const bool found = std::any_of(
          tokens.begin(), tokens.end(),
          [&](Token token) { return tokenizer.Piece(token) == mark; });
      if (found && std::find(marks.begin(), marks.end(), mark) == marks.end()) {
        marks.push_back(mark);
      }
    }
  }
  return marks;
}

std::vector<Token> EncodePieces(const tokenizer::Tokenizer& tokenizer,
                                const std::vector<Piece>& pieces,
                                const std::vector<std::string>& plain_marks) {
  std::vector<Segment> segments =
      SplitAtControls(tokenizer, pieces, plain_marks);
  // Encodes all as one text if that is safe, since a vocabulary may join a mark
  // with the space behind it.
  const bool safe = std::all_of(
      segments.begin(), segments.end(), [&](const Segment& segment) {
        return segment.cuts.empty() &&
               EncodeText(tokenizer, segment.text, true) ==
                   EncodeText(tokenizer, segment.text, false);
      });
  if (safe) return EncodeText(tokenizer, jinja::Join(pieces), true);
  std::vector<Token> tokens;
  for (Segment& segment : segments) EncodeSegment(tokenizer, segment, tokens);
  return tokens;
}

}  // namespace ropewalk::engine
