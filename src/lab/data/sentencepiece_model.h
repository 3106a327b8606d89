// SentencePiece's own model file ("tokenizer.model"): read as GGUF keys, and
// written, so that other programs can load a vocabulary of ours.
//
// The file is a protocol buffer of which a dozen fields matter; handling those
// here keeps SentencePiece's library out of the lab (see bpe_merges.h).

#ifndef ROPEWALK_LAB_DATA_SENTENCEPIECE_MODEL_H_
#define ROPEWALK_LAB_DATA_SENTENCEPIECE_MODEL_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"

namespace ropewalk::lab::data {

// The tokenizer.ggml.* keys with which tokenizer::Tokenizer encodes as the
// model does. `path` names the model in errors. Throws FormatError when the
// bytes are no such model, and for what our tokenizer does not do: another
// kind than BPE, text that is normalised, spaces that are dropped.
formats::Metadata MetadataOfSentencePiece(const std::string& path,
                                          std::string_view model);

struct SentencePiece {
  std::string text;
  float score = 0;
  int64_t type = 1;  // numbered as GGUF's
};

// The bytes of a BPE model on the text as it is, without a space in front.
// <unk>, <s>, </s> must be pieces 0, 1, 2.
std::string WriteSentencePiece(const std::vector<SentencePiece>& pieces);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_SENTENCEPIECE_MODEL_H_
