// A prompt cache: a file with a text and its keys and values, so that a long
// prompt is read once.
//
// It is a safetensors file with a checksum (docs/formats.md). It belongs to one
// model, by the hash Engine::Hash(), to integer or float32 products with its
// weights, and to one type of keys and values. All are compared before any of
// it is used.

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

// The scheme under which a text was read.
struct CachedText {
  std::string asked;   // as the caller spelled it: "auto"
  std::string scheme;  // as resolved, with all parameters
  int64_t length = 0;  // the length that the parameters were resolved for
};

// Throws IoError; an older file is then unchanged.
void WritePromptCache(const std::string& path, Engine& engine,
                      const CachedText& text, const model::Sequence& sequence);

// An open file that belongs to the engine's model.
class PromptCache {
 public:
  // Throws IoError, FormatError for a file that is broken or not a prompt
  // cache, and std::invalid_argument for a prompt cache of another model,
  // trained length or type, or of other products.
  PromptCache(const std::string& path, Engine& engine, DType kv_type);

  const CachedText& text() const { return text_; }
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }

  // Fills `sequence`, which must have the cache's scheme and room for its text.
  // Throws FormatError, std::invalid_argument or MemoryLimitError and then
  // leaves `sequence` unchanged.
  void Restore(model::Sequence& sequence) const;

 private:
  formats::SafetensorsFile file_;
  CachedText text_;
  int64_t exact_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_PROMPT_CACHE_H_
