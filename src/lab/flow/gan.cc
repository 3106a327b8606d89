#include "lab/flow/gan.h"

#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "lab/flow/draws.h"
#include "lab/flow/finite.h"
#include "lab/flow/gradient.h"
#include "lab/flow/tensor_file.h"

namespace ropewalk::lab::flow {
namespace {

at::Tensor LogitsOf(const Network& D, const at::Tensor& x) {
  const at::Tensor logits = D.Forward(x);
  Require(logits.numel() == x.size(0),
          "GAN: a discriminator gives one logit a sample");
  return logits.view({x.size(0)});
}

// As a factor of x [N, ...].
at::Tensor PerSample(const at::Tensor& values, const at::Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  return values.view(shape);
}

at::Tensor SquaredLengths(const at::Tensor& x) {
  return x.flatten(1).square().sum(1);
}

constexpr const char* kGenerator = "generator/";
constexpr const char* kDiscriminator = "discriminator/";
constexpr const char* kAverage = "average/";
constexpr const char* kKept = "kept/";  // before the names of an older state

void AddNetwork(const std::string& prefix, const Network& network,
                const optim::Optimizer& adam, TensorFile* to) {
  for (const optim::Parameter& one : network.parameters()) {
    to->tensors.emplace_back(prefix + one.name, one.value);
  }
  const optim::OptimizerState state = adam.ExportState();
  for (const auto& [name, tensor] : state.tensors) {
    to->tensors.emplace_back(prefix + "adam/" + name, tensor);
  }
  for (const auto& [name, count] : state.counts) {
    to->texts[prefix + "adam/" + name] = std::to_string(count);
  }
}

// Throws FormatError where a tensor of the file is not finite.
const at::Tensor& FiniteOf(const TensorFile& file, const std::string& name,
                           const std::string& path) {
  const at::Tensor& tensor = file.Get(name, path);
  if (!IsFinite(tensor)) {
    throw FormatError(path, 0,
                      "'" + name +
                          "' holds NaN or infinity: a run that had "
                          "diverged; remove the file to begin anew");
  }
  return tensor;
}

// What the file says of one network; nothing is changed.
optim::OptimizerState StateOf(const std::string& prefix, const Network& network,
                              const optim::Optimizer& adam,
                              const TensorFile& file, const std::string& path) {
  for (const optim::Parameter& one : network.parameters()) {
    if (FiniteOf(file, prefix + one.name, path).sizes() != one.value.sizes()) {
      throw FormatError(
          path, 0,
          "'" + prefix + one.name + "' has another shape than this run's");
    }
  }
  const std::string head = prefix + "adam/";
  optim::OptimizerState state;
  const optim::OptimizerState expected = adam.ExportState();
  for (const auto& [name, tensor] : expected.tensors) {
    state.tensors.emplace_back(name, FiniteOf(file, head + name, path));
  }
  for (const auto& [name, count] : expected.counts) {
    const auto text = file.texts.find(head + name);
    const auto value = text == file.texts.end() ? std::optional<int64_t>()
                                                : ParseInt(text->second);
    if (!value) throw FormatError(path, 0, "has no count '" + name + "'");
    state.counts.emplace_back(name, *value);
  }
  try {
    adam.CheckState(state, path);
  } catch (const optim::StateError& error) {
    throw FormatError(path, 0, error.what());
  }
  return state;
}

// A network with other values in its parameters, for as long as this lives.
class Swapped {
 public:
  Swapped(const Network& network, const std::vector<at::Tensor>& values)
      : network_(network) {
    for (size_t i = 0; i < values.size(); ++i) {
      at::Tensor value = network_.parameters()[i].value;
      own_.push_back(value.detach().clone());
      value.copy_(values[i]);
    }
  }
  ~Swapped() {
    for (size_t i = 0; i < own_.size(); ++i) {
      at::Tensor value = network_.parameters()[i].value;
      value.copy_(own_[i]);
    }
  }
  Swapped(const Swapped&) = delete;
  Swapped& operator=(const Swapped&) = delete;

