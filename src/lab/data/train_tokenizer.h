// A BPE vocabulary for a corpus, in SentencePiece's spelling.
//
// A piece is letters, or one digit, or signs, with at most one space in front;
// words are counted line by line. A line end is therefore always the one token
// <0x0A>, as in Llama's vocabularies, and so is a tab <0x09>. No space is put
// in front of a text (add_space_prefix = false): the first word of a line has
// none either, and both then share their pieces.

#ifndef ROPEWALK_LAB_DATA_TRAIN_TOKENIZER_H_
#define ROPEWALK_LAB_DATA_TRAIN_TOKENIZER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lab/data/corpus.h"

namespace ropewalk::lab::data {

struct TokenizerTraining {
  int64_t vocabulary = 4096;          // V, at least 300: 256 are bytes
  int64_t sample_bytes = 30'000'000;  // of lines drawn evenly by `seed`
  uint64_t seed = 0;
  // Tokens of their own that never come out of text, ids 3 and up: "<sep>".
  std::vector<std::string> control_pieces;
  // Part of the characters seen that get a piece; the rest is spelt in bytes.
  // From V = 512 all printable ASCII has pieces, seen or not.
  double character_coverage = 0.9999;
};

// The bytes of a tokenizer.model; the same for the same arguments. <unk>, <s>,
// </s> are 0, 1, 2. Throws std::invalid_argument when the corpus is too small
// for V or V too small for its characters, with the bound.
std::string TrainTokenizer(const Corpus& corpus,
                           const TokenizerTraining& options);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_TRAIN_TOKENIZER_H_
