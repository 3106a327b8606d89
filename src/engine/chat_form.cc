#include "engine/chat_form.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "engine/template_literals.h"

namespace ropewalk::engine {
namespace {

constexpr std::string_view kKey = "tokenizer.chat_template";
// Published templates have up to 20 kB.
constexpr size_t kMostTemplateBytes = size_t{1} << 20;
constexpr size_t kLongestMark = 64;

using Literals = std::vector<TemplateLiteral>;

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// A family writes each turn as OPEN role CLOSE text END.
struct Family {
  std::string_view name;
  std::string_view open;
  std::string_view end;
  std::string_view assistant;  // the role that answers
  // Texts that may follow a role; the template prints one of them.
  std::array<std::string_view, 2> closes;
};

constexpr std::array<Family, 4> kFamilies = {{
    {"ChatML", "<|im_start|>", "<|im_end|>", "assistant", {"<|im_sep|>", "\n"}},
    {"Llama 3",
     "<|start_header_id|>",
     "<|eot_id|>",
     "assistant",
     {"<|end_header_id|>\n\n", ""}},
    {"Gemma", "<start_of_turn>", "<end_of_turn>", "model", {"\n", ""}},
    {"Phi", "<|", "<|end|>", "assistant", {"|>\n", "|>"}},
}};

// Other known forms, each by one of its marks; messages name them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kOthers =
    {{{"[INST]", "Mistral and Llama 2"},
      {"<|start_of_role|>", "Granite"},
      {"[gMASK]", "GLM"},
      {"<|START_OF_TURN_TOKEN|>", "Command R"},
      {"[|user|]", "EXAONE"},
      {"<\xef\xbd\x9cUser\xef\xbd\x9c>", "DeepSeek"},
      {"<|header_start|>", "Llama 4"},
      {"<|channel|>", "GPT-OSS"},
      {"<|user|>", "Zephyr"}}};

// Finds the beginning of the answer: the part of the last fixed text with the
// assistant's role that begins with the opening of that role. If the template
// has add_generation_prompt, only texts behind it count: those before are
// turns.
std::optional<std::string> FindAnswer(std::string_view source,
                                      const Literals& literals,
                                      const Family& family) {
  const std::string opening =
      std::string(family.open) + std::string(family.assistant);
  const size_t from = source.rfind("add_generation_prompt");
  std::optional<std::string> answer;
  for (const TemplateLiteral& literal : literals) {
    if (from != std::string_view::npos && literal.begin < from) continue;
    const size_t at = literal.text.rfind(opening);
    if (at == std::string::npos) continue;
    answer = literal.text.substr(at);
    if (from != std::string_view::npos) break;
  }
  return answer;
}

// Returns the first literal at or behind `from`, or null.
const TemplateLiteral* LiteralFrom(const Literals& literals, size_t from) {
  const auto at =
      std::ranges::lower_bound(literals, from, {}, &TemplateLiteral::begin);
  return at == literals.end() ? nullptr : &*at;
}

// Returns X of `NAME = "X"` if X is a literal that is not empty.
std::optional<std::string> FindAssigned(std::string_view source,
                                        const Literals& literals,
                                        std::string_view name) {
  const std::string start = std::string(name) + " = ";
  for (size_t at = source.find(start); at != std::string_view::npos;
       at = source.find(start, at + 1)) {
    const size_t value = at + start.size();
    const TemplateLiteral* literal = LiteralFrom(literals, value);
    if (literal != nullptr && literal->begin == value &&
        !literal->text.empty()) {
      return literal->text;
    }
  }
  return std::nullopt;
}

// The bytes of the white space character that `text` begins with, or 0. Jinja's
// trim removes the same characters (Python's str.strip).
size_t LeadingSpace(std::string_view text) {
  if (text.empty()) return 0;
  const auto c = static_cast<unsigned char>(text[0]);
  if (c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31)) return 1;
  for (const std::string_view space :
       {"\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
        "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85",
        "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89",
        "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
        "\xe2\x81\x9f", "\xe3\x80\x80"}) {
    if (text.starts_with(space)) return space.size();
  }
  return 0;
}

size_t TrailingSpace(std::string_view text) {
  // A space has 1 to 3 bytes, and no space ends with another one.
  for (size_t bytes = 1; bytes <= std::min<size_t>(3, text.size()); ++bytes) {
    if (LeadingSpace(text.substr(text.size() - bytes)) == bytes) return bytes;
  }
  return 0;
}

std::string_view Trimmed(std::string_view text) {
  while (const size_t bytes = LeadingSpace(text)) text.remove_prefix(bytes);
  while (const size_t bytes = TrailingSpace(text)) text.remove_suffix(bytes);
  return text;
}

// Whether the template trims its variable `content`.
bool Trims(std::string_view source) {
  for (size_t at = source.find("content"); at != std::string_view::npos;
       at = source.find("content", at + 1)) {
    std::string rest;  // the next characters without spaces
    for (size_t i = at + 7; i < source.size() && rest.size() < 8; ++i) {
      const char c = source[i];
      if (c != ' ' && c != '\'' && c != '"' && c != ']') rest += c;
    }
    if (rest.starts_with("|trim")) return true;
  }
  return false;
}

// The bytes of the mark (<name>, <|name|>) that `text` begins with, or 0.
size_t MarkBytes(std::string_view text) {
  if (!text.starts_with('<')) return 0;
  const size_t end = text.substr(0, kLongestMark).find('>');
  if (end == std::string_view::npos || end < 2) return 0;
  for (const char c : text.substr(1, end - 1)) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '|' &&
        c != '_' && c != '/') {
      return 0;
    }
  }
  return end + 1;
}

