// A model ready to work: weights, tokenizer, threads.

#ifndef ROPEWALK_ENGINE_ENGINE_H_
#define ROPEWALK_ENGINE_ENGINE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/parallel.h"
#include "model/model.h"
#include "position/model_positions.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

struct EngineOptions {
  std::string path;          // of a GGUF file
  int64_t train_length = 0;  // tokens; 0: the file's
  int64_t threads = 0;       // 0: one a core
};

// Not movable: contexts borrow from it.
class Engine {
 public:
  // Throws IoError, FormatError and std::invalid_argument.
  explicit Engine(const EngineOptions& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const model::Model& model() const { return model_; }
  // The file's, under the options' train length where that was given.
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

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_ENGINE_H_
