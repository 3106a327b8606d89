#include "lab/ops/attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <string>
#include <utility>

#include "attention/definition/training_reference.h"
#include "attention/training/training.h"
#include "lab/ops/optional_tensor.h"
#include "lab/ops/threads.h"

namespace ropewalk::lab::ops {
namespace {

using attention::TrainingGradientsOf;
using attention::TrainingInputOf;
using attention::TrainingOutputOf;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Rotation tables and tiles, kept from call to call.
attention::TrainingScratch& Scratch() {
  thread_local attention::TrainingScratch scratch;
  return scratch;
}

void Forward(const TrainingInputOf<float>& input,
             const TrainingOutputOf<float>& output) {
  AtParallelFor threads;
  attention::TrainForward(input, output, threads, Scratch());
}

void Forward(const TrainingInputOf<double>& input,
             const TrainingOutputOf<double>& output) {
  attention::ReferenceTrainForward(input, output);
}

void Backward(const TrainingInputOf<float>& input,
              const TrainingGradientsOf<float>& gradients) {
  AtParallelFor threads;
  attention::TrainBackward(input, gradients, threads, Scratch());
}

void Backward(const TrainingInputOf<double>& input,
              const TrainingGradientsOf<double>& gradients) {
  attention::ReferenceTrainBackward(input, gradients);
}

// q, k and v as the kernels take them: rows of heads, strided by token. They
// may be parts of one tensor, so gradients get the same layout.
struct Sides {
  at::Tensor q;  // [B, T, H, D]
  at::Tensor k;  // [B, S, G, D]
  at::Tensor v;  // [B, S, G, Dv]
};

// `x` where its heads are dense and its sequences follow each other.
at::Tensor Strided(const at::Tensor& x) {
  const bool heads = x.stride(3) == 1 && x.stride(2) == x.size(3);
  const bool sequences =
      x.size(0) == 1 || x.stride(0) == x.size(1) * x.stride(1);
  return heads && sequences && x.stride(1) >= x.size(2) * x.size(3)
             ? x
             : x.contiguous();
}

const int64_t* Ints(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<int64_t>() : nullptr;
}

template <typename Real>
TrainingInputOf<Real> InputOf(const Sides& sides, const at::Tensor& scale,
                              const AttentionOptions& options) {
  TrainingInputOf<Real> input;
  input.plan = options.plan.get();
  input.shape = {.B = sides.q.size(0),
                 .T = sides.q.size(1),
                 .S = sides.k.size(1),
                 .H = sides.q.size(2),
                 .G = sides.k.size(2),
                 .D = sides.q.size(3),
                 .Dv = sides.v.size(3)};
  input.mask = {.heads = options.directions,
                .prefix = Ints(options.prefix),
                .keys = Ints(options.keys)};
  input.q = sides.q.data_ptr<Real>();
  input.k = sides.k.data_ptr<Real>();
  input.v = sides.v.data_ptr<Real>();
  input.q_stride = sides.q.stride(1);
  input.k_stride = sides.k.stride(1);
  input.v_stride = sides.v.stride(1);
  input.head_scale = scale.defined() ? scale.data_ptr<Real>() : nullptr;
  return input;
}

template <typename Real>
AttentionResult RunForward(const Sides& sides, const at::Tensor& scale,
                           const AttentionOptions& options) {
  const int64_t B = sides.q.size(0);
  const int64_t T = sides.q.size(1);
  const int64_t H = sides.q.size(2);
  AttentionResult result{
      at::empty({B, T, H, sides.v.size(3)}, sides.q.options()),
      at::empty({B, H, T}, sides.q.options())};
  Forward(InputOf<Real>(sides, scale, options),
          TrainingOutputOf<Real>{.out = result.out.data_ptr<Real>(),
                                 .lse = result.lse.data_ptr<Real>()});
  return result;
}

// `d` has the layout of `sides`. Returns the gradient of `scale`.
template <typename Real>
at::Tensor RunBackward(const Sides& sides, const at::Tensor& scale,
                       const AttentionOptions& options,
                       const AttentionResult& result, const at::Tensor& d_out,
                       const Sides& d) {
  at::Tensor d_scale;
  if (scale.defined()) d_scale = at::empty_like(scale);
  Backward(InputOf<Real>(sides, scale, options),
           TrainingGradientsOf<Real>{
               .out = result.out.data_ptr<Real>(),
               .lse = result.lse.data_ptr<Real>(),
               .d_out = d_out.data_ptr<Real>(),
               .d_q = d.q.data_ptr<Real>(),
               .d_k = d.k.data_ptr<Real>(),
               .d_v = d.v.data_ptr<Real>(),
               .d_head_scale =
                   scale.defined() ? d_scale.data_ptr<Real>() : nullptr});
  return d_scale;
}

AttentionResult Dispatch(const Sides& sides, const at::Tensor& scale,
                         const AttentionOptions& options) {
  return sides.q.scalar_type() == at::kFloat
             ? RunForward<float>(sides, scale, options)
             : RunForward<double>(sides, scale, options);
}

at::Tensor DispatchBackward(const Sides& sides, const at::Tensor& scale,
                            const AttentionOptions& options,
                            const AttentionResult& result,
                            const at::Tensor& d_out, const Sides& d) {
  return sides.q.scalar_type() == at::kFloat
             ? RunBackward<float>(sides, scale, options, result, d_out, d)
             : RunBackward<double>(sides, scale, options, result, d_out, d);
}

// What autograd keeps of the options: tensors apart from plain data.
struct Kept {
  std::shared_ptr<const position::Plan> plan;
  int64_t H = 1;
  int64_t G = 1;
  std::vector<attention::Direction> directions;
};

struct KeptHolder : torch::CustomClassHolder {
  explicit KeptHolder(Kept what) : kept(std::move(what)) {}
  Kept kept;
};

void Keep(AutogradContext* context, const AttentionOptions& options) {
  context->saved_data["options"] =
      c10::IValue::make_capsule(c10::make_intrusive<KeptHolder>(
          Kept{options.plan, options.H, options.G, options.directions}));
}

AttentionOptions Recall(AutogradContext* context, const at::Tensor& prefix,
                        const at::Tensor& keys) {
  const auto capsule = context->saved_data["options"].toCapsule();
  const Kept& kept = static_cast<const KeptHolder&>(*capsule).kept;
  AttentionOptions options;
  options.plan = kept.plan;
  options.H = kept.H;
  options.G = kept.G;
  options.directions = kept.directions;
  options.prefix = prefix;
  options.keys = keys;
  return options;
}

// Gradients are strided as their tensors are; dense ones come from dense.
AttentionGradients BackwardOf(const at::Tensor& d_out, const Sides& sides,
                              const at::Tensor& scale,
                              const AttentionResult& result,
                              const AttentionOptions& options) {
  const Sides dense{sides.q.contiguous(), sides.k.contiguous(),
                    sides.v.contiguous()};
  const Sides d{at::empty(dense.q.sizes(), dense.q.options()),
                at::empty(dense.k.sizes(), dense.k.options()),
                at::empty(dense.v.sizes(), dense.v.options())};
  at::Tensor d_scale =
      DispatchBackward(dense, scale, options, result, d_out.contiguous(), d);
  return {d.q, d.k, d.v, std::move(d_scale)};
}

class AttentionFunction : public torch::autograd::Function<AttentionFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& q,
                          const at::Tensor& k, const at::Tensor& v,
                          const OptionalTensor& maybe_scale,
                          const AttentionOptions& options) {
    const at::Tensor scale = TensorOr(maybe_scale);
    const Sides sides{Strided(q), Strided(k), Strided(v)};
    const AttentionResult result = Dispatch(sides, scale, options);
    Keep(context, options);
    context->save_for_backward({sides.q, sides.k, sides.v, scale,
                                options.prefix, options.keys, result.out,
                                result.lse});
    return result.out;
  }

