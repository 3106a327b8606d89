#include "lab/nn/model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "lab/ops/norm.h"
#include "position/definition.h"
#include "position/scheme.h"

namespace ropewalk::lab::nn {
namespace {

using attention::Direction;

bool IsEncoderDecoder(const ModelConfig& config) {
  return config.architecture != Architecture::kDecoder;
}

std::vector<Direction> DirectionsOf(const ModelConfig& config, int64_t layer) {
  switch (config.mask) {
    case Mask::kCausal:
    case Mask::kPrefix:
      return {Direction::kForward};
    case Mask::kBidirectional:
      return {Direction::kBoth};
    case Mask::kMixedLayers:
      return {layer % 2 == 0 ? Direction::kForward : Direction::kBackward};
    case Mask::kMixedHeads: {
      std::vector<Direction> heads(static_cast<size_t>(config.H),
                                   Direction::kBackward);
      std::fill_n(heads.begin(), config.H / 2, Direction::kForward);
      return heads;
    }
  }
  ROPEWALK_CHECK(false);
  return {};
}

// Distances between two texts say little, so by default there are none.
std::shared_ptr<const position::Plan> CrossPlan(
    const ModelConfig& config,
    const std::shared_ptr<const position::Plan>& own) {
  static const auto kNone = std::make_shared<const position::Plan>(
      position::Plan{.bands = {{}}, .tables = {{}}});
  if (!config.rotate_cross) return kNone;
  if (own->scale == position::ScoreScale{}) return own;
  position::Plan plan = *own;
  plan.scale = {};
  return std::make_shared<const position::Plan>(std::move(plan));
}

// Where every query sees all T tokens, the n of log n is T for all of them, as
// in post 8823, and not the place of the query. Batches there have no padding.
void ScaleByLength(View& view, int64_t H, const at::TensorOptions& options) {
  using Kind = position::ScoreScale::Kind;
  const Kind kind = view.attention.plan->scale.kind;
  if (kind != Kind::kLogN && kind != Kind::kClip) return;
  view.scale = at::full({H}, view.attention.plan->scale(view.T - 1), options);
  auto plain = std::make_shared<position::Plan>(*view.attention.plan);
  plain->scale = {};
  view.attention.plan = std::move(plain);
}

}  // namespace

Model::Plans Model::Share(const position::Stack& stack) {
  Plans plans;
  for (const position::Plan& plan : stack) {
    plans.push_back(std::make_shared<const position::Plan>(plan));
  }
  return plans;
}

Model::Model(const ModelConfig& config, uint64_t seed) : config_(config) {
  Validate(config_);
  ParameterMaker maker(config_, seed);
  embedding_ = maker.Embedding("embedding.weight");
  const bool learned = PositionsOf(config_).has_learned_logn;
  const bool shared =
      config_.architecture == Architecture::kEncoderDecoderShared;
  const bool cross = IsEncoderDecoder(config_);
  for (int64_t l = 0; l < config_.L; ++l) {
    const std::string name = "layers." + std::to_string(l) + ".";
    if (config_.block == Block::kGau) {
      layers_.push_back(MakeGauLayer(config_, name, learned, maker));
      continue;
    }
    if (cross && !shared) {
      encoder_.push_back(MakeLlamaLayer(config_, "encoder." + name, learned,
                                        false, false, maker));
    }
    layers_.push_back(
        MakeLlamaLayer(config_, name, learned, cross, shared, maker));
  }
  if (config_.block == Block::kLlama) {
    norm_ = maker.Gain("norm.weight", config_.E);
    if (cross) encoder_norm_ = maker.Gain("encoder.norm.weight", config_.E);
  }
  head_ = std::make_unique<OutputHead>(config_, embedding_, maker);
  parameters_ = maker.Take();
  training_length_ = config_.N;
  training_ = Share(TrainingStack(training_length_));
}

int64_t Model::ParameterCount() const {
  int64_t sum = 0;
  for (const Parameter& parameter : parameters_) sum += parameter.value.numel();
  return sum;
}

int64_t Model::BlockParameterCount() const {
  int64_t sum = 0;
  for (const Parameter& parameter : parameters_) {
    if (parameter.name.find("layers.") != std::string::npos) {
      sum += parameter.value.numel();
    }
  }
  return sum;
}

position::Stack Model::TrainingStack(int64_t length) const {
  position::ModelPositions positions = PositionsOf(config_);
  positions.own_spelling.clear();  // `rope` means rope in training
  const position::Scheme scheme = position::TrainingForm(
      position::ParseScheme(config_.position), std::max(length, config_.N));
  return position::BuildStack(position::Resolve(scheme, positions, length),
                              positions, length, config_.L);
}

at::Tensor Model::Embed(const at::Tensor& ids) const {
  return at::embedding(embedding_, ids.reshape({-1}));
}

View Model::SelfView(const Inputs& inputs, int64_t layer,
                     const Plans& plans) const {
  View view{.B = inputs.ids.size(0), .T = inputs.ids.size(1)};
  view.attention.plan = plans[static_cast<size_t>(layer)];
  view.attention.H = config_.H;
  view.attention.G = config_.G;
  view.attention.directions = DirectionsOf(config_, layer);
  view.attention.keys = inputs.lengths;
  if (config_.mask == Mask::kPrefix) {
    Require(inputs.prefix.defined(), "mask prefix needs a prefix for each row");
    view.attention.prefix = inputs.prefix;
  }
  if (config_.mask == Mask::kBidirectional) {
    ScaleByLength(view, config_.H, embedding_.detach().options());
  }
  if (probe_) {
    view.probe = [this, layer](const at::Tensor& q, const at::Tensor& k) {
      probe_(layer, q, k);
    };
  }
  return view;
}

Memory Model::Encode(const Inputs& inputs, const Plans& plans) const {
  Require(inputs.encoder_ids.defined(),
          "an encoder-decoder needs encoder_ids as well");
  View view{.B = inputs.encoder_ids.size(0), .T = inputs.encoder_ids.size(1)};
  view.attention.H = config_.H;
  view.attention.G = config_.G;
  view.attention.keys = inputs.encoder_lengths;
  view.attention.directions = {config_.causal_encoder ? Direction::kForward
                                                      : Direction::kBoth};
  at::Tensor x = Embed(inputs.encoder_ids);
  for (size_t l = 0; l < layers_.size(); ++l) {
    view.attention.plan = plans[l];
    const Layer& layer = encoder_.empty() ? *layers_[l] : *encoder_[l];
    x = layer.Forward(x, view, nullptr);
  }
  Memory memory{.states = ops::RmsNorm(x, encoder_norm_, config_.norm_epsilon),
                .view = view};
  memory.view.attention.directions = {Direction::kBoth};
  return memory;
}

at::Tensor Model::Hidden(const Inputs& inputs) const {
  const int64_t T = inputs.ids.size(1);
  const int64_t S =
      inputs.encoder_ids.defined() ? inputs.encoder_ids.size(1) : 0;
  if (std::max(T, S) <= training_length_) {
    static const position::Stack kNone;
    return Hidden(inputs, kNone);
  }
  return Hidden(inputs, TrainingStack(std::max(T, S)));
}

at::Tensor Model::Hidden(const Inputs& inputs,
                         const position::Stack& stack) const {
  Require(inputs.ids.defined() && inputs.ids.dim() == 2,
          "model inputs: ids must be [B, T]");
  const Plans plans = stack.empty() ? training_ : Share(stack);
  Require(plans.size() == layers_.size(),
          "model inputs: " + std::to_string(plans.size()) +
              " position plans for " + std::to_string(layers_.size()) +
              " layers");
  Memory memory;
  const bool cross = IsEncoderDecoder(config_);
  if (cross) memory = Encode(inputs, plans);
  at::Tensor x = Embed(inputs.ids);
  for (size_t l = 0; l < layers_.size(); ++l) {
    const View view = SelfView(inputs, static_cast<int64_t>(l), plans);
    if (cross) memory.view.attention.plan = CrossPlan(config_, plans[l]);
    x = layers_[l]->Forward(x, view, cross ? &memory : nullptr);
  }
  return norm_.defined() ? ops::RmsNorm(x, norm_, config_.norm_epsilon) : x;
}

at::Tensor Model::Loss(const at::Tensor& hidden, const at::Tensor& targets,
                       const at::Tensor& weights, double normaliser) const {
  return ops::LinearCrossEntropy(head_->Turn(hidden), head_->Matrix(), targets,
                                 weights, normaliser, /*chunk=*/0,
                                 config_.precision);
}

ops::RowScores Model::Score(const at::Tensor& hidden,
                            const at::Tensor& targets) const {
  const at::NoGradGuard no_grad;
  return ops::ScoreRows(head_->Turn(hidden), head_->Matrix(), targets);
}

at::Tensor Model::Logits(const at::Tensor& hidden) const {
  return at::mm(head_->Turn(hidden), head_->Matrix().t());
}

void Model::To(const std::string& device) {
  const at::NoGradGuard no_grad;
  for (Parameter& parameter : parameters_) {
    parameter.value.set_data(parameter.value.to(at::Device(device)));
  }
}

}  // namespace ropewalk::lab::nn
