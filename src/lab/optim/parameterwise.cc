#include "lab/optim/parameterwise.h"

#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "lab/optim/fused.h"
#include "lab/optim/gradients.h"
#include "lab/optim/state.h"

namespace ropewalk::lab::optim {
namespace {

void CheckParameters(const std::vector<Parameter>& parameters) {
  std::unordered_set<std::string> names;
  for (const Parameter& parameter : parameters) {
    const std::string who = "optimizer: parameter '" + parameter.name + "' ";
    Require(!parameter.name.empty(), "optimizer: a parameter has no name");
    Require(names.insert(parameter.name).second, who + "is listed twice");
    Require(parameter.value.defined() && parameter.value.is_floating_point(),
            who + "must be a floating-point tensor");
    Require(parameter.value.is_leaf(), who + "must be a leaf of autograd");
    Require(parameter.kind != Parameter::Kind::kEmbedding ||
                parameter.value.dim() == 2,
            who + "is an embedding and must be [V, E], got " +
                std::to_string(parameter.value.dim()) + " dimensions");
  }
}

void CheckOptions(const CommonOptions& options) {
  Require(std::isfinite(options.learning_rate) && options.learning_rate >= 0,
          "optimizer: learning_rate must be finite and at least 0, got " +
              std::to_string(options.learning_rate));
  Require(std::isfinite(options.weight_decay) && options.weight_decay >= 0,
          "optimizer: weight_decay must be finite and at least 0, got " +
              std::to_string(options.weight_decay));
  Require(options.accumulation >= 1,
          "optimizer: accumulation must be at least 1, got " +
              std::to_string(options.accumulation));
}

bool IsFusible(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat && tensor.device().is_cpu() &&
         tensor.is_contiguous();
}

}  // namespace

ParameterwiseOptimizer::ParameterwiseOptimizer(
    std::vector<Parameter> parameters, const CommonOptions& options, Rule rule)
    : parameters_(std::move(parameters)),
      options_(options),
      rule_(std::move(rule)),
      entries_(parameters_.size()) {
  CheckParameters(parameters_);
  CheckOptions(options_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& value = parameters_[i].value;
    for (size_t slot = 0; slot < rule_.slots.size(); ++slot) {
      entries_[i].slots.push_back(at::zeros(value.sizes(), value.options()));
    }
    if (options_.lazy_rows &&
        parameters_[i].kind == Parameter::Kind::kEmbedding) {
      entries_[i].occurred =
          at::zeros({value.size(0)}, value.options().dtype(at::kBool));
    }
  }
}

bool ParameterwiseOptimizer::IsBad(double sum_squares) const {
  return !std::isfinite(sum_squares);
}

at::Tensor ParameterwiseOptimizer::TakeGradient(
    const Parameter& parameter) const {
  at::Tensor gradient = parameter.value.grad();
  if (!gradient.defined()) return gradient;
  parameter.value.mutable_grad().reset();
  gradient = gradient.detach();
  if (gradient.layout() != at::kStrided) gradient = gradient.to_dense();
  return gradient.contiguous();
}

void ParameterwiseOptimizer::NoteOccurrence(const at::Tensor& gradient,
                                            const StepInput& input,
                                            Entry* entry) {
  if (!entry->occurred.defined()) return;
  if (input.occurrence.defined()) {
    entry->occurred.logical_or_(input.occurrence.to(entry->occurred.device()));
  } else if (gradient.defined()) {
    entry->occurred.logical_or_(RowsInUse(gradient));
  }
}

void ParameterwiseOptimizer::CheckInput(const StepInput& input) const {
  Require(std::isfinite(input.lr_factor) && input.lr_factor >= 0,
          "optimizer: lr_factor must be finite and at least 0, got " +
              std::to_string(input.lr_factor));
  Require(std::isfinite(input.gradient_scale),
          "optimizer: gradient_scale must be finite, got " +
              std::to_string(input.gradient_scale));
  if (!input.occurrence.defined()) return;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!entries_[i].occurred.defined()) continue;
    Require(input.occurrence.scalar_type() == at::kBool &&
                input.occurrence.sizes() == entries_[i].occurred.sizes(),
            "optimizer: occurrence must be bool [" +
                std::to_string(entries_[i].occurred.numel()) + "] for '" +
                parameters_[i].name + "', got " +
                at::toString(input.occurrence.scalar_type()) + " of " +
                std::to_string(input.occurrence.numel()) + " elements");
  }
}

void ParameterwiseOptimizer::OverPieces(
    const Update& update,
    const std::function<void(int64_t, int64_t, bool)>& run) {
  if (!update.rows.defined()) {
    fused::OverElements(update.value.numel(), [&](int64_t begin, int64_t end) {
      run(begin, end - begin, true);
    });
    return;
  }
  const int64_t width = update.value.size(1);
  const bool* moves = update.rows.data_ptr<bool>();
  fused::OverRows(update.value.size(0), width,
                  [&](int64_t row) { run(row * width, width, moves[row]); });
}

