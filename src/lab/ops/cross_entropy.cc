#include "lab/ops/cross_entropy.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/cpu/gradients.h"
#include "lab/ops/optional_tensor.h"
#include "lab/ops/threads.h"

namespace ropewalk::lab::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

int64_t ChunkRows(int64_t chunk, const at::Tensor& hidden, int64_t V) {
  if (chunk > 0) return chunk;
  // 8 MiB of logits stay in a last-level cache, and are rows enough for the
  // matrix products to run at speed; a GPU wants fewer and larger ones.
  const int64_t bytes = int64_t{hidden.is_cuda() ? 1024 : 8} << 20;
  return std::max<int64_t>(16, bytes / (4 * std::max<int64_t>(1, V)));
}

void CheckShapes(const at::Tensor& hidden, const at::Tensor& output,
                 const at::Tensor& targets, const at::Tensor& weights) {
  TORCH_CHECK(hidden.dim() == 2 && output.dim() == 2 &&
                  hidden.size(1) == output.size(1),
              "linear_cross_entropy: hidden [R, E] and output [V, E] expected, "
              "got ",
              hidden.sizes(), " and ", output.sizes());
  TORCH_CHECK(targets.dim() == 1 && targets.size(0) == hidden.size(0) &&
                  targets.scalar_type() == at::kLong,
              "linear_cross_entropy: targets [R] of int64 expected");
  TORCH_CHECK(!weights.defined() || weights.sizes() == targets.sizes(),
              "linear_cross_entropy: weights [R] expected");
  if (targets.numel() > 0) {
    const auto least = targets.min().item<int64_t>();
    const auto most = targets.max().item<int64_t>();
    TORCH_CHECK(least >= 0 && most < output.size(0),
                "linear_cross_entropy: targets must lie in [0, ",
                output.size(0), "), got ", least < 0 ? least : most);
  }
}

// Loss and gradient of logits [n, V], which become their gradient.
double Rows(at::Tensor& logits, const at::Tensor& targets,
            const at::Tensor& weights, double normaliser) {
  const int64_t n = logits.size(0);
  const int64_t V = logits.size(1);
  if (logits.is_cpu() && logits.scalar_type() == at::kFloat) {
    float* data = logits.data_ptr<float>();
    const int64_t* target = targets.data_ptr<int64_t>();
    const float* weight =
        weights.defined() ? weights.data_ptr<float>() : nullptr;
    std::vector<double> losses(static_cast<size_t>(n), 0.0);
    ForRows(n, V, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        const double w = weight == nullptr ? 1.0 : weight[row];
        if (w == 0) {
          std::fill_n(data + row * V, V, 0.0f);
          continue;
        }
        losses[static_cast<size_t>(row)] =
            w * kernels::CrossEntropy(data + row * V, V, target[row],
                                      static_cast<float>(w / normaliser));
      }
    });
    double sum = 0;
    for (const double loss : losses) sum += loss;
    return sum;
  }
  const at::Tensor at_target = targets.unsqueeze(1);
  const at::Tensor logs = at::log_softmax(logits, 1);
  at::Tensor losses = -logs.gather(1, at_target).squeeze(1);
  at::Tensor gradient = logs.exp();
  gradient.scatter_add_(1, at_target,
                        at::full(at_target.sizes(), -1.0, gradient.options()));
  if (weights.defined()) {
    const at::Tensor zero = weights == 0;
    losses = (losses * weights).masked_fill(zero, 0);
    gradient =
        (gradient * weights.unsqueeze(1)).masked_fill(zero.unsqueeze(1), 0);
  }
  logits = gradient / normaliser;
  return losses.sum().item<double>();
}

