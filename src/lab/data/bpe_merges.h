// Byte-pair encoding learnt from counted words (Sennrich et al. 2016).
//
// SentencePiece's trainer would do, but Debian's library exports the symbols
// of a protobuf of its own, and LibTorch loads another one: a program linked
// to both dies before main.

#ifndef ROPEWALK_LAB_DATA_BPE_MERGES_H_
#define ROPEWALK_LAB_DATA_BPE_MERGES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk::lab::data {

// A word as its characters, and how often it occurs.
struct CountedWord {
  std::vector<int32_t> symbols;  // indices of `characters`
  int64_t count = 0;
};

// Joins, again and again, the two neighbours that stand together most often,
// and returns the pieces that this makes, in order: `pieces` of them, or fewer
// when no two neighbours occur twice any more. A piece has at most
// `max_symbols` characters. Among equally frequent pairs the shorter comes
// first, then the one seen earlier, so equal input gives equal output.
std::vector<std::string> LearnMerges(const std::vector<std::string>& characters,
                                     std::vector<CountedWord> words,
                                     int64_t pieces, int64_t max_symbols);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_BPE_MERGES_H_
