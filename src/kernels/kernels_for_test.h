// Shared by the kernel tests: a fixture that runs once for every instruction
// set, and random rows.

#ifndef ROPEWALK_KERNELS_KERNELS_FOR_TEST_H_
#define ROPEWALK_KERNELS_KERNELS_FOR_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/random.h"
#include "kernels/cpu/isa.h"

namespace ropewalk::kernels {

inline constexpr float kMasked = -std::numeric_limits<float>::infinity();
inline constexpr float kCanary = 12345.0f;

// The types a store may have, and widths around vectors and q8_0 blocks.
inline constexpr DType kStorable[] = {DType::kF32, DType::kF16, DType::kBf16,
                                      DType::kQ8_0, DType::kQ4_0};
inline constexpr int64_t kOddWidths[] = {1,  2,  7,  8,   31, 32,
                                         33, 64, 80, 127, 128};

inline std::vector<float> Normals(Rng& rng, int64_t size) {
  std::vector<float> out(static_cast<size_t>(size));
  for (float& x : out) x = static_cast<float>(rng.Normal());
  return out;
}

class EveryIsaTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ChooseIsa(GetParam()); }
  void TearDown() override { ChooseIsa(before_); }

  const std::string before_ = ActiveIsa();
};

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_KERNELS_FOR_TEST_H_
