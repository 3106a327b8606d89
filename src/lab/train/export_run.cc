#include "lab/train/export_run.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "base/dtype.h"
#include "base/error.h"
#include "base/text.h"
#include "lab/train/export.h"

namespace ropewalk::lab::train {
namespace {

namespace fs = std::filesystem;

DType TypeNamed(const std::string& name) {
  if (name == "f32") return DType::kF32;
  if (name == "f16") return DType::kF16;
  ROPEWALK_CHECK(name == "q8_0");
  return DType::kQ8_0;
}

}  // namespace

void ExportRun(const TrainConfig& config, const nn::Model& model,
               const formats::Metadata* tokenizer, const std::string& folder) {
  LabModel lab{.config = model.config(), .name = config.name};
  lab.tensor = [&](const std::string& name) {
    for (const optim::Parameter& parameter : model.parameters()) {
      if (parameter.name != name) continue;
      return parameter.value.detach().to(at::kCPU, at::kFloat).contiguous();
    }
    return at::Tensor();
  };
  if (tokenizer != nullptr) lab.tokenizer = *tokenizer;
  for (const std::string& type : config.exports) {
    const bool hugging_face = type == "safetensors";
    const std::string path =
        (fs::path(folder) /
         (hugging_face ? "hf" : config.name + "-" + type + ".gguf"))
            .string();
    try {
      const ExportResult result =
          hugging_face ? ExportHuggingFace(lab, path, DType::kF32)
                       : ExportGguf(lab, path, TypeNamed(type));
      std::fprintf(stderr, "exported %s (%s)\n", Printable(path, 200).c_str(),
                   result.architecture.c_str());
      for (const std::string& note : result.notes) {
        std::fprintf(stderr, "  note: %s\n", note.c_str());
      }
    } catch (const std::invalid_argument& error) {
      // The run itself has gone well, and its checkpoint holds everything.
      std::fprintf(stderr, "not exported as %s: %s\n", type.c_str(),
                   error.what());
    }
  }
}

}  // namespace ropewalk::lab::train
