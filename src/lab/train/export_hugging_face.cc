// Llama models as Hugging Face's transformers lays them out.

#include <ATen/ATen.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "formats/safetensors.h"
#include "lab/train/export.h"
#include "lab/train/export_weights.h"
#include "report/json.h"

namespace ropewalk::lab::train {
namespace {

using Json = nlohmann::ordered_json;

struct Element {
  formats::SafeType file;
  at::ScalarType tensor;
  const char* name;  // in config.json
};

Element ElementOf(DType type) {
  switch (type) {
    case DType::kF32:
      return {formats::SafeType::kF32, at::kFloat, "float32"};
    case DType::kF16:
      return {formats::SafeType::kF16, at::kHalf, "float16"};
    case DType::kBf16:
      return {formats::SafeType::kBf16, at::kBFloat16, "bfloat16"};
    default:
      break;
  }
  throw std::invalid_argument(
      "export: the Hugging Face layout takes f32, f16 or bf16, got " +
      std::string(InfoOf(type).name));
}

std::string ConfigJson(const LabModel& model, const Element& element) {
  const nn::ModelConfig& c = model.config;
  const auto id = [&](const char* key) -> Json {
    const auto value = model.tokenizer.FindInt(key);
    return value ? Json(*value) : Json(nullptr);
  };
  Json json;
  json["architectures"] = {"LlamaForCausalLM"};
  json["model_type"] = "llama";
  json["vocab_size"] = c.V;
  json["hidden_size"] = c.E;
  json["intermediate_size"] = c.F;
  json["num_hidden_layers"] = c.L;
  json["num_attention_heads"] = c.H;
  json["num_key_value_heads"] = c.G;
  json["head_dim"] = c.D;
  json["hidden_act"] = "silu";
  json["max_position_embeddings"] = c.N;
  json["rms_norm_eps"] = c.norm_epsilon;
  json["rope_theta"] = c.rope_base;
  json["rope_scaling"] = nullptr;
  json["attention_bias"] = false;
  json["attention_dropout"] = 0.0;
  json["mlp_bias"] = false;
  json["tie_word_embeddings"] = PlainTied(c.head);
  json["bos_token_id"] = id("tokenizer.ggml.bos_token_id");
  json["eos_token_id"] = id("tokenizer.ggml.eos_token_id");
  json["torch_dtype"] = element.name;
  json["use_cache"] = true;
  return report::DumpJson(json);
}

}  // namespace

ExportResult ExportHuggingFace(const LabModel& model, const std::string& folder,
                               DType type) {
  const std::string why = WhyNotLlama(model.config);
  Require(why.empty(),
          "export: the Hugging Face layout holds plain Llama models only: " +
              why + "; export GGUF instead");
  const Element element = ElementOf(type);
  ExportResult result{.architecture = "llama"};
  result.notes.emplace_back(
      "the vocabulary is not part of the Hugging Face layout; keep the "
      "tokenizer.model beside it");
  const auto tensors = HuggingFaceTensors(model);
  for (const ExportTensor& tensor : tensors) {
    const at::Tensor values = tensor.values();
    const at::Tensor stored = values.to(element.tensor);
    Require(!(stored.isinf() & values.isfinite()).any().item<bool>(),
            "export: tensor '" + tensor.name + "' has a component beyond " +
                std::string(InfoOf(type).name) + "; choose another type");
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw IoError("cannot create '" + folder + "': " + error.message());
  }
  const std::filesystem::path at(folder);
  // The checksum is a tensor more, which strict loaders warn of.
  formats::SafetensorsWriter writer((at / "model.safetensors").string(),
                                    {.checksum = false});
  writer.AddMetadata("format", "pt");  // what transformers asks for
  for (const ExportTensor& tensor : tensors) {
    writer.AddTensor(tensor.name, element.file, tensor.shape);
  }
  for (const ExportTensor& tensor : tensors) {
    const at::Tensor stored = tensor.values().to(element.tensor);
    writer.WriteTensor(std::as_bytes(std::span(
        static_cast<const char*>(stored.data_ptr()), stored.nbytes())));
    ThrowIfInterrupted();
  }
  writer.Finish();
  WriteFileAtomically((at / "config.json").string(),
                      ConfigJson(model, element));
  return result;
}

}  // namespace ropewalk::lab::train