void AppendText(std::vector<ChatPiece>& pieces, std::string_view text) {
  if (text.empty()) return;
  if (pieces.empty() || pieces.back().is_mark) {
    pieces.push_back({std::string(text), false});
  } else {
    pieces.back().text += text;
  }
}

// Appends text of the template, whose marks are marks.
void AppendForm(std::vector<ChatPiece>& pieces, std::string_view form) {
  for (size_t at = 0; at < form.size();) {
    const size_t bytes = MarkBytes(form.substr(at));
    if (bytes > 0) {
      pieces.push_back({std::string(form.substr(at, bytes)), true});
      at += bytes;
    } else {
      AppendText(pieces, form.substr(at, 1));
      ++at;
    }
  }
}

FormatError Unsupported(const formats::Metadata& metadata,
                        std::string_view source, const std::string& what) {
  return metadata.Error(
      kKey, what +
                "; supported: ChatML, Llama 3, Gemma, Phi; write the turns "
                "into the prompt and read their marks as special tokens "
                "instead; the template begins '" +
                Printable(source, 60) + "'");
}

// Returns the text between the opening and the end of a system turn if the
// template has all of it as a literal.
std::optional<std::string> SpelledSystem(const Literals& literals,
                                         const std::string& opening,
                                         std::string_view end) {
  for (const TemplateLiteral& literal : literals) {
    const size_t at = literal.text.find(opening);
    if (at == std::string::npos) continue;
    const size_t begin = at + opening.size();
    const size_t stop = literal.text.find(end, begin);
    if (stop != std::string::npos && stop > begin) {
      return literal.text.substr(begin, stop - begin);
    }
  }
  return std::nullopt;
}

}  // namespace

ChatForm ChatForm::FromMetadata(const formats::Metadata& metadata) {
  const std::optional<std::string> found = metadata.FindString(kKey);
  if (!found || found->empty()) {
    throw metadata.Error(kKey,
                         "missing: this file names no chat form (a base model, "
                         "not an instruct one?)");
  }
  const std::string& source = *found;
  if (source.size() > kMostTemplateBytes) {
    throw metadata.Error(
        kKey, "must have at most " + std::to_string(kMostTemplateBytes) +
                  " bytes, has " + std::to_string(source.size()));
  }
  const Literals literals = FindLiterals(source);

  const Family* family = nullptr;
  std::optional<std::string> answer;
  for (const Family& candidate : kFamilies) {
    if (!Has(source, candidate.open) || !Has(source, candidate.end)) continue;
    answer = FindAnswer(source, literals, candidate);
    if (!answer) continue;
    family = &candidate;
    break;
  }
  if (family == nullptr) {
    for (const auto& [mark, name] : kOthers) {
      if (Has(source, mark)) {
        throw Unsupported(metadata, source,
                          "the chat form of " + std::string(name) + " ('" +
                              std::string(mark) + "') is not supported");
      }
    }
    throw Unsupported(metadata, source, "this chat form is not known");
  }

  ChatForm form;
  form.name_ = family->name;
  form.role_open_ = family->open;
  form.answer_ = *answer;
  const std::string_view behind_role = std::string_view(*answer).substr(
      family->open.size() + family->assistant.size());
  const auto close = std::ranges::find_if(
      family->closes,
      [&](std::string_view text) { return behind_role.starts_with(text); });
  if (close == family->closes.end() || close->empty()) {
    throw Unsupported(metadata, source,
                      "the answer begins with '" + Printable(*answer) +
                          "', which is not the beginning that " + form.name_ +
                          " has");
  }
  form.role_close_ = *close;
  // If the role has a line of its own, a turn ends with a newline (not in
  // Llama 3).
  const bool lines =
      form.role_close_.ends_with('\n') && !form.role_close_.ends_with("\n\n");
  form.family_end_ = family->end;
  form.end_of_turn_ = std::string(family->end) + (lines ? "\n" : "");
  form.begins_with_bos_ = Has(source, "bos_token");
  form.trims_user_ = Trims(source);

  if (form.name_ == "Gemma") {
    // The system text goes into the user's turn if the template says so.
    const size_t at = source.find("first_user_prefix = messages[0]");
    if (at == std::string::npos) {
      form.takes_system_ = false;
      return form;
    }
    // 'content' is a literal too, in messages[0]['content'].
    const size_t plus = source.find('+', at);
    const TemplateLiteral* separator = LiteralFrom(literals, plus);
    if (separator == nullptr || separator->text.empty() ||
        separator->text.find_first_not_of('\n') != std::string::npos) {
      throw Unsupported(metadata, source,
                        "the place of the system text is not understood");
    }
    form.system_in_user_ = separator->text;
    return form;
  }

  form.trims_system_ = form.trims_user_;
  const std::string opening = form.OpenTurn("system");
  if (form.name_ == "Phi") {
    form.takes_system_ = Has(source, "<|system|>") ||
                         Has(source, "'<|' + message['role'] + '|>'");
  }
  if (form.name_ == "Llama 3" && Has(source, "Cutting Knowledge Date")) {
    // Llama 3.1 and later print two lines in every system turn. The date is
    // the template's own; with today's date runs could not be repeated.
    const auto prefix = std::ranges::find_if(literals, [](const auto& literal) {
      return literal.text.starts_with("Cutting Knowledge Date: ");
    });
    const std::optional<std::string> date =
        FindAssigned(source, literals, "date_string");
    if (prefix == literals.end() || !date) {
      throw Unsupported(metadata, source,
                        "the date in its system text is not spelt out");
    }
    form.system_prefix_ = prefix->text + "Today Date: " + *date + "\n\n";
    form.always_system_ = true;
    return form;
  }
  if (Has(source, "strftime_now")) {
    throw Unsupported(metadata, source,
                      "the template computes its system text (strftime_now)");
  }
  form.default_system_ = SpelledSystem(literals, opening, family->end);
  if (!form.default_system_) {
    form.default_system_ = FindAssigned(source, literals, "system_message");
  }
  return form;
}

