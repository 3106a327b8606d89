// Files, texts and small corpora for the tests of this folder.

#ifndef ROPEWALK_LAB_DATA_FILES_FOR_TEST_H_
#define ROPEWALK_LAB_DATA_FILES_FOR_TEST_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "lab/data/draws.h"

namespace ropewalk::lab::data {

// A fresh folder for the test that runs, removed with the object.
class TestFolder {
 public:
  TestFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(testing::TempDir()) /
            ("ropewalk_data_" + std::to_string(getpid()) + "_" + test->name());
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string Path(const std::string& name = "") const {
    return (path_ / name).string();
  }
  std::string Write(const std::string& name, std::string_view bytes) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path.string();
  }

 private:
  std::filesystem::path path_;
};

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Lines of made-up words, each drawn from a few hundred, so that there is
// something to merge; `seed` gives another text over the same words.
inline std::string MadeUpText(int64_t lines, uint64_t seed = 0) {
  constexpr std::string_view kSyllables[] = {"ro",  "pe",  "wal", "k", "la",
                                             "the", "ing", "st",  "o", "mi"};
  Draws draws(Purpose::kPairs, seed, 1);
  std::string text;
  for (int64_t line = 0; line < lines; ++line) {
    for (int word = 0; word < 9; ++word) {
      Draws spelling(Purpose::kPairs, 99, draws.Below(300));
      if (word > 0) text += ' ';
      for (int64_t i = spelling.Between(1, 4); i > 0; --i) {
        text += kSyllables[spelling.Below(10)];
      }
    }
    text += ".\n";
    if (line % 5 == 4) text += '\n';
  }
  return text;
}

// The message of the exception that `action` throws, or "".
template <typename Exception, typename F>
std::string MessageOf(F action) {
  try {
    action();
  } catch (const Exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_FILES_FOR_TEST_H_
