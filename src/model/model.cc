#include "model/model.h"

#include <utility>

#include "base/error.h"
#include "model/architectures/architecture.h"
#include "model/layer_reader.h"
#include "model/position_keys.h"

namespace ropewalk::model {

Model Model::Load(const std::string& path) {
  return Model(formats::GgufFile(path));
}

Model::Model(formats::GgufFile file) : file_(std::move(file)) {
  const Blueprint blueprint = ReadBlueprint(file_);
  config_ = blueprint.config;
  embedding_scale_ = static_cast<float>(blueprint.embedding_scale);
  logit_scale_ = static_cast<float>(blueprint.logit_scale);
  final_softcap_ = static_cast<float>(blueprint.final_softcap);

  TensorReader reader(file_, storage_);
  const formats::GgufTensor* embedding = reader.Find("token_embd.weight");
  if (embedding == nullptr) reader.FailMissing("token_embd.weight");
  config_.V = embedding->shape.front();
  if (config_.V > INT32_MAX)
    reader.Fail(*embedding, "must have at most 2147483647 rows, has " +
                                std::to_string(config_.V));
  embedding_ = reader.Matrix("token_embd.weight", config_.V, config_.E);
  config_.tied = file_.Find("output.weight") == nullptr;
  if (config_.tied) {
    output_ = {.weights = embedding_,
               .bias = reader.OptionalVector("output.bias", config_.V)};
  } else {
    output_ = ReadLinear(reader, "output", config_.V, config_.E);
  }
  if (!config_.gau) {
    output_norm_ = ReadNorm(reader, blueprint, "output_norm", config_.E);
  }
  for (int64_t l = 0; l < config_.L; ++l) {
    layers_.push_back(ReadLayer(reader, blueprint, l));
  }
  RequireExperts(blueprint);
  for (const char* positions :
       {"rope_freqs.weight", "rope_factors_short.weight",
        "rope_factors_long.weight"}) {
    reader.Find(positions);
  }
  reader.RequireAllTaken();
  // This comes after the tensors were found: a header of some hundred bytes may
  // name 65536 layers, whose plans would take gigabytes.
  try {
    CheckSchemes(config_.positions);
  } catch (const std::invalid_argument& error) {
    throw FormatError(file_.path(), 0, error.what());
  }
}

// Refuses a file whose keys name experts if no layer has any.
void Model::RequireExperts(const Blueprint& blueprint) const {
  if (blueprint.experts == 0) return;
  for (const Layer& layer : layers_) {
    if (layer.experts) return;
  }
  throw FormatError(file_.path(), 0,
                    "key '" + config_.architecture + ".expert_count' is " +
                        std::to_string(blueprint.experts) +
                        ", but no layer has a router (ffn_gate_inp.weight)");
}

int64_t Model::MatrixElements() const {
  int64_t sum = 0;
  for (const Layer& layer : layers_) sum += model::MatrixElements(layer);
  return sum;
}

int64_t Model::WeightBytes() const {
  const kernels::Matrix& output = output_.weights;
  int64_t sum = output.rows * RowBytes(output.type, output.columns);
  for (const Layer& layer : layers_) sum += model::WeightBytes(layer);
  return sum;
}

}  // namespace ropewalk::model