class LinearCrossEntropyFunction
    : public torch::autograd::Function<LinearCrossEntropyFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& hidden,
                          const at::Tensor& output, const at::Tensor& targets,
                          const OptionalTensor& maybe_weights,
                          double normaliser, int64_t chunk, bool differentiate,
                          Precision precision) {
    const at::Tensor weights = TensorOr(maybe_weights);
    const int64_t R = hidden.size(0);
    const int64_t rows = ChunkRows(chunk, hidden, output.size(0));
    // The gradient is made now, while the logits exist, and only scaled later.
    at::Tensor dhidden, doutput;
    if (differentiate) {
      dhidden = at::empty_like(hidden);
      doutput = at::zeros_like(output);
    }
    double sum = 0;
    for (int64_t first = 0; first < R; first += rows) {
      const int64_t n = std::min(rows, R - first);
      const at::Tensor part = hidden.narrow(0, first, n);
      at::Tensor logits = at::empty({n, output.size(0)}, hidden.options());
      MultiplyInto(logits, {part}, {output, true}, false, precision);
      sum += Rows(logits, targets.narrow(0, first, n),
                  weights.defined() ? weights.narrow(0, first, n) : weights,
                  normaliser);
      if (!differentiate) continue;
      at::Tensor dpart = dhidden.narrow(0, first, n);
      MultiplyInto(dpart, {logits}, {output}, false, precision);
      MultiplyInto(doutput, {logits, true}, {part}, true, precision);
    }
    context->save_for_backward({dhidden, doutput});
    return at::full({}, sum / normaliser, hidden.options());
  }

  static variable_list backward(AutogradContext* context,
                                variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& g = gradients[0];
    // Usually the loss is where the gradient starts, and two passes are saved.
    const bool one = g.is_cpu() && g.item<double>() == 1;
    return {one ? saved[0] : saved[0] * g,
            one ? saved[1] : saved[1] * g,
            Variable(),
            Variable(),
            Variable(),
            Variable(),
            Variable(),
            Variable()};
  }
};

}  // namespace

at::Tensor LinearCrossEntropyReference(const at::Tensor& hidden,
                                       const at::Tensor& output,
                                       const at::Tensor& targets,
                                       const at::Tensor& weights,
                                       double normaliser) {
  const at::Tensor logs = at::log_softmax(at::mm(hidden, output.t()), 1);
  at::Tensor losses = -logs.gather(1, targets.unsqueeze(1)).squeeze(1);
  if (weights.defined()) losses = losses * weights;
  return losses.sum() / normaliser;
}

at::Tensor LinearCrossEntropy(const at::Tensor& hidden,
                              const at::Tensor& output,
                              const at::Tensor& targets,
                              const at::Tensor& weights, double normaliser,
                              int64_t chunk, Precision precision) {
  CheckShapes(hidden, output, targets, weights);
  TORCH_CHECK(normaliser > 0,
              "linear_cross_entropy: normaliser must be above 0");
  const at::Tensor kept = weights.defined()
                              ? weights.to(hidden.scalar_type()).contiguous()
                              : weights;
  const bool differentiate = at::GradMode::is_enabled() &&
                             (hidden.requires_grad() || output.requires_grad());
  return LinearCrossEntropyFunction::apply(
      hidden.contiguous(), output.contiguous(), targets.contiguous(),
      MaybeTensor(kept), normaliser, chunk, differentiate, precision);
}

RowScores ScoreRows(const at::Tensor& hidden, const at::Tensor& output,
                    const at::Tensor& targets, int64_t chunk) {
  CheckShapes(hidden, output, targets, {});
  const at::NoGradGuard no_grad;
  const int64_t R = hidden.size(0);
  const int64_t rows = ChunkRows(chunk, hidden, output.size(0));
  RowScores scores{at::empty({R}, hidden.options().dtype(at::kDouble)),
                   at::empty({R}, hidden.options().dtype(at::kBool))};
  for (int64_t first = 0; first < R; first += rows) {
    const int64_t n = std::min(rows, R - first);
    const at::Tensor logits = at::mm(hidden.narrow(0, first, n), output.t());
    const at::Tensor target = targets.narrow(0, first, n);
    const at::Tensor aim = logits.gather(1, target.unsqueeze(1)).squeeze(1);
    scores.losses.narrow(0, first, n)
        .copy_(at::logsumexp(logits, 1).to(at::kDouble) - aim.to(at::kDouble));
    scores.correct.narrow(0, first, n).copy_(logits.argmax(1) == target);
  }
  return scores;
}

}  // namespace ropewalk::lab::ops
