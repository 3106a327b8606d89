// A Llama-family model: its weights as the file stores them.
//
//   x = embedding[token]
//   each layer:  x += Wo attention(norm(x));  x += down(silu(gate) * up)
//   logits = output norm(x)
//
// Weights stay in the file's map and in its types. Only the rows of the query
// and key projections are copied, because GGUF pairs neighbouring components
// for rotation and everything above formats/ pairs the two halves of a head.

#ifndef ROPEWALK_MODEL_LLAMA_H_
#define ROPEWALK_MODEL_LLAMA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "formats/gguf.h"
#include "kernels/matmul.h"
#include "model/config.h"

namespace ropewalk::model {

struct LayerWeights {
  AlignedBuffer<float> attention_norm;  // [E]
  kernels::Matrix query;                // [H * D, E]
  kernels::Matrix key;                  // [G * D, E]
  kernels::Matrix value;                // [G * D, E]
  kernels::Matrix attention_output;     // [E, H * D]
  AlignedBuffer<float> logn_scale;      // [H] or empty: the learned log n
  AlignedBuffer<float> feed_norm;       // [E]
  kernels::Matrix gate;                 // [F, E]
  kernels::Matrix up;                   // [F, E]
  kernels::Matrix down;                 // [E, F]
};

// Movable, immutable after construction, shared by any number of contexts.
class LlamaModel {
 public:
  // Throws IoError, and FormatError for a file that is not a model of this
  // family, lacks a tensor, has one of the wrong shape or of a type that the
  // kernels cannot read, or has tensors that this forward pass would ignore.
  static LlamaModel Load(const std::string& path);

  const Config& config() const { return config_; }
  const formats::GgufFile& file() const { return file_; }
  const kernels::Matrix& embedding() const { return embedding_; }  // [V, E]
  const kernels::Matrix& output() const { return output_; }        // [V, E]
  const AlignedBuffer<float>& output_norm() const { return output_norm_; }
  const std::vector<LayerWeights>& layers() const { return layers_; }

  // Bytes of weights that one token reads.
  int64_t WeightBytes() const;

 private:
  explicit LlamaModel(formats::GgufFile file);

  formats::GgufFile file_;
  Config config_;
  kernels::Matrix embedding_;
  kernels::Matrix output_;
  AlignedBuffer<float> output_norm_;
  std::vector<LayerWeights> layers_;
  std::vector<AlignedBuffer<uint8_t>> permuted_;  // query and key rows
};

// Row of an interleaved-pair projection that belongs at row `r` of the
// half-split one, for heads of width D of which the first d rotate.
int64_t InterleavedRow(int64_t r, int64_t D, int64_t d);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_LLAMA_H_
