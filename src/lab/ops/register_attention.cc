// torch.ops.ropewalk.attention: attention under any plan.
//
// The operator is three for PyTorch. `attention` is what people call;
// `attention_forward` also gives the sums of the rows, and `attention_backward`
// the gradients. The last two have no gradient of their own, so that
// torch.compile and torch.export see each as one node. Their shapes on fake
// tensors are told in Python (python/ropewalk/torch_ops).

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "lab/ops/attention.h"
#include "lab/ops/directions.h"
#include "lab/ops/optional_tensor.h"
#include "position/plan_text.h"

namespace ropewalk::lab::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

using Scale = c10::optional<double>;
using Pair = std::tuple<at::Tensor, at::Tensor>;
using Four = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

// A model asks for the plans of its layers over and over.
std::shared_ptr<const position::Plan> CachedPlan(const std::string& text) {
  constexpr size_t kMost = 1024;
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const position::Plan>> plans;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto at = plans.find(text);
  if (at != plans.end()) return at->second;
  if (plans.size() >= kMost) plans.clear();
  return plans
      .emplace(text, std::make_shared<const position::Plan>(
                         position::ParsePlanText(text)))
      .first->second;
}

// Python is told of errors by PyTorch's exceptions.
template <typename Body>
auto Told(const Body& body) {
  try {
    return body();
  } catch (const c10::Error&) {
    throw;
  } catch (const std::exception& error) {
    TORCH_CHECK(false, "attention: ", error.what());
  }
}

AttentionOptions OptionsOf(const at::Tensor& q, const at::Tensor& k,
                           const std::string& plan, const std::string& mask,
                           const OptionalTensor& prefix,
                           const OptionalTensor& keys) {
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4,
              "attention: q [B, T, H, D] and k [B, S, G, D] expected, got ",
              q.sizes(), " and ", k.sizes());
  TORCH_CHECK((mask == "prefix") == prefix.has_value(),
              "attention: mask prefix, and no other, takes a prefix; got mask ",
              mask, prefix.has_value() ? " with one" : " without one");
  AttentionOptions options;
  options.plan = CachedPlan(plan);
  options.H = q.size(2);
  options.G = k.size(2);
  options.directions = DirectionsOf(mask, options.H);
  options.prefix = TensorOr(prefix);
  options.keys = TensorOr(keys);
  return options;
}

// Scores are multiplied by `scale` instead of 1/sqrt(D), through the factors of
// heads that the kernels have.
double FactorOf(const at::Tensor& q, const Scale& scale) {
  return scale.has_value() ? *scale * std::sqrt(static_cast<double>(q.size(3)))
                           : 1;
}

at::Tensor HeadScale(const at::Tensor& q, const AttentionOptions& options,
                     const OptionalTensor& head_scale, const Scale& scale) {
  TORCH_CHECK(
      options.plan->scale.kind != position::ScoreScale::Kind::kLearned ||
          head_scale.has_value(),
      "attention: +logn-learned needs head_scale [H]");
  const double factor = FactorOf(q, scale);
  if (factor == 1) return TensorOr(head_scale);
  return head_scale.has_value() ? *head_scale * factor
                                : at::full({q.size(2)}, factor, q.options());
}

Pair ForwardOnCpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  std::string plan, std::string mask,
                  const OptionalTensor& prefix, const OptionalTensor& keys,
                  const OptionalTensor& head_scale, Scale scale) {
  return Told([&]() -> Pair {
    const AttentionOptions options = OptionsOf(q, k, plan, mask, prefix, keys);
    AttentionResult result = AttentionForward(
        q, k, v, HeadScale(q, options, head_scale, scale), options);
    return {std::move(result.out), std::move(result.lse)};
  });
}

Four BackwardOnCpu(const at::Tensor& d_out, const at::Tensor& q,
                   const at::Tensor& k, const at::Tensor& v,
                   const at::Tensor& out, const at::Tensor& lse,
                   std::string plan, std::string mask,
                   const OptionalTensor& prefix, const OptionalTensor& keys,
                   const OptionalTensor& head_scale, Scale scale) {
  return Told([&]() -> Four {
    const AttentionOptions options = OptionsOf(q, k, plan, mask, prefix, keys);
    AttentionGradients d = AttentionBackward(
        d_out, q, k, v, HeadScale(q, options, head_scale, scale), {out, lse},
        options);
    // An operator's results are all tensors.
    at::Tensor d_scale = head_scale.has_value()
                             ? d.head_scale * FactorOf(q, scale)
                             : at::empty({0}, q.options());
    return {std::move(d.q), std::move(d.k), std::move(d.v), std::move(d_scale)};
  });
}

