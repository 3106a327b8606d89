#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>
#include <string>

#include "base/error.h"

namespace ropewalk {
namespace {

std::string g_seen;

void Throw(const char* file, int line, const char* condition) {
  throw std::runtime_error(std::string(file) + ":" + std::to_string(line) +
                           " " + condition);
}

void Return(const char*, int, const char* condition) { g_seen = condition; }

class CheckFailureTest : public testing::Test {
 protected:
  ~CheckFailureTest() override { SetCheckFailureHandler(nullptr); }
};

TEST_F(CheckFailureTest, WithoutAHandlerAFailedCheckPrintsAndAborts) {
  EXPECT_EXIT(ROPEWALK_CHECK(1 > 2), testing::KilledBySignal(SIGABRT),
              "ropewalk: internal error at .*: 1 > 2 does not hold");
}

TEST_F(CheckFailureTest, AHandlerMayThrow) {
  SetCheckFailureHandler(Throw);
  ROPEWALK_CHECK(2 > 1);
  try {
    ROPEWALK_CHECK(1 > 2);
    FAIL();
  } catch (const std::runtime_error& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("check_failure_test.cc:"), std::string::npos) << what;
    EXPECT_TRUE(what.ends_with(" 1 > 2")) << what;
  }
}

TEST_F(CheckFailureTest, AHandlerThatReturnsAborts) {
  SetCheckFailureHandler(Return);
  EXPECT_EXIT(ROPEWALK_CHECK(1 > 2), testing::KilledBySignal(SIGABRT), "^$");
}

TEST_F(CheckFailureTest, SettingAHandlerReturnsTheOneBefore) {
  const CheckFailureHandler first = SetCheckFailureHandler(Throw);
  EXPECT_EQ(first, nullptr);  // it prints
  EXPECT_EQ(SetCheckFailureHandler(Return), Throw);
  EXPECT_EQ(SetCheckFailureHandler(nullptr), Return);
  EXPECT_EQ(SetCheckFailureHandler(nullptr), first);
}

}  // namespace
}  // namespace ropewalk
