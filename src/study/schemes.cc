#include "study/schemes.h"

#include <algorithm>

namespace ropewalk::study {

std::vector<Condition> Conditions(int64_t N, const std::string& tuned) {
  const auto part = [N](int64_t of, int64_t divisor) {
    return std::to_string(std::max<int64_t>(1, N * of / divisor));
  };
  const auto rerope = [&](int64_t of, int64_t divisor) {
    return "rerope:window=" + part(of, divisor);
  };
  const auto far = [&](int64_t sixteenths) {
    return rerope(15, 16) + ",far=" + part(sixteenths, 16);
  };
  const std::string leaky = "leaky-rerope:window=" + part(1, 2) + ",k=";
  return {
      {kRope, "rope", {1, 2, 4}, {}},
      {kSinkWindow, "sink-window", {2, 4}, {}},
      {kTuned, tuned.empty() ? tuned : "@" + tuned, {1, 2, 4}, {}},
      {kReRopeFar, far(10), {1, 2, 4}, {}},
      {kReRopeHalf, rerope(1, 2), {1, 2, 4}, {}},
      {kReRopeHalfLogN, rerope(1, 2) + "+logn-clip", {2}, {4}},
      {kSelfExtend, "self-extend", {1, 2, 4}, {}},
      {kDca, "dca", {1, 2, 4}, {}},
      {kYarn, "yarn", {2, 4}, {}},
      {kNtkMixedLogN, "ntk-mixed+logn-clip", {2}, {4}},
      {kString, "string", {}, {2}},
      {"ReRoPE w=15N/16 far=3N/8", far(6), {}, {2}},
      {"ReRoPE w=15N/16 far=5N/8 logn", far(10) + "+logn-clip", {}, {2}},
      {"ReRoPE w=N/4", rerope(1, 4), {1}, {2, 4}},
      {"ReRoPE w=N/8", rerope(1, 8), {1}, {2, 4}},
      {"ReRoPE w=N/4 logn", rerope(1, 4) + "+logn-clip", {}, {2, 4}},
      {"ReRoPE w=N/8 logn", rerope(1, 8) + "+logn-clip", {}, {2, 4}},
      {"ReRoPE w=3N/4", rerope(3, 4), {}, {2}},
      {"Leaky ReRoPE w=N/2 k=8", leaky + "8", {}, {2}},
      {"Leaky ReRoPE w=N/2 k=16", leaky + "16", {}, {2}},
      {"Leaky ReRoPE w=N/4", "leaky-rerope", {}, {2}},
      {"PI", "pi", {}, {2}},
      {"NTK-old", "ntk-old", {}, {2}},
      {"NTK-fixed", "ntk-fixed", {}, {2}},
      {"NTK-mixed", "ntk-mixed", {}, {2}},
      {"CoPE", "cope", {}, {2}},
  };
}

}  // namespace ropewalk::study
