// Which tokenizer of llama.cpp does the same as a tokenizer.json.

#ifndef ROPEWALK_HUGGINGFACE_TOKENIZER_SHAPE_H_
#define ROPEWALK_HUGGINGFACE_TOKENIZER_SHAPE_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "formats/json_file.h"
#include "huggingface/tokenizer_pieces.h"

namespace ropewalk::huggingface {

// The names for vocabularies that llama.cpp has nothing for; it refuses them.
inline constexpr const char* kNoPre = "ropewalk";
inline constexpr const char* kNoModel = "ropewalk";

struct TokenizerShape {
  std::string model;  // tokenizer.ggml.model
  std::string pre;    // tokenizer.ggml.pre
  std::optional<bool> add_space_prefix = {};
  std::optional<bool> remove_extra_spaces = {};
  bool lowercase = false, strip_accents = false;  // of model "bert"
  // The scores with which SentencePiece's BPE merges in the same order; empty
  // unless model is "llama".
  std::vector<float> scores = {};
};

// `json` is the whole file without its vocabulary, `merges` pairs of ids.
TokenizerShape FindTokenizerShape(
    const formats::Json& json, const TokenizerPieces& pieces,
    const std::vector<std::pair<int64_t, int64_t>>& merges);

// The steps of a part with each Sequence replaced by what is in it. What has
// another form is left out: the reader of the pipeline refuses it.
std::vector<formats::Json> FlatSteps(const formats::Json& json,
                                     const char* part, const char* list);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_TOKENIZER_SHAPE_H_
