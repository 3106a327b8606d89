// Character maps that would make a short text huge, or a long one slow.

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/gguf_metadata.h"
#include "tokenizer/normalizer.h"

namespace ropewalk::tokenizer {
namespace {

CharacterMap Map(const std::vector<uint32_t>& units,
                 const std::string& replacements) {
  const auto trie_bytes =
      static_cast<uint32_t>(units.size() * sizeof(uint32_t));
  std::string bytes(sizeof(trie_bytes) + trie_bytes, '\0');
  std::memcpy(bytes.data(), &trie_bytes, sizeof(trie_bytes));
  std::memcpy(bytes.data() + sizeof(trie_bytes), units.data(), trie_bytes);
  bytes += replacements;
  formats::Metadata keys;
  keys.Set("tokenizer.ggml.precompiled_charsmap",
           {.type = formats::GgufType::kArray,
            .element_type = formats::GgufType::kUint8,
            .count = static_cast<int64_t>(bytes.size()),
            .bytes = bytes});
  return CharacterMap(keys);
}

// Unit 'a' follows the root and itself, and ends a key each time.
std::vector<uint32_t> Circle() {
  std::vector<uint32_t> units(256, 0);
  units['a'] = 'a' << 10 | 1 << 8 | 'a';
  return units;
}

TEST(CharacterMapTest, ATrieWithACycleEndsTheSearch) {
  const CharacterMap map = Map(Circle(), std::string("b\0", 2));
  std::string_view replacement;
  EXPECT_EQ(map.Match("ab", &replacement), 1u);
  EXPECT_EQ(replacement, "b");
  EXPECT_EQ(map.Match(std::string(100000, 'a'), &replacement), 255u);
}

TEST(CharacterMapTest, ReplacementsAreBounded) {
  const auto zero = std::string(1, '\0');
  (void)Map(Circle(), std::string(255, 'b') + zero);
  try {
    Map(Circle(), "c" + zero + std::string(256, 'b') + zero);
    FAIL() << "taken";
  } catch (const FormatError& error) {
    EXPECT_NE(std::string(error.what()).find("at most 255 bytes, got 256"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace ropewalk::tokenizer
