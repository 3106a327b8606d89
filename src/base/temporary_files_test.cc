#include "base/temporary_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/atomic_file.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

class TemporaryFilesTest : public testing::Test {
 protected:
  TemporaryFilesTest() { fs::create_directories(folder_); }
  ~TemporaryFilesTest() override { fs::remove_all(folder_); }

  std::string Make(const std::string& name) const {
    std::ofstream(folder_ / name) << "x";
    return (folder_ / name).string();
  }
  int64_t Files() const {
    return std::distance(fs::directory_iterator(folder_), {});
  }

  const fs::path folder_ = fs::path(testing::TempDir()) /
                           ("ropewalk_temporary_" + std::to_string(getpid()));
};

TEST_F(TemporaryFilesTest, OnlyWhatIsOnTheListIsRemoved) {
  const std::string listed = Make("listed");
  const std::string gone = Make("gone from the list");
  TemporaryFileEntry first(listed);
  const TemporaryFileEntry moved = std::move(first);
  { const TemporaryFileEntry entry(gone); }
  RemoveTemporaryFiles();
  EXPECT_FALSE(fs::exists(listed));
  EXPECT_TRUE(fs::exists(gone));
}

TEST_F(TemporaryFilesTest, AFullListAndALongPathAreNoError) {
  std::vector<TemporaryFileEntry> entries;
  for (int i = 0; i < 100; ++i) {
    entries.emplace_back(Make(std::to_string(i)));
  }
  const TemporaryFileEntry too_long(std::string(100000, 'x'));
  RemoveTemporaryFiles();
  EXPECT_EQ(Files(), 100 - 64);
  entries.clear();
  const TemporaryFileEntry again(Make("again"));
  RemoveTemporaryFiles();
  EXPECT_EQ(Files(), 100 - 64);
}

TEST_F(TemporaryFilesTest, AnAtomicFileIsListedUntilItIsCommitted) {
  const std::string path = (folder_ / "out").string();
  AtomicFile file(path);
  file.Write("x");
  EXPECT_EQ(Files(), 1);
  RemoveTemporaryFiles();
  EXPECT_EQ(Files(), 0);
  AtomicFile other(path);
  other.Write("x");
  other.Commit();
  RemoveTemporaryFiles();
  EXPECT_TRUE(fs::exists(path));
}

}  // namespace
}  // namespace ropewalk
