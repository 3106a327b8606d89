// A context's text, keys and values in a file, so that a long prompt is read
// once: `run --prompt-cache`.
//
// The file is a safetensors file with a checksum (docs/formats.md). It belongs
// to one model, one stack of position plans and one type of keys and values;
// what it belongs to is compared before anything of it is used.

#ifndef ROPEWALK_MODEL_SESSION_H_
#define ROPEWALK_MODEL_SESSION_H_

#include <string>

#include "model/context.h"
#include "model/model.h"

namespace ropewalk::model {

// `position` is how the plans are spelled, for messages. Throws IoError.
void SaveSession(const std::string& path, const Model& model,
                 const Context& context, const std::string& position);

// Fills `context` with what the file holds. Throws IoError, FormatError for a
// file that is broken or no session, and std::invalid_argument for one of
// another model, other positions, another type or a longer text; `context` is
// then as it was.
void LoadSession(const std::string& path, const Model& model, Context& context);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_SESSION_H_
