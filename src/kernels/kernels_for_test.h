// What the kernel tests share: a fixture that runs once for every instruction
// set, and random rows.

#ifndef ROPEWALK_KERNELS_KERNELS_FOR_TEST_H_
#define ROPEWALK_KERNELS_KERNELS_FOR_TEST_H_

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/cpu/isa.h"

namespace ropewalk::kernels {

inline constexpr float kMasked = -std::numeric_limits<float>::infinity();
inline constexpr float kCanary = 12345.0f;

inline std::vector<float> Normals(Rng& rng, int64_t size) {
  std::vector<float> out(static_cast<size_t>(size));
  for (float& x : out) x = static_cast<float>(rng.Normal());
  return out;
}

class EveryIsaTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ChooseIsa(GetParam()); }
  void TearDown() override { ChooseIsa(AvailableIsas().front()); }
};

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_KERNELS_FOR_TEST_H_
