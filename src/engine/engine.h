// The library's body: a model ready to work, the sessions that read in it, and
// what they generate.
//
// Folder: engine.h (weights, tokenizer, threads, workspace), session.h (one
// text under one scheme), prompt_cache.h (its file), generate.h (reading and
// writing many texts at once), sampler.h and what belongs to it, chat_form.h.
// Nothing here prints, exits or catches signals, and no message names an option
// of the command line: include/ropewalk/ and cli/ are its users.

#ifndef ROPEWALK_ENGINE_ENGINE_H_
#define ROPEWALK_ENGINE_ENGINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/parallel.h"
#include "model/model.h"
#include "model/sequence.h"
#include "model/workspace.h"
#include "position/model_positions.h"
#include "position/scheme.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

// Tokens of a prompt that are read at once. A pass may hold such a chunk and
// the next tokens of other sessions besides.
inline constexpr int64_t kPromptChunk = 512;
inline constexpr int64_t kPassTokens = 2 * kPromptChunk;

struct EngineOptions {
  std::string path;          // of a GGUF file
  int64_t train_length = 0;  // tokens; 0: the file's
  int64_t threads = 0;       // 0: one a core
  // Bytes of keys and values of all sessions together; 0: what memory is
  // available when the engine is made.
  int64_t memory_limit = 0;
};

// A scheme that is ready to run: parameters given, plans built.
struct ResolvedScheme {
  position::Scheme scheme;
  int64_t length = 0;  // tokens that it was resolved for
  std::shared_ptr<const model::StackAttention> attention;
  std::string described;  // spelled, and which layers it changes
};

// Not movable: sessions borrow from it. Any thread may use it: passes are run
// one after another, each on all threads.
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

  // Whose mutex is held uses the workspace, and the threads with it.
  std::mutex& pass_mutex() { return pass_mutex_; }
  model::Workspace& workspace() { return workspace_; }

  // Loaded on first use: evaluations of ids need no vocabulary. Throws
  // FormatError where the file has none that we read.
  const tokenizer::Tokenizer& tokenizer();

  // "llama2xs270K, trained to 256".
  std::string Describe() const;

  // Of all in the model file that changes what it computes: tensors, and the
  // keys that describe the model. Read once, on first use.
  const std::string& Hash();

  // Throws std::invalid_argument where the scheme is not defined for this
  // model, and, unless `allow_failing`, where it is known to fail at `length`.
  // Sessions under the same scheme and length share what this gives.
  ResolvedScheme Resolve(const position::Scheme& scheme, int64_t length,
                         bool allow_failing);

 private:
  model::Model model_;
  position::ModelPositions positions_;
  std::unique_ptr<ParallelFor> threads_;
  model::Workspace workspace_;
  std::mutex pass_mutex_;
  std::mutex mutex_;  // of what follows
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  std::string hash_;
  std::map<std::string, std::weak_ptr<const model::StackAttention>> stacks_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_ENGINE_H_
