// A text with its keys and values in a file, so that a long prompt is read
// once.
//
// The file is a safetensors file with a checksum (docs/formats.md). It belongs
// to one model, by a hash of all that changes its results, and to one type of
// keys and values; what it belongs to is compared before anything is used.

#ifndef ROPEWALK_ENGINE_PROMPT_CACHE_H_
#define ROPEWALK_ENGINE_PROMPT_CACHE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/token.h"
#include "engine/engine.h"
#include "formats/safetensors.h"
#include "model/sequence.h"

namespace ropewalk::engine {

// Under which scheme a text was read.
struct CachedText {
  std::string asked;   // as the caller spelled it: "auto"
  std::string scheme;  // with all parameters: those of the cache's beginning
  int64_t length = 0;  // tokens that the parameters were chosen for
};

// Throws IoError; an older file is then as it was.
void WritePromptCache(const std::string& path, Engine& engine,
                      const CachedText& text, const model::Sequence& sequence);

// A file that was opened and found to belong to the engine.
class PromptCache {
 public:
  // Throws IoError, FormatError for a file that is broken or no prompt cache,
  // and std::invalid_argument for one of another model or type.
  PromptCache(const std::string& path, Engine& engine, DType kv_type);

  const CachedText& text() const { return text_; }
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }

  // Fills `sequence`, which is under the cache's scheme and has room for its
  // text. Throws FormatError and std::invalid_argument, and MemoryLimitError;
  // `sequence` is then as it was.
  void Restore(model::Sequence& sequence) const;

 private:
  formats::SafetensorsFile file_;
  CachedText text_;
  int64_t exact_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_PROMPT_CACHE_H_
