#include "lab/data/pair_batch.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace ropewalk::lab::data {
namespace {

// The columns for rows up to `longest`, at least 1.
int64_t Columns(int64_t given, int64_t longest, const char* what) {
  Require(given == 0 || longest <= given,
          std::string("a pair needs ") + std::to_string(longest) + " " + what +
              " columns but only " + std::to_string(given) + " are given");
  return given == 0 ? std::max<int64_t>(1, longest) : given;
}

int64_t SizeOf(const std::vector<Token>& ids) {
  return static_cast<int64_t>(ids.size());
}

// Writes `row` as ids and targets from [b, 0] on: the target of each id is the
// one behind it. The output begins with row[first_target]; of it and the end
// behind it those weigh 1 that the layout scores.
template <typename Batch>
void FillRow(const std::vector<Token>& row, int64_t b, int64_t first_target,
             const PairLayout& layout, Batch* batch) {
  const int64_t end = SizeOf(row) - 1;
  for (int64_t t = 0; t + 1 < SizeOf(row); ++t) {
    const auto at = static_cast<size_t>(b * batch->T + t);
    batch->ids[at] = row[static_cast<size_t>(t)];
    batch->targets[at] = row[static_cast<size_t>(t + 1)];
    const int64_t output = t + 1 - first_target;
    const bool scored =
        t + 1 == end ? layout.score_end
                     : output >= 0 && (output + 1) % layout.score_every == 0;
    batch->weights[at] = scored ? 1.0f : 0.0f;
  }
  batch->lengths[static_cast<size_t>(b)] = SizeOf(row) - 1;
}

template <typename Batch>
void Prepare(int64_t B, int64_t T, Token pad, Batch* batch) {
  const auto cells = static_cast<size_t>(B * T);
  batch->B = B;
  batch->T = T;
  batch->ids.assign(cells, pad);
  batch->targets.assign(cells, pad);
  batch->weights.assign(cells, 0);
  batch->lengths.assign(static_cast<size_t>(B), 0);
}

// separator + output + end.
std::vector<Token> Answer(const SequencePair& pair, const PairLayout& layout) {
  std::vector<Token> row = {layout.separator};
  row.insert(row.end(), pair.output.begin(), pair.output.end());
  row.push_back(layout.end);
  return row;
}

}  // namespace

StreamBatch LayOutStream(std::span<const SequencePair> pairs,
                         const PairLayout& layout) {
  Require(!pairs.empty(), "a batch needs at least one pair");
  int64_t longest = 0;
  for (const SequencePair& pair : pairs) {
    longest = std::max(longest, SizeOf(pair.input) + SizeOf(pair.output) + 1);
  }
  StreamBatch batch;
  Prepare(static_cast<int64_t>(pairs.size()),
          Columns(layout.T, longest, "stream"), layout.pad, &batch);
  for (int64_t b = 0; b < batch.B; ++b) {
    const SequencePair& pair = pairs[static_cast<size_t>(b)];
    const std::vector<Token> answer = Answer(pair, layout);
    std::vector<Token> row = pair.input;
    row.insert(row.end(), answer.begin(), answer.end());
    const int64_t prefix = SizeOf(pair.input) + 1;
    FillRow(row, b, prefix, layout, &batch);
    batch.prefix.push_back(prefix);
  }
  return batch;
}

EncoderDecoderBatch LayOutEncoderDecoder(std::span<const SequencePair> pairs,
                                         const PairLayout& layout) {
  Require(!pairs.empty(), "a batch needs at least one pair");
  int64_t longest_input = 0;
  int64_t longest_output = 0;
  for (const SequencePair& pair : pairs) {
    longest_input = std::max(longest_input, SizeOf(pair.input));
    longest_output = std::max(longest_output, SizeOf(pair.output) + 1);
  }
  EncoderDecoderBatch batch;
  Prepare(static_cast<int64_t>(pairs.size()),
          Columns(layout.T, longest_output, "decoder"), layout.pad, &batch);
  batch.S = Columns(layout.S, longest_input, "encoder");
  batch.source.assign(static_cast<size_t>(batch.B * batch.S), layout.pad);
  for (int64_t b = 0; b < batch.B; ++b) {
    const SequencePair& pair = pairs[static_cast<size_t>(b)];
    std::copy(pair.input.begin(), pair.input.end(),
              batch.source.begin() + b * batch.S);
    batch.source_lengths.push_back(SizeOf(pair.input));
    FillRow(Answer(pair, layout), b, 1, layout, &batch);
  }
  return batch;
}

}  // namespace ropewalk::lab::data
