// Banded attention out of LibTorch's own operations: what a CUDA tensor runs
// on, and a second opinion for the kernels.

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "attention/training_law.h"
#include "lab/ops/attention.h"
#include "lab/ops/optional_tensor.h"

namespace ropewalk::lab::ops {
namespace {

using attention::Law;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Cosines and sines of ids [first, first + n), [n, pairs].
struct Angles {
  at::Tensor cos;
  at::Tensor sin;
};

Angles AnglesOf(const position::Plan& plan, const attention::Turn& turn,
                int64_t first, int64_t n, const at::TensorOptions& options) {
  const position::FrequencyTable& table =
      plan.tables[static_cast<size_t>(turn.table)];
  const auto pairs = static_cast<int64_t>(table.frequencies.size());
  at::Tensor angles = at::empty({n, pairs}, at::kDouble);
  double* at = angles.data_ptr<double>();
  for (int64_t i = 0; i < n; ++i) {
    const double position = turn.map(first + i);
    for (const double frequency : table.frequencies) {
      *at++ = position * frequency;
    }
  }
  return {(angles.cos() * table.magnitude).to(options),
          (angles.sin() * table.magnitude).to(options)};
}

// x [B, n, heads, D], pairs (m, m + pairs) turned.
at::Tensor Rotate(const at::Tensor& x, const Angles& angles) {
  const int64_t pairs = angles.cos.size(1);
  if (pairs == 0) return x;
  const at::Tensor a = x.narrow(3, 0, pairs);
  const at::Tensor b = x.narrow(3, pairs, pairs);
  const at::Tensor c = angles.cos.unsqueeze(1);
  const at::Tensor s = angles.sin.unsqueeze(1);
  return at::cat({a * c - b * s, a * s + b * c,
                  x.narrow(3, 2 * pairs, x.size(3) - 2 * pairs)},
                 3);
}

struct Operands {
  at::Tensor q;      // [B, T, H, D]
  at::Tensor k;      // [B, S, G, D]
  at::Tensor v;      // [B, S, G, Dv]
  at::Tensor scale;  // [H] or undefined
};

// Which piece of the law decides each pair, -1 where it is masked, for queries
// [first, first + n): int8 [B or 1, H or 1, n, S].
at::Tensor Pieces(const Law& law, const Operands& x,
                  const AttentionOptions& options, const int64_t* prefix,
                  const int64_t* keys, int64_t first, int64_t n) {
  attention::TrainingInputOf<double> input;  // only what MakeSight reads
  input.shape = {.B = x.q.size(0),
                 .T = x.q.size(1),
                 .S = x.k.size(1),
                 .H = x.q.size(2),
                 .G = x.k.size(2),
                 .D = x.q.size(3),
                 .Dv = x.v.size(3)};
  input.mask = {.heads = options.directions, .prefix = prefix, .keys = keys};
  const int64_t B = prefix != nullptr || keys != nullptr ? x.q.size(0) : 1;
  const auto H = static_cast<int64_t>(options.directions.size());
  const int64_t S = x.k.size(1);
  at::Tensor pieces = at::full({B, H, n, S}, -1, at::kChar);
  int8_t* row = pieces.data_ptr<int8_t>();
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t h = 0; h < H; ++h) {
      const attention::Sight sight = attention::MakeSight(input, b, h);
      for (int64_t i = 0; i < n; ++i, row += S) {
        // The first piece that shows a pair decides it, so it comes last.
        for (auto p = static_cast<int64_t>(law.pieces.size()); p-- > 0;) {
          const position::KeyRange seen =
              sight.Seen(law.pieces[static_cast<size_t>(p)], first + i);
          const int64_t begin = std::clamp<int64_t>(seen.first, 0, S);
          const int64_t end = std::clamp<int64_t>(seen.last, begin, S);
          std::fill(row + begin, row + end, static_cast<int8_t>(p));
        }
      }
    }
  }
  return pieces;
}

// Outputs of queries [first, first + n), given as x.q alone.
at::Tensor Chunk(const position::Plan& plan, const Law& law, const Operands& x,
                 const at::Tensor& pieces, int64_t first) {
  const int64_t B = x.q.size(0);
  const int64_t n = x.q.size(1);
  const int64_t H = x.q.size(2);
  const int64_t D = x.q.size(3);
  const int64_t S = x.k.size(1);
  const int64_t G = x.k.size(2);
  const at::TensorOptions options = x.q.options();
  const auto by_head = [&](const at::Tensor& keys) {  // [B, H, S, .]
    return keys.unsqueeze(3)
        .expand({B, S, G, H / G, keys.size(3)})
        .reshape({B, S, H, keys.size(3)})
        .transpose(1, 2);
  };
  at::Tensor scores = at::zeros({B, H, n, S}, options);
  for (size_t p = 0; p < law.pieces.size(); ++p) {
    const at::Tensor mine = pieces == static_cast<int64_t>(p);
    if (!mine.any().item<bool>()) continue;
    const auto& piece = law.pieces[p];
    const Angles of_q =
        AnglesOf(plan, law.query_turns[static_cast<size_t>(piece.query_turn)],
                 first, n, options);
    const Angles of_k =
        AnglesOf(plan, law.key_turns[static_cast<size_t>(piece.key_turn)], 0, S,
                 options);
    const at::Tensor product =
        at::matmul(Rotate(x.q, of_q).transpose(1, 2),
                   by_head(Rotate(x.k, of_k)).transpose(2, 3));
    scores = at::where(mine, product, scores);
  }
  at::Tensor factor = at::empty({n}, at::kDouble);
  for (int64_t i = 0; i < n; ++i) {
    factor[i] = plan.scale(first + i) / std::sqrt(static_cast<double>(D));
  }
  scores = scores * factor.to(options).view({1, 1, n, 1});
  if (x.scale.defined()) scores = scores * x.scale.view({1, H, 1, 1});
  const at::Tensor masked = pieces < 0;
  // A row that sees nothing gives zeros, and no NaN in its gradient.
  const at::Tensor blind = masked.all(3, true);
  scores = scores.masked_fill(masked, -std::numeric_limits<double>::infinity())
               .masked_fill(blind, 0);
  const at::Tensor weights = at::softmax(scores, 3).masked_fill(masked, 0);
  return at::matmul(weights, by_head(x.v)).transpose(1, 2);
}

