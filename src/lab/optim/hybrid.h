// Different optimizers for different parameters, behind the one interface:
// Adam on embeddings with Tiger elsewhere (post 9736), AdamW beside Muon.

#ifndef ROPEWALK_LAB_OPTIM_HYBRID_H_
#define ROPEWALK_LAB_OPTIM_HYBRID_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lab/optim/optimizer.h"

namespace ropewalk::lab::optim {

struct HybridGroup {
  std::string name;  // state names begin with it; unique
  std::function<bool(const Parameter&)> takes;
  std::function<std::unique_ptr<Optimizer>(std::vector<Parameter>)> make;
};

// For HybridGroup::takes.
std::function<bool(const Parameter&)> TakesKind(Parameter::Kind kind);
std::function<bool(const Parameter&)> TakesAll();

class HybridOptimizer : public Optimizer {
 public:
  // A parameter goes to the first group that takes it; a group that gets none
  // is not made. Throws std::invalid_argument for a parameter that no group
  // takes, for names that repeat, and where the groups disagree on
  // accumulation.
  HybridOptimizer(std::vector<Parameter> parameters,
                  const std::vector<HybridGroup>& groups);

  StepReport Step(const StepInput& input) override;
  const std::vector<Parameter>& parameters() const override {
    return parameters_;
  }
  int64_t accumulation() const override;
  bool ConsumesMicroSteps(const Parameter& parameter) const override;
  // As many as every member survives.
  int64_t bad_steps_tolerated() const override;
  OptimizerState ExportState() const override;
  void CheckState(const OptimizerState& state,
                  const std::string& source) const override;
  void ImportState(const OptimizerState& state,
                   const std::string& source) override;
  int64_t StateBytes() const override;
  int64_t AccumulationBytes() const override;

  // The optimizer of a group, or nullptr where it was not made.
  const Optimizer* Find(const std::string& group) const;

 private:
  struct Member {
    std::string name;
    std::unique_ptr<Optimizer> optimizer;
  };

  // The part of `state` that belongs to each member, prefix removed.
  std::vector<OptimizerState> Split(const OptimizerState& state,
                                    const std::string& source) const;

  std::vector<Parameter> parameters_;
  std::vector<Member> members_;
};

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_HYBRID_H_
