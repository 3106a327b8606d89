// The operators as a library that PyTorch loads:
//
//   torch.ops.load_library("libropewalk_torch.so")
//   y = torch.ops.ropewalk.banded_attention(
//       q, k, v, "rerope:window=256+logn", layer, layers, 512, 10000.0,
//       "causal")
//   loss = torch.ops.ropewalk.linear_cross_entropy(
//       hidden, embedding, targets, None, targets.numel())
//
// register_attention.cc has the attention that takes a plan.
// All of them are differentiable, once. Python's torch must be of the release
// that this library was built with.

#include <ATen/ATen.h>
#include <torch/library.h>

#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "lab/ops/attention.h"
#include "lab/ops/cross_entropy.h"
#include "lab/ops/directions.h"
#include "lab/ops/gate.h"
#include "lab/ops/norm.h"
#include "lab/ops/optional_tensor.h"
#include "position/scheme.h"

namespace ropewalk::lab::ops {
namespace {

using attention::Direction;

struct PlanKey {
  std::string position;
  int64_t layer = 0;
  int64_t layers = 0;
  int64_t train_length = 0;
  double base = 0;
  int64_t D = 0;
  int64_t length = 0;
  auto operator<=>(const PlanKey&) const = default;
};

std::shared_ptr<const position::Plan> MakePlan(const PlanKey& key) {
  const position::ModelPositions model{.head_width = key.D,
                                       .rotary_width = key.D,
                                       .base = key.base,
                                       .train_length = key.train_length,
                                       .has_learned_logn = true};
  position::Validate(model);
  const position::Stack stack = position::BuildStack(
      position::Resolve(position::ParseScheme(key.position), model, key.length),
      model, key.length, key.layers);
  return std::make_shared<const position::Plan>(
      stack[static_cast<size_t>(key.layer)]);
}

// A training loop asks for the same few plans over and over. Decoding asks for
// one a length, hence the bound.
std::shared_ptr<const position::Plan> CachedPlan(const PlanKey& key) {
  constexpr size_t kMost = 1024;
  static std::mutex mutex;
  static std::map<PlanKey, std::shared_ptr<const position::Plan>> plans;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto at = plans.find(key);
  if (at != plans.end()) return at->second;
  if (plans.size() >= kMost) plans.clear();
  return plans.emplace(key, MakePlan(key)).first->second;
}

// The masks of the lab's models.
std::vector<Direction> DirectionsOf(const std::string& mask, int64_t layer,
                                    int64_t H) {
  if (mask == "mixed-layers") {
    return {layer % 2 == 0 ? Direction::kForward : Direction::kBackward};
  }
  return ops::DirectionsOf(mask, H);
}

at::Tensor BandedAttention(const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v, std::string position,
                           int64_t layer, int64_t layers, int64_t train_length,
                           double base, std::string mask,
                           const OptionalTensor& prefix,
                           const OptionalTensor& keys,
                           const OptionalTensor& head_scale) {
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4,
              "banded_attention: q [B, T, H, D] and k [B, S, G, D] expected, "
              "got ",
              q.sizes(), " and ", k.sizes());
  TORCH_CHECK(layer >= 0 && layer < layers,
              "banded_attention: layer must lie in [0, layers), got ", layer,
              " of ", layers);
  TORCH_CHECK((mask == "prefix") == prefix.has_value(),
              "banded_attention: mask prefix, and no other, takes a prefix; "
              "got mask ",
              mask, prefix.has_value() ? " with one" : " without one");
  AttentionOptions options;
  options.H = q.size(2);
  options.G = k.size(2);
  options.directions = DirectionsOf(mask, layer, options.H);
  options.prefix = TensorOr(prefix);
  options.keys = TensorOr(keys);
  // The libraries below throw the standard's exceptions; Python is told by
  // PyTorch's.
  try {
    options.plan = CachedPlan({.position = std::move(position),
                               .layer = layer,
                               .layers = layers,
                               .train_length = train_length,
                               .base = base,
                               .D = q.size(3),
                               .length = std::max(q.size(1), k.size(1))});
    TORCH_CHECK(
        options.plan->scale.kind != position::ScoreScale::Kind::kLearned ||
            head_scale.has_value(),
        "banded_attention: +logn-learned needs head_scale [H]");
    return Attention(q, k, v, TensorOr(head_scale), options);
  } catch (const c10::Error&) {
    throw;
  } catch (const std::exception& error) {
    TORCH_CHECK(false, "banded_attention: ", error.what());
  }
}

at::Tensor Norm(const at::Tensor& x, const OptionalTensor& weight,
                double epsilon) {
  return RmsNorm(x, TensorOr(weight), epsilon);
}

at::Tensor CrossEntropy(const at::Tensor& hidden, const at::Tensor& output,
                        const at::Tensor& targets,
                        const OptionalTensor& weights, double normaliser,
                        int64_t chunk) {
  return LinearCrossEntropy(hidden, output, targets, TensorOr(weights),
                            normaliser, chunk);
}

// Functions without a dispatch key take every device and differentiate
// themselves.
TORCH_LIBRARY(ropewalk, library) {
  library.def(
      "banded_attention(Tensor q, Tensor k, Tensor v, str position, int layer, "
      "int layers, int train_length, float base, str mask, "
      "Tensor? prefix=None, Tensor? keys=None, Tensor? head_scale=None) "
      "-> Tensor",
      BandedAttention);
  library.def("rms_norm(Tensor x, Tensor? weight, float epsilon) -> Tensor",
              Norm);
  library.def("swiglu(Tensor x) -> Tensor", SwiGlu);
  library.def(
      "linear_cross_entropy(Tensor hidden, Tensor output, Tensor targets, "
      "Tensor? weights, float normaliser, int chunk=0) -> Tensor",
      CrossEntropy);
}

}  // namespace
}  // namespace ropewalk::lab::ops
