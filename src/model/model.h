// A model: its layers, with weights as the file stores them or interleaved.
//
//   x = embedding_scale embedding[token]
//   each layer (model/layer.h)
//   logits = softcap(logit_scale output(output_norm(x)))

#ifndef ROPEWALK_MODEL_MODEL_H_
#define ROPEWALK_MODEL_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/large_memory.h"
#include "base/parallel.h"
#include "formats/gguf.h"
#include "kernels/matmul.h"
#include "model/config.h"
#include "model/layer.h"

namespace ropewalk::model {

struct Blueprint;

// Movable, immutable after construction; any number of sequences may share it.
class Model {
 public:
  // Throws IoError, and FormatError if the architecture is not one of
  // model/architectures/, if a tensor is missing, has the wrong shape or is of
  // a type that the kernels cannot read, or if the file has tensors or keys
  // that this forward pass would ignore.
  static Model Load(const std::string& path);

  // Makes all weights of block types ready for integer products: from now on
  // activations are read in 8 bits (docs/kernels.md). The file's pages and the
  // copies of rows are given back, so that memory holds each weight once; the
  // float64 definition needs them and cannot be used afterwards. Without this
  // weights are multiplied in float32.
  void Interleave(ParallelFor& threads);
  bool interleaved() const { return interleaved_.size() > 0; }

  const Config& config() const { return config_; }
  const formats::GgufFile& file() const { return file_; }
  const kernels::Matrix& embedding() const { return embedding_; }  // [V, E]
  const Linear& output() const { return output_; }                 // [V, E]
  // Does not exist if the layers end with a norm of their own (GAU).
  const Norm& output_norm() const { return output_norm_; }
  const std::vector<Layer>& layers() const { return layers_; }

  float embedding_scale() const { return embedding_scale_; }
  float logit_scale() const { return logit_scale_; }
  float final_softcap() const { return final_softcap_; }  // 0: no cap

  // The elements of the layers' matrices that one token is multiplied with.
  int64_t MatrixElements() const;
  // The bytes of weights that are read for one token.
  int64_t WeightBytes() const;

 private:
  explicit Model(formats::GgufFile file);
  void RequireExperts(const Blueprint& blueprint) const;
  void FreeCopy(kernels::Matrix& matrix);

  formats::GgufFile file_;
  Config config_;
  kernels::Matrix embedding_;
  Linear output_;
  Norm output_norm_;
  float embedding_scale_ = 1;
  float logit_scale_ = 1;
  float final_softcap_ = 0;
  std::vector<Layer> layers_;
  std::vector<AlignedBuffer<uint8_t>> storage_;  // rows that were reordered
  LargeMemory interleaved_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_MODEL_H_
