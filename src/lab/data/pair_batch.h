// Input and output sequences laid out for training, with the loss on the
// output alone.
//
// Both layouts supervise the same targets (the output and the end token, where
// the layout does not leave some out), so that decoder-only and encoder-decoder
// models learn from equal budgets.

#ifndef ROPEWALK_LAB_DATA_PAIR_BATCH_H_
#define ROPEWALK_LAB_DATA_PAIR_BATCH_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/token.h"

namespace ropewalk::lab::data {

struct SequencePair {
  std::vector<Token> input;
  std::vector<Token> output;

  bool operator==(const SequencePair&) const = default;
};

struct PairLayout {
  Token separator = 1;    // between input and output; begins a decoder's input
  Token end = 2;          // behind the output
  bool score_end = true;  // not where the output says where it ends
  // Of the output tokens k, 2k, 3k, .. are scored, the ones between are given.
  int64_t score_every = 1;
  Token pad = 0;  // any id: its targets weigh 0
  // Columns; 0 takes the longest row.
  int64_t T = 0;  // of the stream or the decoder
  int64_t S = 0;  // of the encoder
};

// One stream, input + separator + output + end, for causal and prefix masks.
// Row-major; target [b, t] is what stands behind ids [b, t].
struct StreamBatch {
  int64_t B = 0, T = 0;
  std::vector<int64_t> ids;      // [B, T], padded behind
  std::vector<int64_t> targets;  // [B, T]
  std::vector<float> weights;    // [B, T]: 1 where the target is scored
  std::vector<int64_t> prefix;   // [B]: input and separator
  std::vector<int64_t> lengths;  // [B]: without padding
};

// Two streams: the input, and separator + output.
struct EncoderDecoderBatch {
  int64_t B = 0, S = 0, T = 0;
  std::vector<int64_t> source;          // [B, S], padded behind
  std::vector<int64_t> source_lengths;  // [B]
  std::vector<int64_t> ids;             // [B, T]
  std::vector<int64_t> targets;         // [B, T]
  std::vector<float> weights;           // [B, T]
  std::vector<int64_t> lengths;         // [B]
};

// Throw std::invalid_argument for no pairs, and where a row is longer than the
// columns given: nothing is cut silently.
StreamBatch LayOutStream(std::span<const SequencePair> pairs,
                         const PairLayout& layout);
EncoderDecoderBatch LayOutEncoderDecoder(std::span<const SequencePair> pairs,
                                         const PairLayout& layout);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_PAIR_BATCH_H_