  static variable_list backward(AutogradContext* context,
                                variable_list gradients) {
    const variable_list s = context->get_saved_variables();
    const AttentionGradients d =
        BackwardOf(gradients[0], {s[0], s[1], s[2]}, s[3], {s[6], s[7]},
                   Recall(context, s[4], s[5]));
    return {d.q, d.k, d.v, d.head_scale, Variable()};
  }
};

// Heads [first, first + count) of a packed projection [B, T, heads D].
at::Tensor Heads(const at::Tensor& packed, int64_t D, int64_t first,
                 int64_t count) {
  return packed.view({packed.size(0), packed.size(1), -1, D})
      .narrow(2, first, count);
}

Sides Unpack(const at::Tensor& packed, int64_t H, int64_t G) {
  const int64_t D = packed.size(2) / (H + 2 * G);
  return {Heads(packed, D, 0, H), Heads(packed, D, H, G),
          Heads(packed, D, H + G, G)};
}

class PackedFunction : public torch::autograd::Function<PackedFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& qkv,
                          const OptionalTensor& maybe_scale,
                          const AttentionOptions& options) {
    const at::Tensor scale = TensorOr(maybe_scale);
    const at::Tensor packed = qkv.contiguous();
    const AttentionResult result =
        Dispatch(Unpack(packed, options.H, options.G), scale, options);
    Keep(context, options);
    context->save_for_backward(
        {packed, scale, options.prefix, options.keys, result.out, result.lse});
    return result.out;
  }

  static variable_list backward(AutogradContext* context,
                                variable_list gradients) {
    const variable_list s = context->get_saved_variables();
    const AttentionOptions options = Recall(context, s[2], s[3]);
    at::Tensor d_qkv = at::empty_like(s[0]);
    const at::Tensor d_scale = DispatchBackward(
        Unpack(s[0], options.H, options.G), s[1], options, {s[4], s[5]},
        gradients[0].contiguous(), Unpack(d_qkv, options.H, options.G));
    return {d_qkv, d_scale, Variable()};
  }
};

