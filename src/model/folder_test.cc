// Folders of Hugging Face, as transformers 5 and 4 write them, held to the
// logits of the published implementation.

#include "huggingface/folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/model.h"
#include "tests/published_logits.h"
#include "tests/test_data.h"

namespace ropewalk::model {
namespace {

namespace fs = std::filesystem;

// Copies a folder's weights and one of its configurations to a new folder.
fs::path CopyWith(const fs::path& from, const char* config) {
  const fs::path to = fs::path(testing::TempDir()) /
                      ("ropewalk_folder_" + from.filename().string());
  fs::remove_all(to);
  fs::create_directories(to);
  fs::copy_file(from / "model.safetensors", to / "model.safetensors");
  fs::copy_file(from / config, to / "config.json");
  return to;
}

void ExpectBothSpellings(const fs::path& folder) {
  for (const char* config : {"config.json", "config.v4.json"}) {
    SCOPED_TRACE(config);
    const fs::path copy = CopyWith(folder, config);
    ExpectPublishedLogits(Model::Load(copy.string()), folder);
    fs::remove_all(copy);
  }
}

void ExpectAllFolders(const fs::path& root, size_t least) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  EXPECT_GE(folders.size(), least);
  for (const fs::path& folder : folders) {
    SCOPED_TRACE(folder.filename().string());
    try {
      ExpectBothSpellings(folder);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

TEST(FolderTest, LogitsMatchThePublishedImplementation) {
  ROPEWALK_NEED_DATA(readme, "golden/hf/README.md");
  ExpectAllFolders(fs::path(readme).parent_path(), 39);
}

// Written by tests/golden/make_folders.py.
TEST(FolderTest, ExpertsLatentAttentionAndSinksMatchTheirs) {
  ExpectAllFolders(ROPEWALK_SOURCE_FOLDER "/tests/golden/folders", 4);
}

}  // namespace
}  // namespace ropewalk::model
