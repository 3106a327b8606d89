#include "base/folder_lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/error.h"

namespace ropewalk {
namespace {

TEST(FolderLockTest, TheSecondWaitsForTheFirst) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "folder_lock_test";
  std::filesystem::create_directories(folder);
  auto first = std::make_unique<FolderLock>(folder.string(), "first");
  std::atomic<bool> has = false;
  std::thread second([&] {
    const FolderLock lock(folder.string(), "the first");
    has = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  EXPECT_FALSE(has);
  first.reset();
  second.join();
  EXPECT_TRUE(has);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  std::filesystem::remove_all(folder);
  EXPECT_THROW(FolderLock(folder.string(), "nobody"), IoError);
}

}  // namespace
}  // namespace ropewalk
