// Sets of code points as sequences of byte ranges in UTF-8.

#ifndef ROPEWALK_GRAMMAR_UTF8_RANGES_H_
#define ROPEWALK_GRAMMAR_UTF8_RANGES_H_

#include <cstdint>
#include <vector>

#include "grammar/grammar.h"

namespace ropewalk::grammar {

struct ByteRange {
  uint8_t first = 0;
  uint8_t last = 0;

  bool operator==(const ByteRange&) const = default;
};

// One range for each byte of a character: all combinations of their bytes are
// characters of one set.
using ByteRanges = std::vector<ByteRange>;

// The ranges that together have just the characters of `set`, which has no
// surrogates (Normalise).
std::vector<ByteRanges> Utf8Ranges(const CodeSet& set);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_UTF8_RANGES_H_