struct Setting {
  AttentionOptions options;
  int64_t chunk = 256;
};

// Calls body(first, n, pieces) for each run of queries.
template <typename Body>
void ForChunks(const Operands& x, const Setting& setting, const Law& law,
               const Body& body) {
  const auto host = [](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.to(at::kCPU).contiguous() : tensor;
  };
  const at::Tensor prefix = host(setting.options.prefix);
  const at::Tensor keys = host(setting.options.keys);
  const auto data = [](const at::Tensor& tensor) -> const int64_t* {
    return tensor.defined() ? tensor.data_ptr<int64_t>() : nullptr;
  };
  const int64_t T = x.q.size(1);
  for (int64_t first = 0; first < T; first += setting.chunk) {
    const int64_t n = std::min(setting.chunk, T - first);
    body(first, n,
         Pieces(law, x, setting.options, data(prefix), data(keys), first, n)
             .to(x.q.device()));
  }
}

Law LawOf(const AttentionOptions& options, const at::Tensor& q) {
  // A mirror is needed where any query may look ahead.
  attention::TrainingMask mask{.heads = options.directions};
  const std::vector<int64_t> none(static_cast<size_t>(q.size(0)), 0);
  if (options.prefix.defined()) mask.prefix = none.data();
  return attention::MakeLaw(*options.plan, mask);
}

class CompositeFunction : public torch::autograd::Function<CompositeFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& q,
                          const at::Tensor& k, const at::Tensor& v,
                          const OptionalTensor& maybe_scale,
                          const std::shared_ptr<Setting>& setting) {
    const at::Tensor scale = TensorOr(maybe_scale);
    const Operands x{q, k, v, scale};
    const Law law = LawOf(setting->options, q);
    std::vector<at::Tensor> parts;
    ForChunks(x, *setting, law,
              [&](int64_t first, int64_t n, const at::Tensor& pieces) {
                parts.push_back(Chunk(*setting->options.plan, law,
                                      {q.narrow(1, first, n), k, v, scale},
                                      pieces, first));
              });
    context->save_for_backward({q, k, v, scale});
    context->saved_data["setting"] =
        c10::IValue::make_capsule(c10::make_intrusive<SettingHolder>(setting));
    if (parts.empty()) {
      return at::empty({q.size(0), 0, q.size(2), v.size(3)}, q.options());
    }
    return at::cat(parts, 1);
  }

  static variable_list backward(AutogradContext* context,
                                variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto capsule = context->saved_data["setting"].toCapsule();
    const Setting& setting =
        *static_cast<const SettingHolder&>(*capsule).setting;
    const auto leaf = [](const at::Tensor& tensor) {
      return tensor.defined() ? tensor.detach().requires_grad_(true) : tensor;
    };
    Operands x{leaf(saved[0]), leaf(saved[1]), leaf(saved[2]), leaf(saved[3])};
    const Law law = LawOf(setting.options, x.q);
    variable_list sums(4);
    const at::AutoGradMode enable(true);
    ForChunks(x, setting, law,
              [&](int64_t first, int64_t n, const at::Tensor& pieces) {
                const at::Tensor out =
                    Chunk(*setting.options.plan, law,
                          {x.q.narrow(1, first, n), x.k, x.v, x.scale}, pieces,
                          first);
                variable_list inputs = {x.q, x.k, x.v};
                if (x.scale.defined()) inputs.push_back(x.scale);
                const variable_list parts = torch::autograd::grad(
                    {out}, inputs, {gradients[0].narrow(1, first, n)},
                    c10::nullopt, false, true);
                for (size_t i = 0; i < parts.size(); ++i) {
                  if (!parts[i].defined()) continue;
                  sums[i] = sums[i].defined() ? sums[i] + parts[i] : parts[i];
                }
              });
    for (size_t i = 0; i < sums.size(); ++i) {
      if (saved[i].defined() && !sums[i].defined()) {
        sums[i] = at::zeros_like(saved[i]);
      }
    }
    return {sums[0], sums[1], sums[2], sums[3], Variable()};
  }

 private:
  struct SettingHolder : torch::CustomClassHolder {
    explicit SettingHolder(std::shared_ptr<Setting> what)
        : setting(std::move(what)) {}
    std::shared_ptr<Setting> setting;
  };
};

}  // namespace

at::Tensor CompositeAttention(const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const at::Tensor& head_scale,
                              const AttentionOptions& options, int64_t chunk) {
  CheckAttention(q, k, v, head_scale, options);
  TORCH_CHECK(chunk > 0, "composite_attention: chunk must be above 0");
  return CompositeFunction::apply(
      q, k, v, MaybeTensor(head_scale),
      std::make_shared<Setting>(Setting{options, chunk}));
}

}  // namespace ropewalk::lab::ops
