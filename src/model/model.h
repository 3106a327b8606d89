// A model: its weights as the file stores them.
//
//   x = embedding[token]
//   each layer, one of the families of model/layers.h
//   logits = output norm(x)        (gau: its last norm has been taken already)

#ifndef ROPEWALK_MODEL_MODEL_H_
#define ROPEWALK_MODEL_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "formats/gguf.h"
#include "kernels/matmul.h"
#include "model/config.h"
#include "model/layers.h"

namespace ropewalk::model {

// Movable, immutable after construction, shared by any number of contexts.
class Model {
 public:
  // Throws IoError, and FormatError for a file that is not a model of these
  // families, lacks a tensor, has one of the wrong shape or of a type that the
  // kernels cannot read, or has tensors that this forward pass would ignore.
  static Model Load(const std::string& path);

  const Config& config() const { return config_; }
  const formats::GgufFile& file() const { return file_; }
  const kernels::Matrix& embedding() const { return embedding_; }  // [V, E]
  const kernels::Matrix& output() const { return output_; }        // [V, E]
  // [E]; empty where the last layer's norm is the final one.
  const AlignedBuffer<float>& output_norm() const { return output_norm_; }
  const std::vector<Layer>& layers() const { return layers_; }

  // Bytes of weights that one token reads.
  int64_t WeightBytes() const;

 private:
  explicit Model(formats::GgufFile file);

  formats::GgufFile file_;
  Config config_;
  kernels::Matrix embedding_;
  kernels::Matrix output_;
  AlignedBuffer<float> output_norm_;
  std::vector<Layer> layers_;
  std::vector<AlignedBuffer<uint8_t>> storage_;  // rows that were moved
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_MODEL_H_
