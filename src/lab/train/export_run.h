// What a finished run leaves for others to load.

#ifndef ROPEWALK_LAB_TRAIN_EXPORT_RUN_H_
#define ROPEWALK_LAB_TRAIN_EXPORT_RUN_H_

#include <string>

#include "formats/gguf_metadata.h"
#include "lab/nn/model.h"
#include "lab/train/config.h"

namespace ropewalk::lab::train {

// Writes `config.exports` into `folder`: model-TYPE.gguf for each GGUF type,
// hf/ for "safetensors". `tokenizer` null: models without one cannot be
// exported. Says on stderr what was written and what was refused, and why.
void ExportRun(const TrainConfig& config, const nn::Model& model,
               const formats::Metadata* tokenizer, const std::string& folder);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_EXPORT_RUN_H_