 private:
  const Network& network_;
  std::vector<at::Tensor> own_;
};

void CopyParameters(const std::string& prefix, const Network& network,
                    const TensorFile& file, const std::string& path) {
  const torch::autograd::AutoGradMode off(false);
  for (const optim::Parameter& one : network.parameters()) {
    at::Tensor value = one.value;
    value.copy_(file.Get(prefix + one.name, path));
  }
}

}  // namespace

at::Tensor LogitLoss(const at::Tensor& real, const at::Tensor& fake) {
  return at::softplus(-real).mean() + at::softplus(fake).mean();
}

at::Tensor ReflowLoss(const Network& D, const at::Tensor& real,
                      const at::Tensor& fake, const at::Tensor& u) {
  const at::Tensor between = at::lerp(fake, real, PerSample(u, real));
  const at::Tensor gradient = SumGradient(
      [&](const at::Tensor& x) { return D.Forward(x); }, between.detach(),
      /*keep_graph=*/true);
  return 0.5 * SquaredLengths(gradient).mean() - LogitsOf(D, real).mean() +
         LogitsOf(D, fake).mean();
}

at::Tensor DirectLoss(const Loss& loss, const Network& D, const at::Tensor& x) {
  return -loss.H(LogitsOf(D, x)).mean();
}

Reading Read(const Loss& loss, const Network& D, const at::Tensor& x) {
  at::Tensor logits;
  const at::Tensor gradient = SumGradient(
      [&](const at::Tensor& at) {
        const at::Tensor out = LogitsOf(D, at);
        logits = out.detach();
        return out;
      },
      x.detach());
  return {logits, PerSample(loss.Slope(logits), x) * gradient};
}

at::Tensor RegressionTargets(const Loss& loss, const Network& D,
                             const at::Tensor& x, double epsilon) {
  Require(epsilon > 0 && std::isfinite(epsilon),
          "GAN: epsilon is above 0 and finite");
  return x.detach() + epsilon * Read(loss, D, x).velocity;
}

at::Tensor RegressionLoss(const at::Tensor& g, const at::Tensor& targets) {
  return SquaredLengths(g - targets).mean();
}

std::unique_ptr<optim::Optimizer> MakeAdam(const Network& network,
                                           const AdamOptions& options) {
  return std::make_unique<optim::AdamW>(
      network.parameters(),
      optim::AdamWOptions{
          .common = {.learning_rate = options.rate, .weight_decay = 0},
          .beta1 = options.beta1,
          .beta2 = options.beta2});
}

struct Gan::Kept {
  TensorFile state;
  int64_t steps = 0;
};

Gan::Gan(std::unique_ptr<Network> generator,
         std::unique_ptr<Network> discriminator, Sampler sample,
         std::vector<int64_t> noise, GanOptions options)
    : generator_(std::move(generator)),
      discriminator_(std::move(discriminator)),
      sample_(std::move(sample)),
      noise_(std::move(noise)),
      options_(std::move(options)),
      loss_(Loss::Parse(options_.loss)) {
  Require(options_.batch >= 2, "GAN: a batch is two or more samples");
  Require(options_.discriminator_steps >= 1 && options_.inner_steps >= 1 &&
              options_.keep_every >= 1,
          "GAN: steps are above 0");
  Require(options_.regression || options_.inner_steps == 1,
          "GAN: several inner steps are for the regression form; the direct "
          "loss is its gradient at the first alone");
  Require(options_.epsilon > 0 && std::isfinite(options_.epsilon),
          "GAN: epsilon is above 0 and finite");
  Require(options_.largest_logit > 0, "GAN: the largest logit is above 0");
  for (const AdamOptions* adam :
       {&options_.generator, &options_.discriminator}) {
    Require(adam->rate > 0 && std::isfinite(adam->rate),
            "GAN: rates are above 0");
  }
  Require(
      (options_.decay_from == 0 && options_.decay_to == 0) ||
          (options_.decay_from >= 0 && options_.decay_from < options_.decay_to),
      "GAN: rates fall from one step to a later one");
  Require(options_.average >= 0 && options_.average < 1,
          "GAN: the decay of an average lies in [0, 1)");
  Require(generator_ != nullptr && discriminator_ != nullptr && sample_,
          "GAN: wants two networks and a target");
  Require(std::ranges::all_of(noise_, [](int64_t n) { return n > 0; }),
          "GAN: sizes of noise are above 0");
  const auto bad = NotFinite();
  Require(!bad, "GAN: begins with " + bad.value_or(""));
  generator_adam_ = MakeAdam(*generator_, options_.generator);
  discriminator_adam_ = MakeAdam(*discriminator_, options_.discriminator);
  like_ = generator_->parameters().front().value.options().requires_grad(false);
  if (options_.average > 0) {
    for (const optim::Parameter& one : generator_->parameters()) {
      average_.push_back(one.value.detach().clone());
    }
  }
  (void)LogitsOf(*discriminator_, Generate(2, 0));  // or they do not fit
}

at::Tensor Gan::Noise(int64_t n, at::Generator& draws) const {
  std::vector<int64_t> shape = noise_;
  shape.insert(shape.begin(), n);
  return Normal(shape, draws, like_);
}

at::Tensor Gan::Generate(int64_t n, uint64_t seed, Weights weights) const {
  Require(n >= 1, "GAN: a sample or more");
  const torch::autograd::AutoGradMode off(false);
  at::Generator draws = Draws(seed, Purpose::kEvaluate);
  const at::Tensor z = Noise(n, draws);
  if (weights == Weights::kLast || average_.empty()) {
    return generator_->Forward(z);
  }
  const Swapped averaged(*generator_, average_);
  return generator_->Forward(z);
}

// The schedule: 1, and from `decay_from` on a line to 0.
optim::StepInput Gan::Pace() const {
  if (options_.decay_to == 0 || steps_ < options_.decay_from) return {};
  const auto left = static_cast<double>(options_.decay_to - steps_);
  const auto all = static_cast<double>(options_.decay_to - options_.decay_from);
  return {.lr_factor = std::max(0.0, left / all)};
}

void Gan::MoveAverage() {
  const torch::autograd::AutoGradMode off(false);
  const auto t = static_cast<double>(steps_);
  const double decay = std::min(options_.average, (1 + t) / (10 + t));
  for (size_t i = 0; i < average_.size(); ++i) {
    average_[i].lerp_(generator_->parameters()[i].value, 1 - decay);
  }
}

std::optional<std::string> Gan::NotFinite() const {
  for (const auto& [prefix, network] :
       {std::pair{kGenerator, generator_.get()},
        std::pair{kDiscriminator, discriminator_.get()}}) {
    for (const optim::Parameter& one : network->parameters()) {
      if (!IsFinite(one.value)) {
        return "'" + (prefix + one.name) + "' holds NaN or infinity";
      }
    }
  }
  return std::nullopt;
}

double Gan::StepDiscriminator(int64_t k) {
  const int64_t draw = steps_ * options_.discriminator_steps + k;
  at::Generator target = Draws(options_.seed, Purpose::kTarget, draw);
  // The generator's step takes noise 2 s, this one the odd numbers between.
  at::Generator noise = Draws(options_.seed, Purpose::kNoise, 2 * draw + 1);
  const at::Tensor real = sample_(options_.batch, target).to(like_);
  const at::Tensor fake = [&] {
    const torch::autograd::AutoGradMode off(false);
    return generator_->Forward(Noise(options_.batch, noise));
  }();
  Require(real.sizes() == fake.sizes(),
          "GAN: the target's samples and the generator's differ in shape");
  at::Tensor loss;
  if (options_.objective == GanOptions::Objective::kReflow) {
    at::Generator path = Draws(options_.seed, Purpose::kPath, draw);
    loss = ReflowLoss(*discriminator_, real, fake,
                      Uniform({options_.batch}, path, like_));
  } else {
    const at::Tensor on_real = LogitsOf(*discriminator_, real);
    const at::Tensor on_fake = LogitsOf(*discriminator_, fake);
    loss = LogitLoss(on_real, on_fake);
    largest_logit_ =
        at::maximum(on_real.detach().abs().max(), on_fake.detach().abs().max())
            .item<double>();
  }
  FillGradients(loss, discriminator_->parameters());
  discriminator_adam_->Step(Pace());
  return loss.item<double>();
}

void Gan::StepGenerator(GanReport* report) {
  at::Generator draws = Draws(options_.seed, Purpose::kNoise, 2 * steps_);
  const at::Tensor z = Noise(options_.batch, draws);
  at::Tensor x = generator_->Forward(z);
  const Reading reading = Read(loss_, *discriminator_, x);
  report->generator_slope =
      SquaredLengths(reading.velocity).mean().sqrt().item<double>();
  if (!options_.regression) {
    // -h(D(x)) averaged over the batch: its gradient in x is what was read
    // (test G4), so D is not run again.
    report->generator_loss = -loss_.H(reading.logits).mean().item<double>();
    FillGradients(x, generator_->parameters(),
                  -reading.velocity / static_cast<double>(options_.batch));
    generator_adam_->Step(Pace());
    return;
  }
  // The same z for every inner step: with another one the targets would be
  // those of other samples.
  const at::Tensor targets = x.detach() + options_.epsilon * reading.velocity;
  for (int64_t k = 0; k < options_.inner_steps; ++k) {
    if (k > 0) x = generator_->Forward(z);
    const at::Tensor loss = RegressionLoss(x, targets);
    FillGradients(loss, generator_->parameters());
    generator_adam_->Step(Pace());
    report->generator_loss = loss.item<double>();
  }
}

std::optional<std::string> Gan::Trouble(const GanReport& report) const {
  const std::string when = " at step " + std::to_string(steps_ + 1);
  if (!std::isfinite(report.discriminator_loss) ||
      !std::isfinite(largest_logit_)) {
    return "the discriminator's loss is not finite" + when;
  }
  if (largest_logit_ > options_.largest_logit) {
    return "the discriminator gives logits of " +
           FormatNumber(std::round(largest_logit_)) + when;
  }
  if (!std::isfinite(report.generator_loss) ||
      !std::isfinite(report.generator_slope)) {
    return "the generator's loss is not finite" + when;
  }
  if (const auto bad = NotFinite()) return *bad + " after" + when.substr(3);
  return std::nullopt;
}

std::shared_ptr<Gan::Kept> Gan::Keep() const {
  auto kept = std::make_shared<Kept>();
  AddNetwork(kGenerator, *generator_, *generator_adam_, &kept->state);
  AddNetwork(kDiscriminator, *discriminator_, *discriminator_adam_,
             &kept->state);
  for (size_t i = 0; i < average_.size(); ++i) {
    kept->state.tensors.emplace_back(
        kAverage + generator_->parameters()[i].name, average_[i]);
  }
  for (auto& [name, tensor] : kept->state.tensors) {
    tensor = tensor.detach().clone();
  }
  kept->steps = steps_;
  return kept;
}

// Before anything is changed: whether all of a state is this run's.
void Gan::CheckKept(const Kept& kept, const std::string& path) const {
  (void)StateOf(kGenerator, *generator_, *generator_adam_, kept.state, path);
  (void)StateOf(kDiscriminator, *discriminator_, *discriminator_adam_,
                kept.state, path);
  for (size_t i = 0; i < average_.size(); ++i) {
    const std::string name = kAverage + generator_->parameters()[i].name;
    if (FiniteOf(kept.state, name, path).sizes() != average_[i].sizes()) {
      throw FormatError(path, 0, "'" + name + "' has another shape");
    }
  }
}

void Gan::Restore(const Kept& kept) {
  const std::string source = "state";
  CopyParameters(kGenerator, *generator_, kept.state, source);
  CopyParameters(kDiscriminator, *discriminator_, kept.state, source);
  for (size_t i = 0; i < average_.size(); ++i) {
    average_[i].copy_(
        kept.state.Get(kAverage + generator_->parameters()[i].name, source));
  }
  generator_adam_->ImportState(
      StateOf(kGenerator, *generator_, *generator_adam_, kept.state, source),
      source);
  discriminator_adam_->ImportState(
      StateOf(kDiscriminator, *discriminator_, *discriminator_adam_, kept.state,
              source),
      source);
  steps_ = kept.steps;
}

GanReport Gan::Train(int64_t steps,
                     const std::function<void(const GanReport&)>& each) {
  Require(steps >= 0, "GAN: steps are not below 0");
  GanReport report;
  report.steps = steps_;
  std::shared_ptr<const Kept> candidate;
  while (steps_ < steps) {
    if (good_ == nullptr || steps_ % options_.keep_every == 0) {
      candidate = Keep();
    }
    GanReport now;
    for (int64_t k = 0; k < options_.discriminator_steps; ++k) {
      now.discriminator_loss = StepDiscriminator(k);
    }
    StepGenerator(&now);
    MoveAverage();
    now.diverged = Trouble(now);
    if (now.diverged) {
      Restore(good_ != nullptr ? *good_ : *candidate);
      report.steps = steps_;
      report.diverged = now.diverged;
      return report;
    }
    // A step's numbers are those of the parameters that it began with: those
    // are known to be good now, and the ones that it left only to be finite.
    if (candidate != nullptr) good_ = std::move(candidate);
    ++steps_;
    now.steps = steps_;
    report = now;
    if (each) each(report);
  }
  return report;
}

void Gan::Save(const std::string& path, const std::string& identity) const {
  const auto kept = Keep();
  kept->state.texts["identity"] = identity;
  kept->state.texts["steps"] = std::to_string(steps_);
  if (good_ != nullptr) {
    for (const auto& [name, tensor] : good_->state.tensors) {
      kept->state.tensors.emplace_back(kKept + name, tensor);
    }
    for (const auto& [name, text] : good_->state.texts) {
      kept->state.texts[kKept + name] = text;
    }
    kept->state.texts[std::string(kKept) + "steps"] =
        std::to_string(good_->steps);
  }
  for (const auto& [name, tensor] : kept->state.tensors) {
    if (!IsFinite(tensor)) {
      throw std::runtime_error("GAN: '" + name +
                               "' holds NaN or infinity and is not saved");
    }
  }
  WriteTensorFile(path, kept->state);
}

void Gan::Load(const std::string& path, const std::string& identity) {
  Kept kept{.state = ReadTensorFile(path)};
  const auto text = [&](const std::string& key) {
    const auto found = kept.state.texts.find(key);
    return found == kept.state.texts.end() ? std::string() : found->second;
  };
  const auto steps = ParseInt(text("steps"));
  if (!steps || *steps < 0) {
    throw FormatError(path, 0, "is no state of a GAN");
  }
  if (text("identity") != identity) {
    throw FormatError(path, 0,
                      "is of another run: '" +
                          Printable(text("identity"), 120) +
                          "'; remove it to begin anew");
  }
  kept.steps = *steps;
  for (const auto& [name, tensor] : kept.state.tensors) {
    (void)FiniteOf(kept.state, name, path);
  }
  CheckKept(kept, path);
  std::shared_ptr<Kept> good;
  if (!text(std::string(kKept) + "steps").empty()) {
    const auto good_steps = ParseInt(text(std::string(kKept) + "steps"));
    if (!good_steps || *good_steps < 0 || *good_steps > *steps) {
      throw FormatError(path, 0, "has no state of a GAN to go back to");
    }
    good = std::make_shared<Kept>();
    good->steps = *good_steps;
    for (const auto& [name, tensor] : kept.state.tensors) {
      if (name.starts_with(kKept)) {
        good->state.tensors.emplace_back(
            name.substr(std::strlen(kKept)),
            tensor.to(like_.device(), /*non_blocking=*/false, /*copy=*/true));
      }
    }
    for (const auto& [name, value] : kept.state.texts) {
      if (name.starts_with(kKept)) {
        good->state.texts[name.substr(std::strlen(kKept))] = value;
      }
    }
    CheckKept(*good, path);
  }
  Restore(kept);
  good_ = std::move(good);
}

}  // namespace ropewalk::lab::flow
