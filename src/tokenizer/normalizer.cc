#include "tokenizer/normalizer.h"

#include <algorithm>
#include <cstring>

#include "tokenizer/spaces.h"
#include "tokenizer/unicode_classes.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kMap = "tokenizer.ggml.precompiled_charsmap";
// Limits in bytes. NFKC replaces at most 20 bytes by at most 33. With larger
// replacements a short text could become huge, and with a trie that has a cycle
// a long text would be slow.
constexpr size_t kLongestReplacement = 255;
constexpr size_t kLongestKey = 255;

// A unit of the double array. It has a label, whether its node ends a key, and
// the place of its children; or, with the top bit set, a value.
uint32_t Label(uint32_t unit) { return unit & (1u << 31 | 0xff); }
bool EndsKey(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t Offset(uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }
uint32_t Value(uint32_t unit) { return unit & ~(1u << 31); }

}  // namespace

CharacterMap::CharacterMap(const formats::Metadata& metadata) {
  const formats::MetadataValue* value = metadata.Find(kMap);
  if (value == nullptr) return;
  if (value->type != formats::GgufType::kArray ||
      (value->element_type != formats::GgufType::kUint8 &&
       value->element_type != formats::GgufType::kInt8)) {
    throw metadata.Error(
        kMap, "expected an array of bytes, found " + value->TypeName());
  }
  const std::string& bytes = value->bytes;
  if (bytes.empty()) return;
  uint32_t trie_bytes = 0;
  if (bytes.size() >= sizeof(trie_bytes)) {
    std::memcpy(&trie_bytes, bytes.data(), sizeof(trie_bytes));
  }
  if (trie_bytes == 0 || trie_bytes % sizeof(uint32_t) != 0 ||
      trie_bytes > bytes.size() - sizeof(trie_bytes)) {
    throw metadata.Error(kMap, "its trie must be whole units within the " +
                                   std::to_string(bytes.size()) +
                                   " bytes of the map, got a trie of " +
                                   std::to_string(trie_bytes) + " bytes");
  }
  if (bytes.back() != '\0') {
    throw metadata.Error(kMap, "its last replacement must end in a zero byte");
  }
  units_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(units_.data(), bytes.data() + sizeof(trie_bytes), trie_bytes);
  replacements_ = bytes.substr(sizeof(trie_bytes) + trie_bytes);
  for (size_t begin = 0; begin < replacements_.size();) {
    const size_t end = replacements_.find('\0', begin);
    if (end - begin > kLongestReplacement) {
      throw metadata.Error(kMap, "a replacement must have at most " +
                                     std::to_string(kLongestReplacement) +
                                     " bytes, got " +
                                     std::to_string(end - begin));
    }
    begin = end + 1;
  }
}

template <typename Found>
void CharacterMap::Walk(std::string_view text, const Found& found) const {
  if (units_.empty()) return;
  uint32_t place = Offset(units_[0]);
  for (size_t i = 0; i < std::min(text.size(), kLongestKey); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    place ^= byte;
    if (place >= units_.size()) return;
    const uint32_t unit = units_[place];
    if (Label(unit) != byte) return;
    place ^= Offset(unit);
    if (!EndsKey(unit)) continue;
    if (place >= units_.size()) return;
    const uint32_t begin = Value(units_[place]);
    if (begin >= replacements_.size()) return;
    // Ends at the zero byte.
    if (!found(i + 1, std::string_view(replacements_.data() + begin))) return;
  }
}

size_t CharacterMap::Match(std::string_view text,
                           std::string_view* replacement) const {
  size_t longest = 0;
  Walk(text, [&](size_t bytes, std::string_view found) {
    longest = bytes;
    *replacement = found;
    return true;
  });
  return longest;
}

bool CharacterMap::MatchShortest(std::string_view text,
                                 std::string_view* replacement) const {
  bool matched = false;
  Walk(text, [&](size_t /*bytes*/, std::string_view found) {
    matched = true;
    *replacement = found;
    return false;
  });
  return matched;
}

Normalizer::Normalizer(const formats::Metadata& metadata, bool add_space_prefix,
                       bool remove_extra_spaces)
    : add_space_prefix_(metadata.FindBool("tokenizer.ggml.add_space_prefix")
                            .value_or(add_space_prefix)),
      remove_extra_spaces_(
          metadata.FindBool("tokenizer.ggml.remove_extra_whitespaces")
              .value_or(remove_extra_spaces)),
      map_(metadata) {}

std::string Normalizer::Normalize(std::string_view text) const {
  std::string out;
  if (add_space_prefix_) out = kSpaceMark;
  if (!remove_extra_spaces_ && map_.empty()) {
    AppendEscaped(text, &out);
    return out;
  }
  bool begun = false;
  bool after_space = remove_extra_spaces_;
  for (size_t at = 0; at < text.size();) {
    std::string_view part;
    size_t bytes = map_.Match(text.substr(at), &part);
    if (bytes == 0) {
      bytes = CharacterAt(text, at).bytes;
      part = text.substr(at, bytes);
    }
    at += bytes;
    while (after_space && part.starts_with(' ')) part.remove_prefix(1);
    if (part.empty()) continue;
    begun = true;
    AppendEscaped(part, &out);
    after_space = remove_extra_spaces_ && part.ends_with(' ');
  }
  if (!remove_extra_spaces_) return out;
  if (!begun) return "";
  while (out.ends_with(kSpaceMark)) {
    out.resize(out.size() - kSpaceMark.size());
  }
  return out;
}

}  // namespace ropewalk::tokenizer
