#include "tokenizer/text_steps.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/step_json.h"
#include "tokenizer/step_pattern.h"
#include "tokenizer/unicode_classes.h"
#include "tokenizer/unicode_forms.h"

namespace ropewalk::tokenizer {
namespace {

constexpr size_t kLeastMost = 1 << 20;
constexpr size_t kMostGrowth = 64;
constexpr size_t kLongestContent = 4096;

void RequireSize(size_t bytes, size_t most) {
  Require(bytes <= most, "Encode: the tokenizer's normalizer makes more than " +
                             std::to_string(most) + " bytes of the text");
}

std::string Content(const StepJson& step, const char* name) {
  std::string content = step.String(name);
  if (content.size() > kLongestContent) {
    throw step.Error("field '" + std::string(name) + "' may have " +
                     std::to_string(kLongestContent) + " bytes, got " +
                     std::to_string(content.size()));
  }
  return content;
}

// `text` with `content` for each match of `pattern`.
void Replace(const StepPattern& pattern, const std::string& content,
             std::string* text, size_t most) {
  std::string out;
  size_t done = 0;
  pattern.ForEachMatch(*text, [&](size_t begin, size_t end) {
    out.append(*text, done, begin - done);
    out += content;
    RequireSize(out.size(), most);
    done = end;
  });
  if (done == 0 && out.empty()) return;
  out.append(*text, done);
  *text = std::move(out);
}

void Strip(bool left, bool right, std::string* text) {
  size_t begin = 0;
  while (left && begin < text->size()) {
    const Character c = CharacterAt(*text, begin);
    if (!IsRustSpace(c.code_point)) break;
    begin += c.bytes;
  }
  size_t end = begin;  // behind the last character that is no space
  for (size_t at = begin; at < text->size();) {
    const Character c = CharacterAt(*text, at);
    at += c.bytes;
    if (!right || !IsRustSpace(c.code_point)) end = at;
  }
  *text = text->substr(begin, end - begin);
}

// What the map of a SentencePiece model does in `tokenizers`: a cluster of
// fewer than 6 bytes is replaced as a whole, by the shortest key that it begins
// with; of others each character is.
void MapCharacters(const CharacterMap& map, std::string* text) {
  std::string out;
  const std::string_view all = *text;
  for (size_t at = 0; at < all.size();) {
    const size_t end = ClusterEnd(all, at);
    std::string_view replacement;
    if (end - at < 6 &&
        map.MatchShortest(all.substr(at, end - at), &replacement)) {
      out += replacement;
      at = end;
      continue;
    }
    while (at < end) {
      const std::string_view c = all.substr(at, CharacterAt(all, at).bytes);
      out += map.MatchShortest(c, &replacement) ? replacement : c;
      at += c.size();
    }
  }
  *text = std::move(out);
}

bool IsChinese(char32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

struct BertOptions {
  bool clean = true, chinese = true, strip_accents = true, lowercase = true;
};

void NormalizeForBert(const BertOptions& options, std::string* text) {
  std::string out;
  for (size_t at = 0; at < text->size();) {
    const Character c = CharacterAt(*text, at);
    const std::string_view bytes = std::string_view(*text).substr(at, c.bytes);
    at += c.bytes;
    const char32_t p = c.code_point;
    if (options.clean) {
      if (IsBertControl(p)) continue;
      if (IsRustSpace(p)) {
        out += ' ';
        continue;
      }
    }
    const bool apart = options.chinese && IsChinese(p);
    if (apart) out += ' ';
    out += bytes;
    if (apart) out += ' ';
  }
  if (options.strip_accents) {
    out = WithoutAccents(ToForm(out, UnicodeForm::kNfd), false);
  }
  *text = options.lowercase ? ToLowercase(out) : std::move(out);
}

// The clean-up of machine translation models, which SentencePiece calls nmt.
void NormalizeForTranslation(std::string* text) {
  std::string out;
  for (size_t at = 0; at < text->size();) {
    const Character c = CharacterAt(*text, at);
    const char32_t p = c.code_point;
    const bool gone = (p >= 1 && p <= 8) || p == 0xb ||
                      (p >= 0xe && p <= 0x1f) || p == 0x7f || p == 0x8f ||
                      p == 0x9f;
    const bool space = p == 9 || p == 0xa || p == 0xc || p == 0xd ||
                       p == 0x1680 || (p >= 0x200b && p <= 0x200f) ||
                       p == 0x2028 || p == 0x2029 || p == 0x2581 ||
                       p == 0xfeff || p == 0xfffd;
    if (space) {
      out += ' ';
    } else if (!gone) {
      out.append(*text, at, c.bytes);
    }
    at += c.bytes;
  }
  *text = std::move(out);
}

}  // namespace

TextSteps::TextSteps(const formats::Metadata& metadata,
                     const formats::Json& normalizer) {
  const auto add = [&](auto change) {
    steps_.push_back(
        [change](std::string* text, size_t /*most*/) { change(text); });
  };
  const auto add_form = [&](UnicodeForm form) {
    add([form](std::string* text) { *text = ToForm(*text, form); });
  };
  for (const StepJson& step :
       FlatSteps(metadata, normalizer, "normalizer", "normalizers")) {
    const std::string& type = step.type();
    if (type == "NFC") {
      add_form(UnicodeForm::kNfc);
    } else if (type == "NFD") {
      add_form(UnicodeForm::kNfd);
    } else if (type == "NFKC") {
      add_form(UnicodeForm::kNfkc);
    } else if (type == "NFKD") {
      add_form(UnicodeForm::kNfkd);
    } else if (type == "Lowercase") {
      add([](std::string* text) { *text = ToLowercase(*text); });
    } else if (type == "StripAccents") {
      add([](std::string* text) { *text = WithoutAccents(*text, true); });
    } else if (type == "Strip") {
      add([left = step.Bool("strip_left", true),
           right = step.Bool("strip_right", true)](std::string* text) {
        Strip(left, right, text);
      });
    } else if (type == "Prepend") {
      add([content = Content(step, "prepend")](std::string* text) {
        if (!text->empty()) text->insert(0, content);
      });
    } else if (type == "Replace") {
      const StepPattern pattern(step);
      steps_.push_back([pattern, content = Content(step, "content")](
                           std::string* text, size_t most) {
        Replace(pattern, content, text, most);
      });
    } else if (type == "Precompiled") {
      const auto map = std::make_shared<const CharacterMap>(metadata);
      add([map](std::string* text) { MapCharacters(*map, text); });
    } else if (type == "BertNormalizer") {
      BertOptions options;
      options.clean = step.Bool("clean_text", true);
      options.chinese = step.Bool("handle_chinese_chars", true);
      options.lowercase = step.Bool("lowercase", true);
      options.strip_accents = step.Bool("strip_accents", options.lowercase);
      add([options](std::string* text) { NormalizeForBert(options, text); });
    } else if (type == "Nmt") {
      add([](std::string* text) { NormalizeForTranslation(text); });
    } else if (type == "ByteLevel") {
      add([](std::string* text) {
        std::string spelled;
        AppendSpelling(*text, &spelled);
        *text = std::move(spelled);
      });
    } else {
      throw step.Unknown();
    }
  }
}

std::string TextSteps::Apply(std::string_view text) const {
  std::string out(text);
  const size_t most = std::max(kLeastMost, kMostGrowth * text.size());
  for (const Step& step : steps_) {
    step(&out, most);
    RequireSize(out.size(), most);
  }
  return out;
}

}  // namespace ropewalk::tokenizer
