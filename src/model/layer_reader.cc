#include "model/layer_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "model/latent_reader.h"

namespace ropewalk::model {
namespace {

std::string Prefix(int64_t number) {
  return "blk." + std::to_string(number) + ".";
}

kernels::Matrix RowsOf(const kernels::Matrix& matrix, int64_t first,
                       int64_t rows) {
  return {matrix.type, matrix.Row(first), rows, matrix.columns};
}

AlignedBuffer<float> Copy(const float* from, int64_t size) {
  AlignedBuffer<float> to(size);
  std::copy_n(from, size, to.data());
  return to;
}

// Rows [first, first + rows) of a fused projection.
Linear RowsOf(const Linear& whole, int64_t first, int64_t rows) {
  Linear part{.weights = RowsOf(whole.weights, first, rows), .bias = {}};
  if (whole.bias.size() > 0) {
    part.bias = Copy(whole.bias.data() + first, rows);
  }
  return part;
}

// Reorders `numbers` of all heads from interleaved to half-split pairs.
AlignedBuffer<float> HalfSplit(const AlignedBuffer<float>& numbers, int64_t D,
                               int64_t d) {
  AlignedBuffer<float> split(numbers.size());
  for (int64_t r = 0; r < numbers.size(); ++r) {
    split.data()[r] = numbers.data()[InterleavedRow(r, D, d)];
  }
  return split;
}

// Returns `linear` with the rows of every head in half-split order.
Linear HalfSplit(Linear linear, int64_t D, int64_t d, TensorReader& reader) {
  return Reordered(
      std::move(linear), [=](int64_t r) { return InterleavedRow(r, D, d); },
      reader);
}

// Reads a norm of queries or keys. The tensor's shape says whether one set of
// weights is for each head, for every head, or over all heads at once.
Norm ReadHeadNorm(TensorReader& reader, const Blueprint& blueprint,
                  const std::string& name, int64_t heads) {
  const int64_t D = blueprint.config.heads.D;
  const formats::GgufTensor* tensor = reader.Find(name + ".weight");
  if (tensor == nullptr) {
    if (blueprint.head_norm == Part::kOptional) return {};
    reader.FailMissing(name + ".weight");
  }
  const bool a_head = tensor->shape.size() == 2;
  const bool over_all = !a_head && tensor->shape.front() != D;
  Norm norm{.kind = blueprint.norm, .epsilon = blueprint.epsilon};
  norm.width = over_all ? heads * D : D;
  norm.sets = a_head ? heads : 1;
  norm.weight = a_head ? reader.Table(name + ".weight", heads, D)
                       : reader.Vector(name + ".weight", norm.width);
  if (blueprint.norm == NormKind::kLayer) {
    norm.bias = a_head ? reader.OptionalTable(name + ".bias", heads, D)
                       : reader.OptionalVector(name + ".bias", norm.width);
  }
  if (blueprint.interleaved) {
    const int64_t d = blueprint.config.positions.rotary_width;
    norm.weight = HalfSplit(norm.weight, D, d);
    if (norm.bias.size() > 0) norm.bias = HalfSplit(norm.bias, D, d);
  }
  return norm;
}

Norm UnitKeys(const Blueprint& blueprint) {
  return {.kind = NormKind::kRms,
          .epsilon = blueprint.epsilon,
          .width = blueprint.config.heads.D};
}

Attention ReadAttention(TensorReader& reader, const Blueprint& blueprint,
                        const std::string& prefix) {
  const Config& config = blueprint.config;
  const int64_t E = config.E;
  const int64_t D = config.heads.D;
  const int64_t queries = config.heads.H * D;
  const int64_t keys = config.heads.G * D;
  if (blueprint.latent_width > 0) {
    return ReadLatentAttention(reader, blueprint, prefix);
  }
  Attention attention;
  attention.heads = config.heads;
  if (reader.Find(prefix + "attn_qkv.weight") != nullptr) {
    const Linear all =
        ReadLinear(reader, prefix + "attn_qkv", queries + 2 * keys, E);
    attention.query = RowsOf(all, 0, queries);
    attention.key = RowsOf(all, queries, keys);
    attention.value = RowsOf(all, queries + keys, keys);
  } else {
    attention.query = ReadLinear(reader, prefix + "attn_q", queries, E);
    attention.key = ReadLinear(reader, prefix + "attn_k", keys, E);
    attention.value = ReadLinear(reader, prefix + "attn_v", keys, E);
  }
  if (blueprint.interleaved) {
    const int64_t d = config.positions.rotary_width;
    attention.query = HalfSplit(std::move(attention.query), D, d, reader);
    attention.key = HalfSplit(std::move(attention.key), D, d, reader);
  }
  attention.output = ReadLinear(reader, prefix + "attn_output", E, queries);
  attention.clamp = blueprint.clamp;
  if (blueprint.head_norm != Part::kNone) {
    attention.query_norm =
        ReadHeadNorm(reader, blueprint, prefix + "attn_q_norm", config.heads.H);
    attention.key_norm =
        ReadHeadNorm(reader, blueprint, prefix + "attn_k_norm", config.heads.G);
  }
  if (blueprint.unit_keys) attention.key_norm = UnitKeys(blueprint);
  attention.logn_scale =
      reader.OptionalVector(prefix + "attn_logn.weight", config.heads.H);
  if (blueprint.sinks) {
    attention.sinks =
        reader.Vector(prefix + "attn_sinks.weight", config.heads.H);
  }
  return attention;
}

FeedForward EmptyFeed(const Blueprint& blueprint) {
  return {.activation = blueprint.activation,
          .limit = static_cast<float>(blueprint.gate_limit),
          .shift = static_cast<float>(blueprint.up_shift)};
}

FeedForward ReadFeedForward(TensorReader& reader, const Blueprint& blueprint,
                            const std::string& prefix,
                            const std::string& suffix, int64_t F) {
  const int64_t E = blueprint.config.E;
  FeedForward feed = EmptyFeed(blueprint);
  const std::string up = prefix + "ffn_up" + suffix;
  const std::string gate = prefix + "ffn_gate" + suffix;
  if (!blueprint.gated) {
    feed.up = ReadLinear(reader, up, F, E);
  } else if (reader.Find(gate + ".weight") == nullptr &&
             reader.RowsOf(up + ".weight") == 2 * F) {
    const Linear both = ReadLinear(reader, up, 2 * F, E);
    feed.gate = RowsOf(both, 0, F);
    feed.up = RowsOf(both, F, F);
  } else {
    feed.gate = ReadLinear(reader, gate, F, E);
    feed.up = ReadLinear(reader, up, F, E);
  }
  feed.down = ReadLinear(reader, prefix + "ffn_down" + suffix, E, F);
  return feed;
}

Experts ReadExperts(TensorReader& reader, const Blueprint& blueprint,
                    const std::string& prefix) {
  const int64_t E = blueprint.config.E;
  const int64_t F = blueprint.expert_width;
  const int64_t count = blueprint.experts;
  Experts experts;
  experts.router = ReadLinear(reader, prefix + "ffn_gate_inp", count, E);
  experts.sigmoid = blueprint.sigmoid_router;
  experts.selection_bias =
      reader.OptionalVector(prefix + "exp_probs_b.bias", count);
  experts.groups = std::max<int64_t>(1, blueprint.expert_groups);
  experts.groups_used = std::max<int64_t>(1, blueprint.expert_groups_used);
  experts.used = blueprint.experts_used;
  experts.renormalise = blueprint.renormalise;
  experts.scale = blueprint.expert_scale;
  experts.experts.resize(static_cast<size_t>(count));
  const auto read = [&](const char* part, int64_t rows, int64_t columns,
                        Linear FeedForward::*member) {
    const std::string name = prefix + part;
    const auto matrices = reader.Stack(name + ".weight", count, rows, columns);
    const AlignedBuffer<float> biases =
        reader.OptionalTable(name + ".bias", count, rows);
    for (size_t e = 0; e < matrices.size(); ++e) {
      Linear& linear = experts.experts[e].*member;
      linear.weights = matrices[e];
      if (biases.size() == 0) continue;
      linear.bias = Copy(biases.data() + static_cast<int64_t>(e) * rows, rows);
    }
  };
  for (FeedForward& expert : experts.experts) expert = EmptyFeed(blueprint);
  read("ffn_gate_exps", F, E, &FeedForward::gate);
  read("ffn_up_exps", F, E, &FeedForward::up);
  read("ffn_down_exps", E, F, &FeedForward::down);
  if (blueprint.shared_width > 0) {
    experts.shared = ReadFeedForward(reader, blueprint, prefix, "_shexp",
                                     blueprint.shared_width);
    if (reader.Find(prefix + "ffn_gate_inp_shexp.weight") != nullptr) {
      experts.shared_router =
          reader.RowMatrix(prefix + "ffn_gate_inp_shexp.weight", E);
    }
  }
  return experts;
}

// Reads a gated attention unit: queries and keys are one projection z with two
// gains, u gates the output of attention, and the norm comes last.
Layer ReadGauLayer(TensorReader& reader, const Blueprint& blueprint,
                   const std::string& prefix) {
  const Config& config = blueprint.config;
  const int64_t E = config.E;
  const int64_t F = config.F;
  const int64_t D = config.heads.D;
  const Linear in = {reader.Matrix(prefix + "gau_in.weight", 2 * F + D, E), {}};
  Layer layer;
  Attention& attention = layer.attention;
  attention.heads = config.heads;
  attention.gate = RowsOf(in, 0, F);
  attention.value = RowsOf(in, F, F);
  attention.query = RowsOf(in, 2 * F, D);
  attention.activation = kernels::Activation::kSilu;
  attention.query_gain = reader.Vector(prefix + "gau_gamma_q", D);
  attention.key_gain = reader.Vector(prefix + "gau_gamma_k", D);
  attention.logn_scale =
      reader.OptionalVector(prefix + "attn_logn.weight", config.heads.H);
  attention.output.weights = reader.Matrix(prefix + "gau_out.weight", E, F);
  if (blueprint.unit_keys) attention.key_norm = UnitKeys(blueprint);
  layer.residual_norm = {
      .kind = NormKind::kRms, .epsilon = blueprint.epsilon, .width = E};
  return layer;
}

}  // namespace

int64_t InterleavedRow(int64_t r, int64_t D, int64_t d) {
  const int64_t head = r / D * D;
  const int64_t within = r % D;
  if (within >= d) return r;
  const int64_t half = d / 2;
  return head + (within < half ? 2 * within : 2 * (within - half) + 1);
}

Linear Reordered(Linear linear, const std::function<int64_t(int64_t)>& from,
                 TensorReader& reader) {
  const kernels::Matrix& rows = linear.weights;
  const int64_t row_bytes = RowBytes(rows.type, rows.columns);
  uint8_t* copy = reader.NewStorage(rows.rows * row_bytes);
  for (int64_t r = 0; r < rows.rows; ++r) {
    std::memcpy(copy + r * row_bytes, rows.Row(from(r)),
                static_cast<size_t>(row_bytes));
  }
  linear.weights.data = copy;
  if (linear.bias.size() > 0) {
    AlignedBuffer<float> bias(linear.bias.size());
    for (int64_t r = 0; r < bias.size(); ++r) bias[r] = linear.bias[from(r)];
    linear.bias = std::move(bias);
  }
  return linear;
}

Norm ReadNorm(TensorReader& reader, const Blueprint& blueprint,
              const std::string& name, int64_t width) {
  Norm norm{
      .kind = blueprint.norm, .epsilon = blueprint.epsilon, .width = width};
  if (!blueprint.norm_weights) return norm;
  norm.weight = reader.Vector(name + ".weight", width);
  if (blueprint.norm == NormKind::kLayer) {
    norm.bias = reader.OptionalVector(name + ".bias", width);
  }
  return norm;
}

Linear ReadLinear(TensorReader& reader, const std::string& name, int64_t out,
                  int64_t in) {
  return {.weights = reader.Matrix(name + ".weight", out, in),
          .bias = reader.OptionalVector(name + ".bias", out)};
}

Layer ReadLayer(TensorReader& reader, const Blueprint& blueprint,
                int64_t number) {
  const std::string prefix = Prefix(number);
  const int64_t E = blueprint.config.E;
  if (blueprint.config.gau) return ReadGauLayer(reader, blueprint, prefix);
  Layer layer;
  layer.parallel = blueprint.parallel;
  layer.residual_scale = static_cast<float>(blueprint.residual_scale);
  if (blueprint.attention_norm) {
    layer.attention_norm = ReadNorm(reader, blueprint, prefix + "attn_norm", E);
  }
  layer.attention = ReadAttention(reader, blueprint, prefix);
  if (blueprint.feed_norm) {
    const char* name = blueprint.feed_norm_is_post_attention
                           ? "post_attention_norm"
                           : "ffn_norm";
    layer.feed_norm = ReadNorm(reader, blueprint, prefix + name, E);
  }
  if (blueprint.norms_after) {
    layer.attention_after =
        ReadNorm(reader, blueprint, prefix + "post_attention_norm", E);
    layer.feed_after = ReadNorm(reader, blueprint, prefix + "post_ffw_norm", E);
  }
  if (blueprint.experts > 0 &&
      reader.Find(prefix + "ffn_gate_inp.weight") != nullptr) {
    layer.experts = ReadExperts(reader, blueprint, prefix);
  } else {
    layer.feed =
        ReadFeedForward(reader, blueprint, prefix, "", blueprint.config.F);
  }
  return layer;
}

}  // namespace ropewalk::model
