// Attention entropy of a model by length and position scheme.
//
// Of each document the last L ids are read, and the last S of them ask: the
// same tokens at every length, so that only the number of keys before them
// grows. Scores are formed anew in float64 (attention/definition/entropy.h)
// from what each layer's attention was given; what it was given, being made by
// the layers below, comes of the fast kernels.

#ifndef ROPEWALK_EVALUATE_ATTENTION_ENTROPY_H_
#define ROPEWALK_EVALUATE_ATTENTION_ENTROPY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "evaluate/documents.h"
#include "evaluate/scorer.h"
#include "position/scheme.h"

namespace ropewalk::evaluate {

struct EntropyOptions {
  std::vector<position::Scheme> schemes;
  std::vector<std::string> spellings;  // of the schemes, as they were given
  std::vector<int64_t> lengths;        // tokens read
  int64_t last_queries = 16;           // S; a shorter length asks with all
};

// One layer, or all of them, of one scheme at one length.
struct EntropyRow {
  std::string position;  // as given
  std::string resolved;  // with every parameter
  int64_t length = 0;
  int64_t layer = -1;         // -1: the mean over the layers
  int64_t documents = 0;      // read
  double entropy = 0;         // nats, mean over queries, heads, documents
  double entropy_stderr = 0;  // documents are the sample; 0 for one alone
  double upper = 0;           // nats, mean of ln(keys seen) over the queries
};

// For every scheme, then every length: the mean over the layers, then layer by
// layer. Documents shorter than the longest length are left out, so that all
// rows are of the same ones.
//
//   on_tokens   called as Scorer calls it, with the tokens read and
//               the work of ModelScorer::Work; may throw (Interrupted)
//
// Keys of one document are held in f32 for all layers, as large as the key half
// of a context. Each length is read afresh: a stack may depend on it. Beyond
// reading it costs S * L * H * D products and S * L * D / 2 sines a layer.
//
// Throws std::invalid_argument, before anything is read: no lengths or
// schemes, a length or S below 1, no document long enough, a scheme that is
// not defined for the model; and while reading, for an id outside the
// vocabulary.
std::vector<EntropyRow> MeasureAttentionEntropy(
    engine::Engine& engine, const std::vector<Document>& documents,
    const EntropyOptions& options,
    const OnTokens& on_tokens = [](int64_t, double) {});

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_ATTENTION_ENTROPY_H_