bool HasKernel(const at::Tensor& q) {
  return q.is_cpu() &&
         (q.scalar_type() == at::kFloat || q.scalar_type() == at::kDouble);
}

void CheckKernel(const at::Tensor& q) {
  TORCH_CHECK(HasKernel(q),
              "banded_attention: tensors of float32 or float64 on the CPU "
              "expected, got ",
              q.scalar_type(), " on ", q.device());
}

at::Tensor DenseScale(const at::Tensor& head_scale) {
  return head_scale.defined() ? head_scale.contiguous() : head_scale;
}

AttentionOptions Dense(const AttentionOptions& options) {
  AttentionOptions dense = options;
  if (dense.prefix.defined()) dense.prefix = dense.prefix.contiguous();
  if (dense.keys.defined()) dense.keys = dense.keys.contiguous();
  return dense;
}

}  // namespace

void CheckAttention(const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v, const at::Tensor& scale,
                    const AttentionOptions& options) {
  TORCH_CHECK(options.plan != nullptr, "banded_attention: no plan");
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4 && v.dim() == 4,
              "banded_attention: q [B, T, H, D], k [B, S, G, D] and v "
              "[B, S, G, Dv] expected, got ",
              q.sizes(), ", ", k.sizes(), " and ", v.sizes());
  TORCH_CHECK(k.size(0) == q.size(0) && v.size(0) == q.size(0) &&
                  v.size(1) == k.size(1) && v.size(2) == k.size(2) &&
                  k.size(3) == q.size(3),
              "banded_attention: q ", q.sizes(), ", k ", k.sizes(), " and v ",
              v.sizes(), " do not fit each other");
  TORCH_CHECK(k.size(2) > 0 && q.size(2) % k.size(2) == 0,
              "banded_attention: query heads must be a multiple of key heads, "
              "got ",
              q.size(2), " and ", k.size(2));
  TORCH_CHECK(q.scalar_type() == k.scalar_type() &&
                  (q.scalar_type() == v.scalar_type() ||
                   (v.is_cuda() && v.scalar_type() == at::kBFloat16)) &&
                  (!scale.defined() || scale.scalar_type() == q.scalar_type()),
              "banded_attention: all tensors must have one type, but for "
              "values of bfloat16 on CUDA");
  TORCH_CHECK(
      !scale.defined() || (scale.dim() == 1 && scale.size(0) == q.size(2)),
      "banded_attention: head_scale [", q.size(2), "] expected");
  const auto directions = static_cast<int64_t>(options.directions.size());
  TORCH_CHECK(directions == 1 || directions == q.size(2),
              "banded_attention: directions are one for all heads or one a "
              "head, got ",
              directions, " for ", q.size(2));
  for (const at::Tensor* counts : {&options.prefix, &options.keys}) {
    TORCH_CHECK(!counts->defined() ||
                    (counts->scalar_type() == at::kLong && counts->dim() == 1 &&
                     counts->size(0) == q.size(0)),
                "banded_attention: prefix and keys must be [", q.size(0),
                "] of int64");
  }
}

