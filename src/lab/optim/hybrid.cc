#include "lab/optim/hybrid.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "base/error.h"

namespace ropewalk::lab::optim {

std::function<bool(const Parameter&)> TakesKind(Parameter::Kind kind) {
  return [kind](const Parameter& parameter) { return parameter.kind == kind; };
}

std::function<bool(const Parameter&)> TakesAll() {
  return [](const Parameter&) { return true; };
}

HybridOptimizer::HybridOptimizer(std::vector<Parameter> parameters,
                                 const std::vector<HybridGroup>& groups)
    : parameters_(std::move(parameters)) {
  std::unordered_set<std::string> names;
  for (const Parameter& parameter : parameters_) {
    Require(names.insert(parameter.name).second,
            "optimizer: parameter '" + parameter.name + "' is listed twice");
  }
  names.clear();
  for (const HybridGroup& group : groups) {
    // A '/' would make prefixes ambiguous.
    Require(!group.name.empty() && group.name.find('/') == std::string::npos &&
                names.insert(group.name).second,
            "optimizer: the name of a group must be unique and without '/', "
            "got '" +
                group.name + "'");
  }
  std::vector<std::vector<Parameter>> taken(groups.size());
  for (const Parameter& parameter : parameters_) {
    size_t group = 0;
    while (group < groups.size() && !groups[group].takes(parameter)) ++group;
    Require(group < groups.size(),
            "optimizer: no group takes '" + parameter.name + "'");
    taken[group].push_back(parameter);
  }
  for (size_t group = 0; group < groups.size(); ++group) {
    if (taken[group].empty()) continue;
    members_.push_back(
        {groups[group].name, groups[group].make(std::move(taken[group]))});
    Require(members_.back().optimizer->accumulation() == accumulation(),
            "optimizer: group '" + groups[group].name + "' accumulates " +
                std::to_string(members_.back().optimizer->accumulation()) +
                " micro-steps and '" + members_.front().name + "' " +
                std::to_string(accumulation()));
  }
}

StepReport HybridOptimizer::Step(const StepInput& input) {
  StepReport report;
  for (const Member& member : members_) {
    const StepReport part = member.optimizer->Step(input);
    report.updated = part.updated;
    if (report.bad == 0) report.first_bad = part.first_bad;
    report.bad += part.bad;
    report.no_gradient += part.no_gradient;
  }
  return report;
}

int64_t HybridOptimizer::accumulation() const {
  return members_.empty() ? 1 : members_.front().optimizer->accumulation();
}

bool HybridOptimizer::ConsumesMicroSteps(const Parameter& parameter) const {
  for (const Member& member : members_) {
    for (const Parameter& own : member.optimizer->parameters()) {
      if (own.name == parameter.name) {
        return member.optimizer->ConsumesMicroSteps(own);
      }
    }
  }
  ROPEWALK_CHECK(false);
  return false;
}

int64_t HybridOptimizer::bad_steps_tolerated() const {
  int64_t least = members_.empty() ? 0 : std::numeric_limits<int64_t>::max();
  for (const Member& member : members_) {
    least = std::min(least, member.optimizer->bad_steps_tolerated());
  }
  return least;
}

OptimizerState HybridOptimizer::ExportState() const {
  OptimizerState state;
  for (const Member& member : members_) {
    const OptimizerState part = member.optimizer->ExportState();
    for (const auto& [name, tensor] : part.tensors) {
      state.tensors.emplace_back(member.name + "/" + name, tensor);
    }
    for (const auto& [name, count] : part.counts) {
      state.counts.emplace_back(member.name + "/" + name, count);
    }
  }
  return state;
}

std::vector<OptimizerState> HybridOptimizer::Split(
    const OptimizerState& state, const std::string& source) const {
  std::vector<OptimizerState> parts(members_.size());
  const auto member_of = [&](const std::string& name) {
    const std::string group = name.substr(0, name.find('/'));
    for (size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].name == group && group.size() < name.size()) return i;
    }
    throw StateError(source + ": the optimizer state holds '" + name +
                     "', which belongs to no group of this optimizer");
  };
  for (const auto& [name, tensor] : state.tensors) {
    const size_t member = member_of(name);
    parts[member].tensors.emplace_back(
        name.substr(members_[member].name.size() + 1), tensor);
  }
  for (const auto& [name, count] : state.counts) {
    const size_t member = member_of(name);
    parts[member].counts.emplace_back(
        name.substr(members_[member].name.size() + 1), count);
  }
  return parts;
}

void HybridOptimizer::CheckState(const OptimizerState& state,
                                 const std::string& source) const {
  const std::vector<OptimizerState> parts = Split(state, source);
  for (size_t i = 0; i < members_.size(); ++i) {
    members_[i].optimizer->CheckState(
        parts[i], source + ": group '" + members_[i].name + "'");
  }
}

void HybridOptimizer::ImportState(const OptimizerState& state,
                                  const std::string& source) {
  CheckState(state, source);  // all of them before any changes
  const std::vector<OptimizerState> parts = Split(state, source);
  for (size_t i = 0; i < members_.size(); ++i) {
    members_[i].optimizer->ImportState(parts[i], source);
  }
}

int64_t HybridOptimizer::StateBytes() const {
  int64_t bytes = 0;
  for (const Member& member : members_) bytes += member.optimizer->StateBytes();
  return bytes;
}

int64_t HybridOptimizer::AccumulationBytes() const {
  int64_t bytes = 0;
  for (const Member& member : members_) {
    bytes += member.optimizer->AccumulationBytes();
  }
  return bytes;
}

const Optimizer* HybridOptimizer::Find(const std::string& group) const {
  for (const Member& member : members_) {
    if (member.name == group) return member.optimizer.get();
  }
  return nullptr;
}

}  // namespace ropewalk::lab::optim
