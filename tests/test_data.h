// Third-party models and texts for tests, found through $ROPEWALK_TEST_DATA.
//
// They are not part of the repository: a test that needs them skips with a
// clear line where they are absent. ROPEWALK_REQUIRE_DATA=1 turns the skip
// into a failure, so that a wrong path cannot pass for a green run.

#ifndef TESTS_TEST_DATA_H_
#define TESTS_TEST_DATA_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace ropewalk {

inline bool DataIsRequired() {
  const char* value = std::getenv("ROPEWALK_REQUIRE_DATA");
  return value != nullptr && std::string_view(value) == "1";
}

// Path of `name` below $ROPEWALK_TEST_DATA, or "" where it does not exist.
inline std::string TestDataPath(const std::string& name) {
  const char* root = std::getenv("ROPEWALK_TEST_DATA");
  if (root == nullptr || *root == '\0') return "";
  const std::filesystem::path path = std::filesystem::path(root) / name;
  return std::filesystem::exists(path) ? path.string() : "";
}

}  // namespace ropewalk

// Declares `path`, or ends the test: skipped, or failed where data must exist.
#define ROPEWALK_NEED_DATA(path, name)                              \
  const std::string path = ::ropewalk::TestDataPath(name);          \
  if (path.empty()) {                                               \
    if (::ropewalk::DataIsRequired()) {                             \
      FAIL() << (name) << " not found below ROPEWALK_TEST_DATA";    \
    }                                                               \
    GTEST_SKIP() << (name) << " not found: set ROPEWALK_TEST_DATA"; \
  }

#endif  // TESTS_TEST_DATA_H_
