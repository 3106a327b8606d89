// A context's text, keys and values in a file, so that a long prompt is read
// once: `run --prompt-cache`.
//
// The file is a safetensors file with a checksum (docs/formats.md). It belongs
// to one model, one stack of position plans and one type of keys and values;
// what it belongs to is compared before anything of it is used.

#ifndef ROPEWALK_MODEL_SESSION_H_
#define ROPEWALK_MODEL_SESSION_H_

#include <string>

#include "model/model.h"
#include "model/sequence.h"

namespace ropewalk::model {

// `position` is how the plans are spelled, for messages. Throws IoError.
void SaveSession(const std::string& path, const Model& model,
                 const Sequence& sequence, const std::string& position);

// Fills `sequence` with what the file holds. Throws IoError, FormatError for a
// file that is broken or no session, and std::invalid_argument for one of
// another model, other positions, another type or a longer text; `sequence` is
// then as it was.
void LoadSession(const std::string& path, const Model& model,
                 Sequence& sequence);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_SESSION_H_
