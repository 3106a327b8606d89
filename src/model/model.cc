#include "model/model.h"

#include <utility>

#include "base/error.h"

namespace ropewalk::model {

Model Model::Load(const std::string& path) {
  return Model(formats::GgufFile(path));
}

Model::Model(formats::GgufFile file)
    : file_(std::move(file)), config_(ReadConfig(file_)) {
  TensorReader reader(file_, storage_);
  const formats::GgufTensor* embedding = reader.Find("token_embd.weight");
  if (embedding == nullptr) {
    throw FormatError(file_.path(), 0, "tensor 'token_embd.weight' is missing");
  }
  config_.V = embedding->shape.front();
  if (config_.V > INT32_MAX) reader.Fail(*embedding, "has too many rows");
  embedding_ = reader.Matrix("token_embd.weight", config_.V, config_.E);
  config_.tied = file_.Find("output.weight") == nullptr;
  output_ = config_.tied ? embedding_
                         : reader.Matrix("output.weight", config_.V, config_.E);
  if (config_.block == Block::kLlama) {
    output_norm_ = reader.Vector("output_norm.weight", config_.E);
  }
  for (int64_t l = 0; l < config_.L; ++l) {
    if (config_.block == Block::kGau) {
      layers_.emplace_back(ReadGauLayer(reader, config_, l));
    } else {
      layers_.emplace_back(ReadLlamaLayer(reader, config_, l));
    }
  }
  for (const char* positions :
       {"rope_freqs.weight", "rope_factors_short.weight",
        "rope_factors_long.weight"}) {
    reader.Find(positions);
  }
  reader.RequireAllTaken();
}

int64_t Model::WeightBytes() const {
  int64_t sum = output_.rows * RowBytes(output_.type, output_.columns);
  for (const Layer& layer : layers_) sum += model::WeightBytes(layer);
  return sum;
}

}  // namespace ropewalk::model