void ParameterwiseOptimizer::StepOne(size_t index, const StepInput& input,
                                     StepReport* report) {
  const Parameter& parameter = parameters_[index];
  Entry& entry = entries_[index];
  const bool last = micro_step_ + 1 == options_.accumulation;
  if (!last && !rule_.every_micro_step) {
    NoteOccurrence({}, input, &entry);  // gradients pile up in .grad()
    return;
  }
  const at::Tensor gradient = TakeGradient(parameter);
  if (!gradient.defined()) {
    ++report->no_gradient;
    // In a group that has begun, a missing gradient is one of zeros.
    if (entry.received == 0) return;
  }
  const double sum_squares = gradient.defined() && !input.gradients_are_finite
                                 ? SumOfSquares(gradient)
                                 : 0;
  const bool bad = IsBad(sum_squares);
  NoteOccurrence(bad ? at::Tensor() : gradient, input, &entry);
  Update update;
  update.parameter = &parameter;
  update.value = parameter.value.detach();
  update.slots = entry.slots;
  update.gradient = gradient;
  update.rows = entry.occurred;
  update.gradient_scale =
      input.gradient_scale / static_cast<double>(options_.accumulation);
  update.learning_rate = options_.learning_rate * input.lr_factor;
  update.weight_decay = IsVector(parameter) && !options_.decay_vectors
                            ? 0
                            : options_.weight_decay;
  update.first = entry.received == 0;
  update.last = last;
  update.fused = options_.fused && IsFusible(update.value) &&
                 (!gradient.defined() || gradient.scalar_type() == at::kFloat);
  if (bad) {
    if (++report->bad == 1) report->first_bad = parameter.name;
    OnBadGradient(update);
  } else {
    update.count = last ? ++entry.count : entry.count;
    Apply(update);
  }
  entry.received = last || !rule_.every_micro_step ? 0 : entry.received + 1;
  if (last && entry.occurred.defined()) entry.occurred.zero_();
  // The fused loops write behind autograd's back; a graph that saved the old
  // value must notice.
  if (update.fused) parameter.value.unsafeGetTensorImpl()->bump_version();
}

StepReport ParameterwiseOptimizer::Step(const StepInput& input) {
  CheckInput(input);
  const at::NoGradGuard no_grad;
  StepReport report;
  for (size_t i = 0; i < parameters_.size(); ++i) StepOne(i, input, &report);
  Finish();
  micro_step_ = (micro_step_ + 1) % options_.accumulation;
  report.updated = micro_step_ == 0;
  return report;
}

OptimizerState ParameterwiseOptimizer::OwnState() const {
  OptimizerState state;
  state.counts.emplace_back(rule_.name + "/micro_step", micro_step_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Entry& entry = entries_[i];
    const std::string& name = parameters_[i].name;
    state.counts.emplace_back(rule_.name + "/updates/" + name, entry.count);
    for (size_t slot = 0; slot < rule_.slots.size(); ++slot) {
      state.tensors.emplace_back(
          rule_.name + "/" + rule_.slots[slot] + "/" + name, entry.slots[slot]);
    }
    if (!CanStopInGroup()) continue;
    state.counts.emplace_back(rule_.name + "/received/" + name, entry.received);
    if (entry.occurred.defined()) {
      state.tensors.emplace_back(rule_.name + "/occurred/" + name,
                                 entry.occurred);
    }
  }
  return state;
}

OptimizerState ParameterwiseOptimizer::ExportState() const {
  Require(micro_step_ == 0 || CanStopInGroup(),
          "optimizer: '" + rule_.name + "' has no state to store after " +
              std::to_string(micro_step_) + " of " +
              std::to_string(options_.accumulation) +
              " micro-steps; store it between updates");
  return OwnState();
}

void ParameterwiseOptimizer::CheckState(const OptimizerState& state,
                                        const std::string& source) const {
  const OptimizerState matched = MatchState(OwnState(), state, source);
  for (const auto& [name, count] : matched.counts) {
    const bool in_group = name.find("/updates/") == std::string::npos;
    if (count < 0 || (in_group && count >= options_.accumulation)) {
      throw StateError(source + ": count '" + name + "' is " +
                       std::to_string(count) + ", which accumulation " +
                       std::to_string(options_.accumulation) +
                       " does not allow");
    }
  }
}

void ParameterwiseOptimizer::ImportState(const OptimizerState& state,
                                         const std::string& source) {
  CheckState(state, source);
  const at::NoGradGuard no_grad;
  // In the order of OwnState.
  const OptimizerState matched = MatchState(OwnState(), state, source);
  auto count = matched.counts.begin();
  auto tensor = matched.tensors.begin();
  micro_step_ = (count++)->second;
  for (Entry& entry : entries_) {
    entry.count = (count++)->second;
    for (at::Tensor& slot : entry.slots) slot.copy_((tensor++)->second);
    if (entry.occurred.defined()) entry.occurred.zero_();
    if (!CanStopInGroup()) continue;
    entry.received = (count++)->second;
    if (entry.occurred.defined()) entry.occurred.copy_((tensor++)->second);
  }
}

int64_t ParameterwiseOptimizer::StateBytes() const {
  int64_t bytes = 0;
  for (const Entry& entry : entries_) {
    for (const at::Tensor& slot : entry.slots) {
      bytes += static_cast<int64_t>(slot.nbytes());
    }
    if (entry.occurred.defined()) {
      bytes += static_cast<int64_t>(entry.occurred.nbytes());
    }
  }
  return bytes;
}

int64_t ParameterwiseOptimizer::AccumulationBytes() const {
  if (options_.accumulation == 1 || rule_.every_micro_step) return 0;
  int64_t bytes = 0;
  for (const Parameter& parameter : parameters_) {
    bytes += static_cast<int64_t>(parameter.value.nbytes());
  }
  return bytes;
}

}  // namespace ropewalk::lab::optim
