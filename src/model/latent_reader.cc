#include "model/latent_reader.h"

#include <cstring>
#include <utility>
#include <vector>

#include "kernels/blocks.h"
#include "model/layer_reader.h"

namespace ropewalk::model {
namespace {

// Where row r of rows (d that rotate, in halves; `rest`) is found among rows
// (`rest`; d that rotate, in neighbours), in groups of both.
int64_t LastToFirst(int64_t r, int64_t d, int64_t rest) {
  const int64_t width = d + rest;
  const int64_t group = r / width * width;
  const int64_t within = r % width;
  return within >= d ? group + within - d
                     : group + rest + InterleavedRow(within, d, d);
}

std::vector<Linear> Heads(const std::vector<kernels::Matrix>& matrices) {
  std::vector<Linear> heads;
  for (const kernels::Matrix& matrix : matrices) {
    heads.push_back({.weights = matrix, .bias = {}});
  }
  return heads;
}

// Takes apart attn_kv_b [H * (n + v), C]: of each head n rows for its keys,
// which are transposed, and v for its values.
void ReadJoint(TensorReader& reader, const Blueprint& blueprint,
               const std::string& name, Latent& latent) {
  const int64_t H = blueprint.config.heads.H;
  const int64_t n = blueprint.unrotated_width;
  const int64_t v = blueprint.value_head_width;
  const int64_t C = blueprint.latent_width;
  const kernels::Matrix joint = reader.Matrix(name, H * (n + v), C);
  std::vector<float> row(static_cast<size_t>(C));
  for (int64_t h = 0; h < H; ++h) {
    const int64_t first = h * (n + v);
    auto* keys =
        reinterpret_cast<float*>(reader.NewStorage(C * n * int64_t{4}));
    for (int64_t i = 0; i < n; ++i) {
      kernels::UnpackRow(joint.type, joint.Row(first + i), C, row.data());
      for (int64_t c = 0; c < C; ++c) {
        keys[c * n + i] = row[static_cast<size_t>(c)];
      }
    }
    latent.key_up.push_back({.weights = {DType::kF32, keys, C, n}, .bias = {}});
    latent.value_up.push_back(
        {.weights = {joint.type, joint.Row(first + n), v, C}, .bias = {}});
  }
}

}  // namespace

Attention ReadLatentAttention(TensorReader& reader, const Blueprint& blueprint,
                              const std::string& prefix) {
  const Config& config = blueprint.config;
  const int64_t E = config.E;
  const int64_t H = config.heads.H;
  const int64_t d = config.positions.rotary_width;
  const int64_t n = blueprint.unrotated_width;
  const int64_t C = blueprint.latent_width;
  const int64_t rank = blueprint.query_rank;
  Attention attention;
  attention.heads = config.heads;
  if (rank > 0) {
    attention.query_down = ReadLinear(reader, prefix + "attn_q_a", rank, E);
    attention.query_down_norm =
        ReadNorm(reader, blueprint, prefix + "attn_q_a_norm", rank);
  }
  attention.query = Reordered(
      ReadLinear(reader, prefix + (rank > 0 ? "attn_q_b" : "attn_q"),
                 H * (d + n), rank > 0 ? rank : E),
      [=](int64_t r) { return LastToFirst(r, d, n); }, reader);
  Latent latent;
  latent.down = Reordered(
      ReadLinear(reader, prefix + "attn_kv_a_mqa", C + d, E),
      [=](int64_t r) { return LastToFirst(r, d, C); }, reader);
  latent.norm = ReadNorm(reader, blueprint, prefix + "attn_kv_a_norm", C);
  if (reader.Find(prefix + "attn_kv_b.weight") != nullptr) {
    ReadJoint(reader, blueprint, prefix + "attn_kv_b.weight", latent);
  } else {
    latent.key_up = Heads(reader.Stack(prefix + "attn_k_b.weight", H, C, n));
    latent.value_up = Heads(reader.Stack(prefix + "attn_v_b.weight", H,
                                         blueprint.value_head_width, C));
  }
  attention.latent = std::move(latent);
  attention.output = ReadLinear(reader, prefix + "attn_output", E,
                                H * blueprint.value_head_width);
  return attention;
}

}  // namespace ropewalk::model
