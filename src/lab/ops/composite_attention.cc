// Banded attention out of LibTorch's own operations: what a CUDA tensor runs
// on, and a second opinion for the kernels.

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "attention/training/masked_plan.h"
#include "lab/ops/attention.h"
#include "lab/ops/optional_tensor.h"

namespace ropewalk::lab::ops {
namespace {

using attention::MaskedPlan;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Cosines and sines of ids [first, first + n), [n, pairs].
struct Angles {
  at::Tensor cos;
  at::Tensor sin;
};

at::Tensor OnDevice(const std::vector<double>& values, at::Device device) {
  return at::tensor(values, at::kDouble).to(device);
}

Angles AnglesOf(const position::Plan& plan, const attention::Turn& turn,
                int64_t first, int64_t n, const at::TensorOptions& options) {
  const position::FrequencyTable& table =
      plan.tables[static_cast<size_t>(turn.table)];
  std::vector<double> positions(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    positions[static_cast<size_t>(i)] = turn.map(first + i);
  }
  const at::Tensor angles =
      at::outer(OnDevice(positions, options.device()),
                OnDevice(table.frequencies, options.device()));
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

// Which piece of the masked decides each pair of queries [first, first + n).
struct Pieces {
  // One a piece: bool [B or 1, H or 1, n, S], undefined where it shows nothing.
  std::vector<at::Tensor> mine;
  at::Tensor masked;   // bool, likewise: no piece shows the pair
  bool blind = false;  // a query sees nothing at all
};

Pieces PiecesOf(const MaskedPlan& masked, const Operands& x,
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
  const auto count = static_cast<int64_t>(masked.pieces.size());
  // The keys of a piece are an interval for every query: two numbers each
  // travel to the device, and the masks are made there.
  at::Tensor ends = at::empty({2, count, B, H, n}, at::kLong);
  int64_t* begins = ends.data_ptr<int64_t>();
  int64_t* lasts = begins + count * B * H * n;
  std::vector<bool> shows(masked.pieces.size(), false);
  std::vector<bool> sees(static_cast<size_t>(B * H * n), false);
  for (size_t p = 0; p < masked.pieces.size(); ++p) {
    size_t row = 0;
    for (int64_t b = 0; b < B; ++b) {
      for (int64_t h = 0; h < H; ++h) {
        const attention::Sight sight = attention::MakeSight(input, b, h);
        for (int64_t i = 0; i < n; ++i, ++row) {
          const position::KeyRange seen =
              sight.Seen(masked.pieces[p], first + i);
          *begins = std::clamp<int64_t>(seen.first, 0, S);
          *lasts = std::clamp<int64_t>(seen.last, *begins, S);
          if (*begins < *lasts) shows[p] = sees[row] = true;
          ++begins;
          ++lasts;
        }
      }
    }
  }
  const at::Device device = x.q.device();
  ends = ends.to(device).unsqueeze(5);
  const at::Tensor key = at::arange(S, at::dtype(at::kLong).device(device));
  Pieces pieces;
  at::Tensor shown =
      at::zeros({B, H, n, S}, at::dtype(at::kBool).device(device));
  for (int64_t p = 0; p < count; ++p) {
    at::Tensor mine;
    // The first piece that shows a pair decides it.
    if (shows[static_cast<size_t>(p)]) {
      mine = (key >= ends[0][p]).logical_and_(key < ends[1][p]);
      mine.logical_and_(shown.logical_not());
      shown.logical_or_(mine);
    }
    pieces.mine.push_back(std::move(mine));
  }
  pieces.masked = shown.logical_not_();
  pieces.blind = std::ranges::find(sees, false) != sees.end();
  return pieces;
}

// What a run of queries needs beside its operands: the same for every layer of
// a plan and every step of a training.
struct Prepared {
  Pieces pieces;
  std::vector<Angles> queries;  // one a piece, empty where it shows nothing
  std::vector<Angles> keys;
  at::Tensor factors;  // [1, n, 1, 1]: on the scores of each query
};

Prepared Prepare(const position::Plan& plan, const MaskedPlan& masked,
                 const Operands& x, Pieces pieces, int64_t first, int64_t n) {
  const at::TensorOptions options = x.q.options();
  Prepared made;
  for (size_t p = 0; p < masked.pieces.size(); ++p) {
    Angles of_q;
    Angles of_k;
    if (pieces.mine[p].defined()) {
      const auto& piece = masked.pieces[p];
      of_q = AnglesOf(plan,
                      masked.query_turns[static_cast<size_t>(piece.query_turn)],
                      first, n, options);
      of_k =
          AnglesOf(plan, masked.key_turns[static_cast<size_t>(piece.key_turn)],
                   0, x.k.size(1), options);
    }
    made.queries.push_back(std::move(of_q));
    made.keys.push_back(std::move(of_k));
  }
  std::vector<double> factors(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    factors[static_cast<size_t>(i)] =
        plan.scale(first + i) / std::sqrt(static_cast<double>(x.q.size(3)));
  }
  made.factors =
      OnDevice(factors, options.device()).to(options).view({1, n, 1, 1});
  made.pieces = std::move(pieces);
  return made;
}

// What was prepared lately. A copy to a GPU waits until the GPU has done all
// that it was told before, so a training should not make one in every layer.
class PreparedCache {
 public:
  struct Key {
    position::Plan plan;
    std::vector<attention::Direction> directions;
    int64_t S = 0;
    int64_t D = 0;
    int64_t first = 0;
    int64_t n = 0;
    at::Device device = at::kCPU;
    at::ScalarType type = at::kFloat;
    bool operator==(const Key&) const = default;
  };

  template <typename Make>
  const Prepared& Get(const Key& key, const Make& make) {
    for (const auto& [known, prepared] : entries_) {
      if (known == key) return *prepared;
    }
    auto made = std::make_unique<Prepared>(make());
    bytes_ += Bytes(*made);
    entries_.emplace_back(key, std::move(made));
    while (entries_.size() > kMost ||
           (entries_.size() > 1 && bytes_ > kMostBytes)) {
      bytes_ -= Bytes(*entries_.front().second);
      entries_.erase(entries_.begin());
    }
    return *entries_.back().second;
  }

 private:
  static constexpr size_t kMost = 8;
  static constexpr int64_t kMostBytes = int64_t{256} << 20;

  // Of the masks, beside which angles are little.
  static int64_t Bytes(const Prepared& prepared) {
    int64_t sum = prepared.pieces.masked.numel();
    for (const at::Tensor& mine : prepared.pieces.mine) {
      if (mine.defined()) sum += mine.numel();
    }
    return sum;
  }

  std::vector<std::pair<Key, std::unique_ptr<Prepared>>> entries_;
  int64_t bytes_ = 0;
};

// Outputs of queries [first, first + n), given as x.q alone.
at::Tensor Chunk(const Operands& x, const Prepared& prepared) {
  const Pieces& pieces = prepared.pieces;
  const int64_t B = x.q.size(0);
  const int64_t n = x.q.size(1);
  const int64_t H = x.q.size(2);
  const int64_t S = x.k.size(1);
  const int64_t G = x.k.size(2);
  const auto by_head = [&](const at::Tensor& keys) {  // [B, H, S, .]
    return keys.unsqueeze(3)
        .expand({B, S, G, H / G, keys.size(3)})
        .reshape({B, S, H, keys.size(3)})
        .transpose(1, 2);
  };
  at::Tensor q = x.q * prepared.factors;
  if (x.scale.defined()) q = q * x.scale.view({1, 1, H, 1});
  at::Tensor scores;
  for (size_t p = 0; p < pieces.mine.size(); ++p) {
    if (!pieces.mine[p].defined()) continue;
    const at::Tensor product =
        at::matmul(Rotate(q, prepared.queries[p]).transpose(1, 2),
                   by_head(Rotate(x.k, prepared.keys[p])).transpose(2, 3));
    scores =
        scores.defined() ? at::where(pieces.mine[p], product, scores) : product;
  }
  if (!scores.defined()) scores = at::zeros({B, H, n, S}, q.options());
  scores = scores.masked_fill(pieces.masked,
                              -std::numeric_limits<double>::infinity());
  at::Tensor weights;
  if (pieces.blind) {
    // A row that sees nothing gives zeros, and no NaN in its gradient.
    scores = scores.masked_fill(pieces.masked.all(3, true), 0);
    weights = at::softmax(scores, 3).masked_fill(pieces.masked, 0);
  } else {
    weights = at::softmax(scores, 3);
  }
  return at::matmul(weights.to(x.v.scalar_type()), by_head(x.v))
      .transpose(1, 2);
}

struct Setting {
  AttentionOptions options;
  int64_t chunk = 0;
};

// Queries at a time where nobody says how many: on a device as many as a
// quarter of a GiB of float32 scores allows, as small steps leave it idle.
int64_t ChunkOf(const Setting& setting, const Operands& x) {
  if (setting.chunk > 0) return setting.chunk;
  if (x.q.is_cpu()) return 256;
  const int64_t row = x.q.size(0) * x.q.size(2) * x.k.size(1);
  return std::max<int64_t>(1, (int64_t{1} << 26) / std::max<int64_t>(1, row));
}

// One for all calls of a thread; backward passes on a GPU have their own.
PreparedCache& Cache() {
  thread_local PreparedCache cache;
  return cache;
}

// Calls body(first, n, prepared) for each run of queries.
template <typename Body>
void ForChunks(const Operands& x, const Setting& setting,
               const MaskedPlan& masked, const Body& body) {
  const auto host = [](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.to(at::kCPU).contiguous() : tensor;
  };
  const at::Tensor prefix = host(setting.options.prefix);
  const at::Tensor keys = host(setting.options.keys);
  const auto data = [](const at::Tensor& tensor) -> const int64_t* {
    return tensor.defined() ? tensor.data_ptr<int64_t>() : nullptr;
  };
  const int64_t T = x.q.size(1);
  const int64_t chunk = ChunkOf(setting, x);
  for (int64_t first = 0; first < T; first += chunk) {
    const int64_t n = std::min(chunk, T - first);
    const auto prepare = [&] {
      return Prepare(*setting.options.plan, masked, x,
                     PiecesOf(masked, x, setting.options, data(prefix),
                              data(keys), first, n),
                     first, n);
    };
    // Several runs would push each other out.
    if (prefix.defined() || keys.defined() || n < T) {
      body(first, n, prepare());
      continue;
    }
    body(first, n,
         Cache().Get({.plan = *setting.options.plan,
                      .directions = setting.options.directions,
                      .S = x.k.size(1),
                      .D = x.q.size(3),
                      .first = first,
                      .n = n,
                      .device = x.q.device(),
                      .type = x.q.scalar_type()},
                     prepare));
  }
}

MaskedPlan MaskedPlanOf(const AttentionOptions& options, const at::Tensor& q) {
  // A mirror is needed where any query may look ahead.
  attention::TrainingMask mask{.heads = options.directions};
  const std::vector<int64_t> none(static_cast<size_t>(q.size(0)), 0);
  if (options.prefix.defined()) mask.prefix = none.data();
  return attention::MakeMaskedPlan(*options.plan, mask);
}

// So many scores a layer are not computed again on a GPU: it has the room, as
// 64 MiB of scores and as much again of weights are kept for each layer.
constexpr int64_t kKeptScores = int64_t{1} << 24;

class CompositeFunction : public torch::autograd::Function<CompositeFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& q,
                          const at::Tensor& k, const at::Tensor& v,
                          const OptionalTensor& maybe_scale,
                          const std::shared_ptr<Setting>& setting) {
    const at::Tensor scale = TensorOr(maybe_scale);
    const Operands x{q, k, v, scale};
    const MaskedPlan masked = MaskedPlanOf(setting->options, q);
    std::vector<at::Tensor> parts;
    ForChunks(x, *setting, masked,
              [&](int64_t first, int64_t n, const Prepared& prepared) {
                parts.push_back(
                    Chunk({q.narrow(1, first, n), k, v, scale}, prepared));
              });
    context->save_for_backward({q, k, v, scale});
    context->saved_data["setting"] =
        c10::IValue::make_capsule(c10::make_intrusive<SettingHolder>(setting));
    if (parts.empty()) {
      return at::empty({q.size(0), 0, q.size(2), v.size(3)}, v.options());
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
    const MaskedPlan masked = MaskedPlanOf(setting.options, x.q);
    variable_list sums(4);
    const at::AutoGradMode enable(true);
    ForChunks(x, setting, masked,
              [&](int64_t first, int64_t n, const Prepared& prepared) {
                const at::Tensor out = Chunk(
                    {x.q.narrow(1, first, n), x.k, x.v, x.scale}, prepared);
                variable_list inputs = {x.q, x.k, x.v};
                if (x.scale.defined()) inputs.push_back(x.scale);
                const variable_list parts = torch::autograd::grad(
                    {out}, inputs, {gradients[0].narrow(1, first, n)},
                    c10::nullopt, false, true);
                for (size_t i = 0; i < parts.size(); ++i) {
                  if (!parts[i].defined()) continue;
                  // Values may be bfloat16, their sum should not.
                  const at::Tensor part = parts[i].to(x.q.scalar_type());
                  sums[i] = sums[i].defined() ? sums[i] + part : part;
                }
              });
    for (size_t i = 0; i < sums.size(); ++i) {
      if (!saved[i].defined()) continue;
      sums[i] = sums[i].defined() ? sums[i].to(saved[i].scalar_type())
                                  : at::zeros_like(saved[i]);
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
  TORCH_CHECK(chunk >= 0, "composite_attention: chunk must be at least 0");
  const int64_t scores = q.size(0) * q.size(1) * q.size(2) * k.size(1);
  if (chunk == 0 && !q.is_cpu() && scores > 0 && scores <= kKeptScores) {
    const Setting setting{options, q.size(1)};
    const Operands x{q, k, v, head_scale};
    at::Tensor out;
    ForChunks(x, setting, MaskedPlanOf(options, q),
              [&](int64_t, int64_t, const Prepared& prepared) {
                out = Chunk(x, prepared);
              });
    return out;
  }
  return CompositeFunction::apply(
      q, k, v, MaybeTensor(head_scale),
      std::make_shared<Setting>(Setting{options, chunk}));
}

}  // namespace ropewalk::lab::ops
