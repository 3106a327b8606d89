#include "model/layers.h"

#include <cstring>
#include <string>
#include <utility>

namespace ropewalk::model {
namespace {

std::string Prefix(int64_t number) {
  return "blk." + std::to_string(number) + ".";
}

// `matrix` with the rows of every head in half-split order, in memory of its
// own. Works on whole stored rows, so any type will do.
kernels::Matrix HalfSplit(const kernels::Matrix& matrix, int64_t D, int64_t d,
                          TensorReader& reader) {
  const int64_t row_bytes = RowBytes(matrix.type, matrix.columns);
  uint8_t* copy = reader.NewStorage(matrix.rows * row_bytes);
  for (int64_t r = 0; r < matrix.rows; ++r) {
    std::memcpy(copy + r * row_bytes, matrix.Row(InterleavedRow(r, D, d)),
                static_cast<size_t>(row_bytes));
  }
  kernels::Matrix split = matrix;
  split.data = copy;
  return split;
}

kernels::Matrix Rows(const kernels::Matrix& matrix, int64_t first,
                     int64_t rows) {
  return {matrix.type, matrix.Row(first), rows, matrix.columns};
}

}  // namespace

int64_t InterleavedRow(int64_t r, int64_t D, int64_t d) {
  const int64_t head = r / D * D;
  const int64_t within = r % D;
  if (within >= d) return r;
  const int64_t half = d / 2;
  return head + (within < half ? 2 * within : 2 * (within - half) + 1);
}

LlamaLayer ReadLlamaLayer(TensorReader& reader, const Config& config,
                          int64_t number) {
  const int64_t E = config.E;
  const int64_t F = config.F;
  const int64_t D = config.heads.D;
  const int64_t d = config.positions.rotary_width;
  const int64_t queries = config.heads.H * D;
  const int64_t keys = config.heads.G * D;
  const std::string prefix = Prefix(number);
  LlamaLayer layer;
  layer.attention_norm = reader.Vector(prefix + "attn_norm.weight", E);
  layer.query = HalfSplit(reader.Matrix(prefix + "attn_q.weight", queries, E),
                          D, d, reader);
  layer.key =
      HalfSplit(reader.Matrix(prefix + "attn_k.weight", keys, E), D, d, reader);
  layer.value = reader.Matrix(prefix + "attn_v.weight", keys, E);
  layer.attention_output =
      reader.Matrix(prefix + "attn_output.weight", E, queries);
  layer.logn_scale =
      reader.OptionalVector(prefix + "attn_logn.weight", config.heads.H);
  layer.feed_norm = reader.Vector(prefix + "ffn_norm.weight", E);
  layer.gate = reader.Matrix(prefix + "ffn_gate.weight", F, E);
  layer.up = reader.Matrix(prefix + "ffn_up.weight", F, E);
  layer.down = reader.Matrix(prefix + "ffn_down.weight", E, F);
  return layer;
}

GauLayer ReadGauLayer(TensorReader& reader, const Config& config,
                      int64_t number) {
  const int64_t E = config.E;
  const int64_t F = config.F;
  const int64_t D = config.heads.D;
  const std::string prefix = Prefix(number);
  const kernels::Matrix in =
      reader.Matrix(prefix + "gau_in.weight", 2 * F + D, E);
  GauLayer layer;
  layer.u = Rows(in, 0, F);
  layer.v = Rows(in, F, F);
  layer.z = Rows(in, 2 * F, D);
  layer.gamma_q = reader.Vector(prefix + "gau_gamma_q", D);
  layer.gamma_k = reader.Vector(prefix + "gau_gamma_k", D);
  layer.logn_scale =
      reader.OptionalVector(prefix + "attn_logn.weight", config.heads.H);
  layer.output = reader.Matrix(prefix + "gau_out.weight", E, F);
  return layer;
}

int64_t WeightBytes(const Layer& layer) {
  const auto bytes = [](const auto&... matrices) {
    return (... + (matrices.rows * RowBytes(matrices.type, matrices.columns)));
  };
  if (const auto* gau = std::get_if<GauLayer>(&layer)) {
    return bytes(gau->u, gau->v, gau->z, gau->output);
  }
  const auto& llama = std::get<LlamaLayer>(layer);
  return bytes(llama.query, llama.key, llama.value, llama.attention_output,
               llama.gate, llama.up, llama.down);
}

const AlignedBuffer<float>& LognScale(const Layer& layer) {
  return std::visit(
      [](const auto& w) -> const AlignedBuffer<float>& { return w.logn_scale; },
      layer);
}

}  // namespace ropewalk::model
