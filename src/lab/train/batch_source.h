// Where batches come from: a pure function of the seed and the sample's
// number, so that a resumed run and any number of processes see the same data.

#ifndef ROPEWALK_LAB_TRAIN_BATCH_SOURCE_H_
#define ROPEWALK_LAB_TRAIN_BATCH_SOURCE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "evaluate/documents.h"
#include "formats/gguf_metadata.h"
#include "lab/nn/model.h"
#include "lab/train/config.h"

namespace ropewalk::lab::train {

struct Batch {
  nn::Inputs inputs;
  at::Tensor targets;  // [B T] int64
  at::Tensor weights;  // [B T] float or undefined: all ones
  double tokens = 0;   // sum of the weights
};

// One thread at a time.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  // Rows [begin, end) of the batch of `step`.
  virtual Batch Get(int64_t step, int64_t begin, int64_t end) = 0;

  // Of tokenizer and corpus: a resumed run must have the same.
  virtual std::string Fingerprint() const = 0;

  // Documents that training never sees, of at least `length` + 1 ids, for the
  // evaluation by length; empty where the task has none.
  virtual std::vector<evaluate::Document> HeldOut(int64_t length,
                                                  int64_t count) const = 0;

  // Samples [begin, end) that training never sees, of the task itself: for
  // tasks that are not judged by length of text.
  //
  //   length   tokens of a sample, one of TestLengths()
  virtual Batch Test(int64_t length, int64_t begin, int64_t end) = 0;
  // Formal tasks and text have those of the config, other tasks have N alone.
  virtual std::vector<int64_t> TestLengths() const = 0;

  // The tokenizer.ggml.* keys of an exported model; null without a tokenizer.
  virtual const formats::Metadata* TokenizerKeys() const { return nullptr; }

  // Said once before training: "12.3M tokens of 240 documents, 3 held out".
  virtual std::string Describe() const = 0;
};

// By the config's task. `folder` is the run's, where the tokenizer is kept.
// Trains a tokenizer where none is named; only one process may do so, so rank
// 0 comes first. Throws std::invalid_argument, IoError, FormatError.
std::unique_ptr<BatchSource> MakeBatchSource(const TrainConfig& config,
                                             const std::string& folder);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_BATCH_SOURCE_H_