// Other devices: differentiable operations of PyTorch.
at::Tensor Composite(const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v, std::string plan, std::string mask,
                     const OptionalTensor& prefix, const OptionalTensor& keys,
                     const OptionalTensor& head_scale, Scale scale) {
  return Told([&] {
    const AttentionOptions options = OptionsOf(q, k, plan, mask, prefix, keys);
    return CompositeAttention(q, k, v, HeadScale(q, options, head_scale, scale),
                              options);
  });
}

Pair CallForward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                 const std::string& plan, const std::string& mask,
                 const OptionalTensor& prefix, const OptionalTensor& keys,
                 const OptionalTensor& head_scale, Scale scale) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("ropewalk::attention_forward", "")
          .typed<decltype(ForwardOnCpu)>();
  return op.call(q, k, v, plan, mask, prefix, keys, head_scale, scale);
}

at::Tensor OnCpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                 std::string plan, std::string mask,
                 const OptionalTensor& prefix, const OptionalTensor& keys,
                 const OptionalTensor& head_scale, Scale scale) {
  return std::get<0>(
      CallForward(q, k, v, plan, mask, prefix, keys, head_scale, scale));
}

class OperatorFunction : public torch::autograd::Function<OperatorFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& q,
                          const at::Tensor& k, const at::Tensor& v,
                          std::string plan, std::string mask,
                          const OptionalTensor& prefix,
                          const OptionalTensor& keys,
                          const OptionalTensor& head_scale, Scale scale) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto [out, lse] =
        CallForward(q, k, v, plan, mask, prefix, keys, head_scale, scale);
    context->saved_data["plan"] = plan;
    context->saved_data["mask"] = mask;
    context->saved_data["scale"] = scale;
    context->save_for_backward({q, k, v, out, lse, TensorOr(prefix),
                                TensorOr(keys), TensorOr(head_scale)});
    return out;
  }

  static variable_list backward(AutogradContext* context,
                                variable_list gradients) {
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("ropewalk::attention_backward", "")
            .typed<decltype(BackwardOnCpu)>();
    const variable_list s = context->get_saved_variables();
    // PyTorch 1.13 passes autograd by for the CPU only, not for Meta.
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto [d_q, d_k, d_v, d_scale] =
        op.call(gradients[0], s[0], s[1], s[2], s[3], s[4],
                context->saved_data["plan"].toStringRef(),
                context->saved_data["mask"].toStringRef(), MaybeTensor(s[5]),
                MaybeTensor(s[6]), MaybeTensor(s[7]),
                context->saved_data["scale"].toOptional<double>());
    const Variable none;
    return {d_q,  d_k,  d_v,  none,
            none, none, none, s[7].defined() ? d_scale : none,
            none};
  }
};

at::Tensor WithGradient(const at::Tensor& q, const at::Tensor& k,
                        const at::Tensor& v, std::string plan, std::string mask,
                        const OptionalTensor& prefix,
                        const OptionalTensor& keys,
                        const OptionalTensor& head_scale, Scale scale) {
  if (!q.device().is_cpu() && !q.device().is_meta()) {
    return Composite(q, k, v, std::move(plan), std::move(mask), prefix, keys,
                     head_scale, scale);
  }
  return OperatorFunction::apply(q, k, v, std::move(plan), std::move(mask),
                                 prefix, keys, head_scale, scale);
}

TORCH_LIBRARY_FRAGMENT(ropewalk, library) {
  library.def(
      "attention(Tensor q, Tensor k, Tensor v, str plan, str mask='causal', "
      "Tensor? prefix=None, Tensor? keys=None, Tensor? head_scale=None, "
      "float? scale=None) -> Tensor");
  library.def(
      "attention_forward(Tensor q, Tensor k, Tensor v, str plan, str mask, "
      "Tensor? prefix, Tensor? keys, Tensor? head_scale, float? scale) "
      "-> (Tensor out, Tensor lse)");
  library.def(
      "attention_backward(Tensor d_out, Tensor q, Tensor k, Tensor v, "
      "Tensor out, Tensor lse, str plan, str mask, Tensor? prefix, "
      "Tensor? keys, Tensor? head_scale, float? scale) "
      "-> (Tensor d_q, Tensor d_k, Tensor d_v, Tensor d_head_scale)");
}

TORCH_LIBRARY_IMPL(ropewalk, CPU, library) {
  library.impl("attention", OnCpu);
  library.impl("attention_forward", ForwardOnCpu);
  library.impl("attention_backward", BackwardOnCpu);
}

TORCH_LIBRARY_IMPL(ropewalk, CUDA, library) {
  library.impl("attention", Composite);
}

TORCH_LIBRARY_IMPL(ropewalk, Autograd, library) {
  library.impl("attention", WithGradient);
}

}  // namespace
}  // namespace ropewalk::lab::ops