at::Tensor Attention(const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v, const at::Tensor& head_scale,
                     const AttentionOptions& options) {
  CheckAttention(q, k, v, head_scale, options);
  if (!HasKernel(q)) return CompositeAttention(q, k, v, head_scale, options);
  return AttentionFunction::apply(q, k, v, MaybeTensor(DenseScale(head_scale)),
                                  Dense(options));
}

AttentionResult AttentionForward(const at::Tensor& q, const at::Tensor& k,
                                 const at::Tensor& v,
                                 const at::Tensor& head_scale,
                                 const AttentionOptions& options) {
  CheckAttention(q, k, v, head_scale, options);
  CheckKernel(q);
  return Dispatch({Strided(q), Strided(k), Strided(v)}, DenseScale(head_scale),
                  Dense(options));
}

AttentionGradients AttentionBackward(const at::Tensor& d_out,
                                     const at::Tensor& q, const at::Tensor& k,
                                     const at::Tensor& v,
                                     const at::Tensor& head_scale,
                                     const AttentionResult& result,
                                     const AttentionOptions& options) {
  CheckAttention(q, k, v, head_scale, options);
  CheckKernel(q);
  TORCH_CHECK(d_out.sizes() == result.out.sizes() &&
                  d_out.scalar_type() == q.scalar_type(),
              "banded_attention: a gradient of ", d_out.sizes(),
              " does not fit a result of ", result.out.sizes());
  return BackwardOf(d_out, {q, k, v}, head_scale,
                    {result.out.contiguous(), result.lse.contiguous()},
                    Dense(options));
}

at::Tensor PackedAttention(const at::Tensor& qkv, const at::Tensor& head_scale,
                           const AttentionOptions& options) {
  const int64_t heads = options.H + 2 * options.G;
  TORCH_CHECK(qkv.dim() == 3 && heads > 0 && qkv.size(2) % heads == 0,
              "packed_attention: qkv [B, T, (H + 2 G) D] expected, got ",
              qkv.sizes(), " for ", heads, " heads");
  const Sides sides = Unpack(qkv.contiguous(), options.H, options.G);
  CheckAttention(sides.q, sides.k, sides.v, head_scale, options);
  if (!HasKernel(qkv)) {
    return CompositeAttention(sides.q, sides.k, sides.v, head_scale, options);
  }
  return PackedFunction::apply(qkv, MaybeTensor(DenseScale(head_scale)),
                               Dense(options));
}

}  // namespace ropewalk::lab::ops
