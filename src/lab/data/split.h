// Which documents a model learns from and which it is judged by.

#ifndef ROPEWALK_LAB_DATA_SPLIT_H_
#define ROPEWALK_LAB_DATA_SPLIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lab/data/token_file.h"

namespace ropewalk::lab::data {

struct SplitOptions {
  // Documents to hold out: this many, or where 0 this share of them, at least
  // one where the share is above 0.
  int64_t count = 0;
  double fraction = 0.01;
  uint64_t seed = 0;
  // These instead, by name; "novel.txt" names all of "novel.txt#0", ...
  std::vector<std::string> names;
};

struct Split {
  std::vector<int64_t> train;  // documents, ascending
  std::vector<int64_t> held_out;
};

// A function of the documents' number and texts, and the options. A document
// whose text is that of one held out goes with it, so nothing is on both
// sides. Throws std::invalid_argument when a name is not there or nothing is
// left to learn from.
Split SplitDocuments(const TokenFile& tokens, const SplitOptions& options);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_SPLIT_H_
