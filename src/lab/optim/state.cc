#include "lab/optim/state.h"

#include <sstream>
#include <unordered_map>

namespace ropewalk::lab::optim {
namespace {

std::string Describe(const at::Tensor& tensor) {
  if (!tensor.defined()) return "nothing";
  std::ostringstream text;
  text << at::toString(tensor.scalar_type()) << " " << tensor.sizes();
  return text.str();
}

template <typename T>
using Named = std::vector<std::pair<std::string, T>>;

template <typename T>
Named<T> Reorder(const Named<T>& expected, const Named<T>& given,
                 const std::string& what, const std::string& source) {
  std::unordered_map<std::string, const T*> by_name;
  for (const auto& [name, value] : given) {
    if (!by_name.emplace(name, &value).second) {
      throw StateError(source + ": " + what + " '" + name +
                       "' is listed twice in the optimizer state");
    }
  }
  Named<T> ordered;
  for (const auto& [name, value] : expected) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) {
      throw StateError(source + ": the optimizer state lacks " + what + " '" +
                       name + "'; another optimizer or another model?");
    }
    ordered.emplace_back(name, *found->second);
    by_name.erase(found);
  }
  for (const auto& [name, value] : given) {
    if (by_name.count(name) > 0) {
      throw StateError(source + ": the optimizer state holds an unknown " +
                       what + " '" + name +
                       "'; another optimizer or another model?");
    }
  }
  return ordered;
}

}  // namespace

OptimizerState MatchState(const OptimizerState& expected,
                          const OptimizerState& given,
                          const std::string& source) {
  OptimizerState matched{
      Reorder(expected.tensors, given.tensors, "tensor", source),
      Reorder(expected.counts, given.counts, "count", source)};
  for (size_t i = 0; i < matched.tensors.size(); ++i) {
    const at::Tensor& want = expected.tensors[i].second;
    const at::Tensor& have = matched.tensors[i].second;
    if (!have.defined() || have.scalar_type() != want.scalar_type() ||
        have.sizes() != want.sizes()) {
      throw StateError(source + ": tensor '" + expected.tensors[i].first +
                       "' of the optimizer state must be " + Describe(want) +
                       ", got " + Describe(have));
    }
  }
  return matched;
}

}  // namespace ropewalk::lab::optim
