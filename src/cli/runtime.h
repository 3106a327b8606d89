// A model ready to work: weights, tokenizer, threads, and the scorer that
// evaluations see.

#ifndef ROPEWALK_CLI_RUNTIME_H_
#define ROPEWALK_CLI_RUNTIME_H_

#include <memory>
#include <string>

#include "base/dtype.h"
#include "base/parallel.h"
#include "cli/options.h"
#include "evaluate/scorer.h"
#include "model/model.h"
#include "position/model_positions.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::cli {

// Not movable: contexts borrow from it.
class Runtime {
 public:
  // Throws IoError, FormatError and std::invalid_argument.
  explicit Runtime(const ModelOptions& options);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const model::Model& model() const { return model_; }
  // The file's, under --train-length where that was given.
  const position::ModelPositions& positions() const { return positions_; }
  ParallelFor& threads() { return *threads_; }

  // Loaded on first use: evaluations of ids need no vocabulary. Throws
  // FormatError where the file has none that we read.
  const tokenizer::Tokenizer& tokenizer();

  // "llama2xs270K, trained to 256".
  std::string Describe() const;

 private:
  model::Model model_;
  position::ModelPositions positions_;
  std::unique_ptr<ParallelFor> threads_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
};

// The runtime's model as evaluations see it. Borrows `runtime`.
class ModelScorer : public evaluate::Scorer {
 public:
  explicit ModelScorer(Runtime& runtime, DType kv_type = DType::kF32)
      : runtime_(runtime), kv_type_(kv_type) {}

  const position::ModelPositions& positions() const override {
    return runtime_.positions();
  }
  int64_t layers() const override { return runtime_.model().config().L; }
  int64_t vocabulary() const override { return runtime_.model().config().V; }
  std::vector<evaluate::TokenScore> Score(
      const position::Stack& stack, std::span<const Token> ids,
      int64_t first_target, const evaluate::OnTokens& on_tokens) override;
  double Work(const position::Stack& stack, int64_t first,
              int64_t T) const override;

  // Keys and values that the last Score held at its end.
  int64_t kv_bytes() const { return kv_bytes_; }

 private:
  Runtime& runtime_;
  DType kv_type_;
  int64_t kv_bytes_ = 0;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_RUNTIME_H_
