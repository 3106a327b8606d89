// What stands behind the handles of include/ropewalk.
//
// src/api implements the public headers over memory/, engine/ and the folders
// below, and nothing else: no arithmetic, no policy, no text that a terminal
// would want. What a caller of the library can do belongs into those first;
// here it gets a stable name. c.cc implements the C interface over the C++ one.

#ifndef ROPEWALK_API_PARTS_H_
#define ROPEWALK_API_PARTS_H_

#include <ropewalk/model.h>
#include <ropewalk/scheme.h>
#include <ropewalk/tokenizer.h>

#include <memory>
#include <mutex>
#include <optional>

#include "engine/engine.h"
#include "position/scheme.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk {

struct Tokenizer::Parts {
  // Shared with what the vocabulary lives in.
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
};

struct Scheme::Parts {
  position::Scheme scheme;
};

struct Model::Parts {
  explicit Parts(const engine::EngineOptions& options)
      : engine(std::make_shared<engine::Engine>(options)) {}

  std::shared_ptr<engine::Engine> engine;
  std::once_flag once;
  std::optional<Tokenizer> tokenizer;
};

}  // namespace ropewalk

#endif  // ROPEWALK_API_PARTS_H_