std::string ChatForm::OpenTurn(std::string_view role) const {
  return role_open_ + std::string(role) + role_close_;
}

std::vector<ChatPiece> ChatForm::Render(
    std::string_view user, const std::optional<std::string>& system) const {
  Require(!system || takes_system_,
          "the chat form of this file (" + name_ +
              ") has no place for a system text; put it into the prompt");
  std::vector<ChatPiece> pieces;
  const std::optional<std::string>& text = system ? system : default_system_;
  if (!system_in_user_ && (text || always_system_)) {
    AppendForm(pieces, OpenTurn("system"));
    const std::string_view given = text ? std::string_view(*text) : "";
    AppendText(pieces, system_prefix_);
    AppendText(pieces, system && trims_system_ ? Trimmed(given) : given);
    AppendForm(pieces, end_of_turn_);
  }
  AppendForm(pieces, OpenTurn("user"));
  if (system_in_user_ && text) {
    AppendText(pieces, *text);
    AppendText(pieces, *system_in_user_);
  }
  AppendText(pieces, trims_user_ ? Trimmed(user) : user);
  AppendForm(pieces, end_of_turn_);
  AppendForm(pieces, answer_);
  return pieces;
}

std::vector<Token> ChatForm::Encode(
    const tokenizer::Tokenizer& tokenizer, std::string_view user,
    const std::optional<std::string>& system) const {
  const std::vector<ChatPiece> pieces = Render(user, system);
  const auto encode = [&](std::string_view text, bool parse_special) {
    return tokenizer.Encode(
        text,
        {.add_bos = false, .add_eos = false, .parse_special = parse_special});
  };
  for (const ChatPiece& piece : pieces) {
    if (!piece.is_mark) continue;
    const std::vector<Token> mark = encode(piece.text, true);
    if (mark.size() != 1 || tokenizer.Piece(mark[0]) != piece.text) {
      throw std::runtime_error("the chat form " + name_ + " needs '" +
                               piece.text +
                               "', which is not a token of this vocabulary");
    }
  }
  const auto is_mark = [&](std::string_view text) {
    return text == family_end_ ||
           (MarkBytes(text) == text.size() && text.starts_with(role_open_));
  };
  bool plain = true;  // no text has a special token
  std::vector<Token> apart;
  for (const ChatPiece& piece : pieces) {
    const std::vector<Token> some = encode(piece.text, piece.is_mark);
    apart.insert(apart.end(), some.begin(), some.end());
    if (piece.is_mark) continue;
    plain = plain && some == encode(piece.text, true);
    for (const Token token : some) {
      const std::string_view text = tokenizer.Piece(token);
      Require(!is_mark(text), "the text contains '" + std::string(text) +
                                  "', which this vocabulary reads as a mark "
                                  "of its chat form even in plain text");
    }
  }
  // Encodes all as one text if that is safe, since a vocabulary may join a mark
  // with the space behind it.
  const std::vector<Token> body =
      plain ? encode(JoinPieces(pieces), true) : std::move(apart);
  std::vector<Token> tokens;
  if (begins_with_bos_ && tokenizer.bos()) {
    tokens.push_back(*tokenizer.bos());
  } else {
    tokens = tokenizer.Encode("", {.add_eos = false});
  }
  tokens.insert(tokens.end(), body.begin(), body.end());
  return tokens;
}

std::string JoinPieces(const std::vector<ChatPiece>& pieces) {
  std::string text;
  for (const ChatPiece& piece : pieces) text += piece.text;
  return text;
}

}  // namespace ropewalk::engine
