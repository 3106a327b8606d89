#include "base/large_memory.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/error.h"

namespace ropewalk {
namespace {

TEST(LargeMemoryTest, IsZeroAndMoves) {
  constexpr int64_t kSize = 5 << 20;
  LargeMemory memory(kSize);
  ASSERT_EQ(memory.size(), kSize);
  EXPECT_EQ(memory.data()[0], 0);
  EXPECT_EQ(memory.data()[kSize - 1], 0);
  memory.data()[kSize - 1] = 7;
  LargeMemory other = std::move(memory);
  EXPECT_EQ(other.data()[kSize - 1], 7);
  memory = LargeMemory();
  EXPECT_EQ(memory.data(), nullptr);
  EXPECT_EQ(memory.size(), 0);
}

// Locks as a process may that has no privileges and is allowed no byte.
[[noreturn]] void LockUnprivileged(Untouched untouched) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  const rlimit limit{0, 0};
  if (syscall(SYS_capset, &header, none) != 0 ||
      setrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
    std::exit(2);
  }
  try {
    LockMemory(untouched);
  } catch (const IoError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::exit(1);
  }
  std::exit(0);
}

TEST(LargeMemoryDeathTest, ALockThatIsNotAllowedIsAnIoError) {
  for (const Untouched untouched : {Untouched::kRead, Untouched::kLater}) {
    EXPECT_EXIT(LockUnprivileged(untouched), testing::ExitedWithCode(1),
                "does not allow to lock memory .*`ulimit -l`");
  }
}

}  // namespace
}  // namespace ropewalk
