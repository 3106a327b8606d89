// The engine behind a public Model, for what this repository builds over both:
// the Python package measures models by evaluate/, which is not in the library.

#ifndef ROPEWALK_API_ENGINE_ACCESS_H_
#define ROPEWALK_API_ENGINE_ACCESS_H_

#include <ropewalk/model.h>

#include <memory>

#include "api/parts.h"
#include "engine/engine.h"

namespace ropewalk {

struct EngineAccess {
  static std::shared_ptr<engine::Engine> Of(const Model& model) {
    return model.parts_->engine;
  }
};

}  // namespace ropewalk

#endif  // ROPEWALK_API_ENGINE_ACCESS_H_
