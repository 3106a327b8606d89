// ROPEWALK_ISA holds in a test program as it does in ropewalk.

#include <gtest/gtest.h>

#include "kernels/cpu/isa.h"

namespace ropewalk {
namespace {

class IsaOfTheEnvironment : public testing::Environment {
 public:
  void SetUp() override { kernels::ChooseIsaFromEnvironment(); }
};

// GoogleTest owns it.
[[maybe_unused]] const testing::Environment* const kIsa =
    testing::AddGlobalTestEnvironment(new IsaOfTheEnvironment);

}  // namespace
}  // namespace ropewalk
