// The normalisation that SentencePiece applies before it cuts text into pieces.

#ifndef ROPEWALK_TOKENIZER_NORMALIZER_H_
#define ROPEWALK_TOKENIZER_NORMALIZER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"

namespace ropewalk::tokenizer {

// Replacements of characters, such as NFKC ("ﬁ" becomes "fi"), which
// SentencePiece compiles into a double-array trie. Immutable.
class CharacterMap {
 public:
  CharacterMap() = default;  // replaces nothing
  // Reads tokenizer.ggml.precompiled_charsmap, if the key is there. Throws
  // FormatError if the sizes of its parts do not fit its own size.
  explicit CharacterMap(const formats::Metadata& metadata);

  bool empty() const { return units_.empty(); }

  // Finds the longest run at the beginning of `text` that has a replacement.
  // Returns its size in bytes, or 0, and sets `replacement`. A unit that points
  // outside the table ends the search like a unit that does not match.
  size_t Match(std::string_view text, std::string_view* replacement) const;

  // The replacement of the shortest run at the beginning of `text` that has
  // one, which `tokenizers` takes for all of `text`; false if there is none.
  bool MatchShortest(std::string_view text,
                     std::string_view* replacement) const;

 private:
  // Calls `found(bytes, replacement)` for the runs at the beginning of `text`,
  // the shortest first, until it returns false.
  template <typename Found>
  void Walk(std::string_view text, const Found& found) const;

  std::vector<uint32_t> units_;
  std::string replacements_;  // each ends with a zero byte
};

// Immutable, for any number of threads at a time.
class Normalizer {
 public:
  // Reads the keys add_space_prefix and remove_extra_whitespaces; the arguments
  // replace absent keys.
  Normalizer(const formats::Metadata& metadata, bool add_space_prefix,
             bool remove_extra_spaces);

  bool add_space_prefix() const { return add_space_prefix_; }

  // The text with characters replaced by the map and spaces as U+2581. With
  // add_space_prefix it gets one in front. With remove_extra_whitespaces runs
  // of spaces become one space and spaces at both ends are removed, so that a
  // text of spaces becomes empty.
  std::string Normalize(std::string_view text) const;

 private:
  bool add_space_prefix_;
  bool remove_extra_spaces_;
  CharacterMap map_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_NORMALIZER_H_
