// An order of rules in which each stands behind those that it uses.

#ifndef ROPEWALK_GRAMMAR_RULE_ORDER_H_
#define ROPEWALK_GRAMMAR_RULE_ORDER_H_

#include <cstdint>
#include <vector>

namespace ropewalk::grammar {

struct RuleOrder {
  // All rules. A rule stands behind those that it uses, but for uses that
  // close a circle.
  std::vector<int32_t> order;
  // Whether a use of the rule closes a circle. Without these uses there are no
  // circles.
  std::vector<bool> closes_circle;
  // The rules of the circle that was found first, in the order of use.
  std::vector<int32_t> circle;
};

// uses[i]: the rules that rule i uses. Takes no recursion.
RuleOrder OrderRules(const std::vector<std::vector<int32_t>>& uses);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_RULE_ORDER_H_
