// The engine: a model ready to work. Its folder has sessions, prompt caches and
// generation too.
//
// Files: engine.h (weights, tokenizer, threads, workspace), session.h (one text
// under one scheme), prompt_cache.h (its file), generate.h (reading and writing
// many texts at once), sampler.h with penalties and DRY, chat_template.h.
// Nothing here prints, exits or catches signals, and no message names an option
// of the command line. include/ropewalk/ and cli/ use this folder.

#ifndef ROPEWALK_ENGINE_ENGINE_H_
#define ROPEWALK_ENGINE_ENGINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/parallel.h"
#include "grammar/grammar.h"
#include "grammar/token_masks.h"
#include "grammar/vocabulary.h"
#include "model/model.h"
#include "model/sequence.h"
#include "model/workspace.h"
#include "position/model_positions.h"
#include "position/scheme.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

// The tokens of a prompt that are read at once. A pass may have such a chunk
// and the next tokens of other sessions.
inline constexpr int64_t kPromptChunk = 512;
inline constexpr int64_t kPassTokens = 2 * kPromptChunk;

struct EngineOptions {
  std::string path;          // of a GGUF file
  int64_t train_length = 0;  // tokens; 0: as in the file
  int64_t threads = 0;       // 0: one for each core
  // The most bytes of keys and values of all sessions together; 0: the memory
  // that is available when the engine is made.
  int64_t memory_limit = 0;
  // Multiplies quantised weights in float32, instead of integers with
  // activations in 8 bits (docs/kernels.md).
  bool exact = false;
  bool lock_memory = false;  // keeps the process from being swapped out
};

// A scheme that is ready to run: its parameters are set and its plans are
// built.
struct ResolvedScheme {
  position::Scheme scheme;
  int64_t length = 0;  // tokens that the plans are for
  std::shared_ptr<const model::StackAttention> attention;
  std::string described;  // its spelling, and the layers it changes
};

// Not movable, because sessions borrow from it. Any thread may use it: passes
// run one after another, each on all threads.
class Engine {
 public:
  // Throws IoError, FormatError and std::invalid_argument.
  explicit Engine(const EngineOptions& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const model::Model& model() const { return model_; }
  // The positions of the file, with the train length of the options if given.
  const position::ModelPositions& positions() const { return positions_; }
  ParallelFor& threads() { return *threads_; }

  // Hold this mutex while using the workspace or the threads.
  std::mutex& pass_mutex() { return pass_mutex_; }
  model::Workspace& workspace() { return workspace_; }

  // Loads the tokenizer on first use, since evaluations of ids need no
  // vocabulary. Throws FormatError if the file has no vocabulary that we read.
  const tokenizer::Tokenizer& tokenizer();

  // Makes `grammar` fit for generation (GenerateOptions::grammar). Throws
  // std::invalid_argument like grammar::Automaton, and for tokens that the
  // vocabulary does not have; FormatError like tokenizer().
  std::shared_ptr<grammar::TokenMasks> Constrain(
      const grammar::Grammar& grammar);

  // Name and trained length: "llama2xs270K, trained to 256".
  std::string Describe() const;

  // A hash of all parts of the model file that change results: tensors, and the
  // keys that describe the model. Computed on first use.
  const std::string& Hash();

  // How the engine multiplies with block types, "integer" or "float32". Keys
  // and values differ between the two by more than rounding, so files of them
  // say it.
  std::string Products() const {
    return model_.interleaved() ? "integer" : "float32";
  }

  // Resolves a scheme for `length` tokens. Throws std::invalid_argument if it
  // is not defined for this model or, unless `allow_failing`, if it is known to
  // fail at `length`. Sessions with the same scheme and length share the plans.
  ResolvedScheme Resolve(const position::Scheme& scheme, int64_t length,
                         bool allow_failing);

 private:
  std::unique_ptr<ParallelFor> threads_;
  model::Model model_;
  position::ModelPositions positions_;
  model::Workspace workspace_;
  std::mutex pass_mutex_;
  std::mutex mutex_;  // guards the members below
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
  // Of the tokenizer, for grammars; made on first use.
  std::shared_ptr<const grammar::Vocabulary> vocabulary_;
  std::shared_ptr<const grammar::ByteTree> byte_tree_;
  std::string hash_;
  std::map<std::string, std::weak_ptr<const model::StackAttention>> stacks_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_ENGINE_H_
