#include "grammar/rule_order.h"

#include <algorithm>

namespace ropewalk::grammar {

RuleOrder OrderRules(const std::vector<std::vector<int32_t>>& uses) {
  enum : uint8_t { kNew, kOpen, kDone };
  struct Visit {
    int32_t rule;
    size_t next = 0;
  };
  RuleOrder result;
  result.closes_circle.resize(uses.size(), false);
  std::vector<uint8_t> marks(uses.size(), kNew);
  std::vector<Visit> path;
  const auto open = [&](int32_t rule) {
    marks[static_cast<size_t>(rule)] = kOpen;
    path.push_back({rule});
  };
  for (size_t start = 0; start < uses.size(); ++start) {
    if (marks[start] == kNew) open(static_cast<int32_t>(start));
    while (!path.empty()) {
      const auto rule = static_cast<size_t>(path.back().rule);
      if (path.back().next == uses[rule].size()) {
        marks[rule] = kDone;
        result.order.push_back(path.back().rule);
        path.pop_back();
        continue;
      }
      const int32_t used = uses[rule][path.back().next++];
      if (marks[static_cast<size_t>(used)] == kNew) {
        open(used);
      } else if (marks[static_cast<size_t>(used)] == kOpen) {
        result.closes_circle[static_cast<size_t>(used)] = true;
        if (!result.circle.empty()) continue;
        auto it = std::find_if(path.begin(), path.end(),
                               [&](const Visit& v) { return v.rule == used; });
        for (; it != path.end(); ++it) result.circle.push_back(it->rule);
      }
    }
  }
  return result;
}

}  // namespace ropewalk::grammar
