#include "model/model.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "huggingface/folder.h"
#include "model/architectures/architecture.h"
#include "model/layer_reader.h"
#include "model/position_keys.h"

namespace ropewalk::model {

Model Model::Load(const std::string& path) {
  return Model(huggingface::OpenModel(path));
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

void Model::Interleave(ParallelFor& threads) {
  std::vector<Linear*> linears;
  int64_t bytes = 0;
  const auto add = [&](Linear& linear) {
    const kernels::Matrix& from = linear.weights;
    if (!kernels::CanInterleave(from.type) || linear.interleaved.exists()) {
      return;
    }
    linears.push_back(&linear);
    linear.interleaved = {from.type, nullptr, from.rows, from.columns};
    bytes += linear.interleaved.groups() *
             kernels::InterleavedGroupBytes(from.type, from.columns);
  };
  for (Layer& layer : layers_) ForLinears(layer, add);
  add(output_);
  if (linears.empty()) return;
  interleaved_ = LargeMemory(bytes);
  uint8_t* to = interleaved_.data();
  constexpr int64_t kChunkBytes = 8 << 20;
  for (Linear* linear : linears) {
    kernels::Matrix& from = linear->weights;
    const int64_t groups = linear->interleaved.groups();
    const int64_t group_bytes =
        kernels::InterleavedGroupBytes(from.type, from.columns);
    // Chunk by chunk, so that little of the file is in memory beside its copy.
    const bool mapped = file_.IsMapped(from.data);
    const int64_t row_bytes = RowBytes(from.type, from.columns);
    const int64_t chunk =
        std::max<int64_t>(1, kChunkBytes / (kernels::kGroupRows * row_bytes));
    for (int64_t first = 0; first < groups; first += chunk) {
      const int64_t end = std::min(groups, first + chunk);
      threads.Run(end - first, [&](int64_t task, int64_t) {
        const int64_t g = first + task;
        const int64_t row = g * kernels::kGroupRows;
        kernels::InterleaveGroup(from.type, from.Row(row),
                                 std::min(kernels::kGroupRows, from.rows - row),
                                 from.columns, to + g * group_bytes);
      });
      if (!mapped) continue;
      const int64_t row = first * kernels::kGroupRows;
      const int64_t rows = std::min(from.rows, end * kernels::kGroupRows) - row;
      DropPages({static_cast<const std::byte*>(from.Row(row)),
                 static_cast<size_t>(rows * row_bytes)});
    }
    linear->interleaved.data = to;
    to += groups * group_bytes;
    if (!mapped) FreeCopy(from);
  }
}

// Frees the rows of a matrix that were reordered when it was read.
void Model::FreeCopy(kernels::Matrix& matrix) {
  for (AlignedBuffer<uint8_t>& rows : storage_) {
    if (rows.size() > 0 && rows.data() == matrix.data) rows = {};
  }
  matrix.data = nullptr;
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
