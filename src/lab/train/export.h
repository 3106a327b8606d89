// From a lab model to files that the runtime and other programs read.
//
// GGUF for every decoder; its architecture is `llama` only where other
// engines would compute the same, else `ropewalk`, so that they refuse the
// file. The Hugging Face layout only for the former, since nothing there could
// carry the rest. What neither can say (two stacks, attention that looks
// ahead) stays a checkpoint of the lab.

#ifndef ROPEWALK_LAB_TRAIN_EXPORT_H_
#define ROPEWALK_LAB_TRAIN_EXPORT_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "formats/gguf_metadata.h"
#include "lab/nn/config.h"

namespace ropewalk::lab::train {

struct LabModel {
  nn::ModelConfig config;
  // By the checkpoint's name; undefined where there is none. float32,
  // contiguous, on the CPU.
  std::function<at::Tensor(const std::string&)> tensor;
  // tokenizer.* keys; none: no vocabulary.
  formats::Metadata tokenizer{"tokenizer"};
  std::string name;   // general.name
  std::string notes;  // general.description; may be empty
};

struct ExportResult {
  std::string architecture;  // llama | ropewalk
  std::string why;           // not `llama`; empty where it is
  // What the caller should pass on: rows kept in another type, entries added
  // to the vocabulary, tensors left out.
  std::vector<std::string> notes;
};

// Matrices become `type`, vectors stay f32. An output head that is not plain
// tied is folded into the output matrix.
//
// Throws std::invalid_argument, before there is a file, for a model that no
// file can hold, a tensor that is missing or of another shape or type, numbers
// that `type` cannot hold, and a vocabulary larger than the embedding; IoError;
// Interrupted.
ExportResult ExportGguf(const LabModel& model, const std::string& path,
                        DType type);

// Writes model.safetensors and config.json into `folder`, which is made where
// missing. `type` is f32, f16 or bf16, of every tensor.
//
// Throws as ExportGguf does, and std::invalid_argument with the reason where
// ExportGguf would not say `llama`.
ExportResult ExportHuggingFace(const LabModel& model, const std::string& folder,
                               DType type);

// Why plain Llama with RoPE is not the right way to run the model; empty where
// it is. Throws std::invalid_argument for a model that no file can hold.
std::string WhyNotLlama(const nn::ModelConfig& config);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_EXPORT_H_
