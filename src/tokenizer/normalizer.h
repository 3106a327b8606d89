// What SentencePiece does to a text before it is cut into pieces.

#ifndef ROPEWALK_TOKENIZER_NORMALIZER_H_
#define ROPEWALK_TOKENIZER_NORMALIZER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"

namespace ropewalk::tokenizer {

// Replacements of characters (NFKC and the like), which SentencePiece compiles
// into a double-array trie: "ﬁ" becomes "fi". Immutable.
class CharacterMap {
 public:
  CharacterMap() = default;  // replaces nothing
  // From tokenizer.ggml.precompiled_charsmap, if it is there. Throws
  // FormatError where its parts do not fit into it.
  explicit CharacterMap(const formats::Metadata& metadata);

  bool empty() const { return units_.empty(); }

  // The longest replaced run at the beginning of `text`: its bytes, 0 where
  // there is none, and in `replacement` what stands for it. A unit that points
  // out of the table ends the search, as one that does not match.
  size_t Match(std::string_view text, std::string_view* replacement) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;  // each ended by a zero byte
};

// Immutable: any number of threads at a time.
class Normalizer {
 public:
  // By the keys add_space_prefix and remove_extra_whitespaces; where they are
  // absent, by the arguments.
  Normalizer(const formats::Metadata& metadata, bool add_space_prefix,
             bool remove_extra_spaces);

  bool add_space_prefix() const { return add_space_prefix_; }

  // The text with spaces as U+2581, one in front if wanted; runs of spaces as
  // one, and none at the ends, if wanted; characters replaced by the map.
  // Nothing for a text of nothing but spaces that are not wanted.
  std::string Normalize(std::string_view text) const;

 private:
  bool add_space_prefix_;
  bool remove_extra_spaces_;
  CharacterMap map_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_NORMALIZER_H_
