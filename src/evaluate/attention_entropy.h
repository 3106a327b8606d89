// Attention entropy of a model by length and position scheme.
//
// The model reads the last L ids of each document, and entropy is measured for
// the last S queries. These are the same tokens at every length, so that only
// the number of keys before them grows. Scores are computed again in float64
// (attention/definition/entropy.h). The inputs of each layer still come from
// the fast float32 kernels.

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
  std::vector<std::string> spellings;  // of the schemes, as given
  std::vector<int64_t> lengths;        // tokens read
  int64_t last_queries = 16;           // S; a shorter length takes all queries
};

// One layer, or the mean over all layers, of one scheme at one length.
struct EntropyRow {
  std::string position;  // as given
  std::string resolved;  // with every parameter
  int64_t length = 0;
  int64_t layer = -1;         // -1: the mean over the layers
  int64_t documents = 0;      // read
  double entropy = 0;         // nats, mean over queries, heads, documents
  double entropy_stderr = 0;  // documents are the sample; 0 for one document
  double upper = 0;           // nats, mean of ln(keys seen) over the queries
};

// Returns, for every scheme and then every length, the mean over the layers and
// then each layer. Documents shorter than the longest length are skipped, so
// that all rows have the same documents.
//
//   on_tokens   called as Scorer calls it, with the tokens read and
//               the work of ModelScorer::Work; may throw (Interrupted)
//
// Keeps the keys of one document in f32 for all layers, which takes as much
// memory as the keys of an f32 store. Each length is read from the start,
// because a stack may depend on it. In addition to reading it costs S * L * H *
// D products and S * L * D / 2 sines for each layer.
//
// Throws std::invalid_argument before anything is read if there are no lengths
// or schemes, if a length or S is below 1, if no document is long enough, or if
// a scheme is not defined for the model; and while reading for an id outside
// the vocabulary.
std::vector<EntropyRow> MeasureAttentionEntropy(
    engine::Engine& engine, const std::vector<Document>& documents,
    const EntropyOptions& options,
    const OnTokens& on_tokens = [](int64_t, const Workload&) {});

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_ATTENTION_ENTROPY_H_
