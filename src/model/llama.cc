#include "model/llama.h"

#include <cstring>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "kernels/reference/blocks.h"

namespace ropewalk::model {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

// Takes tensors out of the file one by one and remembers which.
class TensorReader {
 public:
  explicit TensorReader(const formats::GgufFile& file) : file_(file) {}

  [[noreturn]] void Fail(const formats::GgufTensor& tensor,
                         const std::string& what) const {
    throw FormatError(file_.path(), tensor.file_offset,
                      "tensor '" + tensor.name + "' " + what);
  }

  // Nothing when the file has no such tensor.
  const formats::GgufTensor* Find(const std::string& name) {
    const formats::GgufTensor* tensor = file_.Find(name);
    if (tensor != nullptr) taken_.insert(tensor->name);
    return tensor;
  }

  const formats::GgufTensor& Get(const std::string& name,
                                 const std::vector<int64_t>& shape) {
    const formats::GgufTensor* tensor = Find(name);
    if (tensor == nullptr) {
      throw FormatError(file_.path(), 0, "tensor '" + name + "' is missing");
    }
    if (tensor->shape != shape) {
      Fail(*tensor, "has the shape " + ShapeText(tensor->shape) +
                        ", expected " + ShapeText(shape));
    }
    if (!tensor->type) {
      Fail(*tensor,
           "is of type " + tensor->type_name +
               ", which is not supported yet; supported: " + DTypeNames());
    }
    return *tensor;
  }

  kernels::Matrix Matrix(const std::string& name, int64_t rows,
                         int64_t columns) {
    const formats::GgufTensor& tensor = Get(name, {rows, columns});
    return {*tensor.type, tensor.bytes.data(), rows, columns};
  }

  AlignedBuffer<float> Vector(const std::string& name, int64_t size) {
    const formats::GgufTensor& tensor = Get(name, {size});
    if (InfoOf(*tensor.type).block_elements != 1) {
      Fail(tensor,
           "is of type " + tensor.type_name + ", expected plain floats");
    }
    AlignedBuffer<float> out(size);
    kernels::UnpackRow(*tensor.type, tensor.bytes.data(), size, out.data());
    return out;
  }

  // A tensor that nobody asked for would be left out of the computation
  // without a word: biases, experts, norms of another family.
  void RequireAllTaken() const {
    for (const formats::GgufTensor& tensor : file_.tensors()) {
      if (taken_.count(tensor.name) == 0) {
        Fail(tensor,
             "is not part of the Llama models that this build computes");
      }
    }
  }

 private:
  const formats::GgufFile& file_;
  std::set<std::string> taken_;
};

// `matrix` with the rows of every head in half-split order, in memory of its
// own. Works on whole stored rows, so any type will do.
kernels::Matrix HalfSplit(const kernels::Matrix& matrix, int64_t D, int64_t d,
                          std::vector<AlignedBuffer<uint8_t>>& storage) {
  const int64_t row_bytes = RowBytes(matrix.type, matrix.columns);
  AlignedBuffer<uint8_t>& copy = storage.emplace_back(matrix.rows * row_bytes);
  for (int64_t r = 0; r < matrix.rows; ++r) {
    std::memcpy(copy.data() + r * row_bytes,
                matrix.Row(InterleavedRow(r, D, d)),
                static_cast<size_t>(row_bytes));
  }
  kernels::Matrix split = matrix;
  split.data = copy.data();
  return split;
}

}  // namespace

int64_t InterleavedRow(int64_t r, int64_t D, int64_t d) {
  const int64_t head = r / D * D;
  const int64_t within = r % D;
  if (within >= d) return r;
  const int64_t half = d / 2;
  return head + (within < half ? 2 * within : 2 * (within - half) + 1);
}

LlamaModel LlamaModel::Load(const std::string& path) {
  return LlamaModel(formats::GgufFile(path));
}

LlamaModel::LlamaModel(formats::GgufFile file)
    : file_(std::move(file)), config_(ReadConfig(file_)) {
  TensorReader reader(file_);
  const formats::GgufTensor* embedding = reader.Find("token_embd.weight");
  if (embedding == nullptr) {
    throw FormatError(file_.path(), 0, "tensor 'token_embd.weight' is missing");
  }
  config_.V = embedding->shape.front();
  if (config_.V > INT32_MAX) reader.Fail(*embedding, "has too many rows");
  const int64_t E = config_.E;
  const int64_t F = config_.F;
  const int64_t D = config_.heads.D;
  const int64_t d = config_.positions.rotary_width;
  const int64_t queries = config_.heads.H * D;
  const int64_t keys = config_.heads.G * D;
  embedding_ = reader.Matrix("token_embd.weight", config_.V, E);
  config_.tied = file_.Find("output.weight") == nullptr;
  output_ =
      config_.tied ? embedding_ : reader.Matrix("output.weight", config_.V, E);
  output_norm_ = reader.Vector("output_norm.weight", E);
  for (int64_t layer = 0; layer < config_.L; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    LayerWeights weights;
    weights.attention_norm = reader.Vector(prefix + "attn_norm.weight", E);
    weights.query = HalfSplit(
        reader.Matrix(prefix + "attn_q.weight", queries, E), D, d, permuted_);
    weights.key = HalfSplit(reader.Matrix(prefix + "attn_k.weight", keys, E), D,
                            d, permuted_);
    weights.value = reader.Matrix(prefix + "attn_v.weight", keys, E);
    weights.attention_output =
        reader.Matrix(prefix + "attn_output.weight", E, queries);
    if (config_.positions.has_learned_logn) {
      weights.logn_scale =
          reader.Vector(prefix + "attn_logn.weight", config_.heads.H);
    }
    weights.feed_norm = reader.Vector(prefix + "ffn_norm.weight", E);
    weights.gate = reader.Matrix(prefix + "ffn_gate.weight", F, E);
    weights.up = reader.Matrix(prefix + "ffn_up.weight", F, E);
    weights.down = reader.Matrix(prefix + "ffn_down.weight", E, F);
    layers_.push_back(std::move(weights));
  }
  for (const char* positions :
       {"rope_freqs.weight", "rope_factors_short.weight",
        "rope_factors_long.weight"}) {
    reader.Find(positions);
  }
  reader.RequireAllTaken();
}

int64_t LlamaModel::WeightBytes() const {
  const auto bytes = [](const kernels::Matrix& m) {
    return m.rows * RowBytes(m.type, m.columns);
  };
  int64_t sum = bytes(output_);
  for (const LayerWeights& w : layers_) {
    sum += bytes(w.query) + bytes(w.key) + bytes(w.value) +
           bytes(w.attention_output) + bytes(w.gate) + bytes(w.up) +
           bytes(w.down);
  }
  return sum;
}

}  // namespace ropewalk::model
