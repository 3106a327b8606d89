#include "serve/access.h"

#include <gtest/gtest.h>

#include "serve/api_error.h"

namespace ropewalk::serve {
namespace {

// 0 where the sender may ask, else the status of the refusal.
int StatusOf(const AccessOptions& options, const Sender& sender) {
  try {
    Access(options).Check(sender);
  } catch (const ApiError& error) {
    return error.status();
  }
  return 0;
}

Sender Local() {
  return {.method = "POST",
          .path = "/v1/chat/completions",
          .host = "127.0.0.1:8080"};
}

TEST(AccessTest, ThisMachineMayAskWithoutAKeyWhereNoneIsSet) {
  EXPECT_EQ(StatusOf({}, Local()), 0);
}

TEST(AccessTest, AKeyIsNeededWhereOneIsSet) {
  const AccessOptions options{.keys = {"first", "second"}};
  Sender sender = Local();
  EXPECT_EQ(StatusOf(options, sender), 401);
  for (const char* wrong : {"Bearer ", "Bearer firs", "Bearer first ", "first",
                            "Bearer third", "Basic first"}) {
    sender.authorization = wrong;
    EXPECT_EQ(StatusOf(options, sender), 401) << wrong;
  }
  sender.authorization = "Bearer second";
  EXPECT_EQ(StatusOf(options, sender), 0);
  sender.authorization = "";
  sender.api_key = "first";
  EXPECT_EQ(StatusOf(options, sender), 0);
  sender.api_key = "";
  for (const char* path : {"/", "/health"}) {
    sender.path = path;
    EXPECT_EQ(StatusOf(options, sender), 0) << path;
  }
  for (const char* path : {"/metrics", "/slots", "/v1/models", "/v1/files"}) {
    sender.path = path;
    EXPECT_EQ(StatusOf(options, sender), 401) << path;
  }
}

TEST(AccessTest, PagesOfOtherOriginsMayNotAsk) {
  Sender sender = Local();
  sender.origin = "http://127.0.0.1:8080";
  EXPECT_EQ(StatusOf({}, sender), 0);
  sender.origin = "https://example.org";
  EXPECT_EQ(StatusOf({}, sender), 403);
  sender.origin = "null";
  EXPECT_EQ(StatusOf({}, sender), 403);
  sender.origin = "http://127.0.0.1:8081";
  EXPECT_EQ(StatusOf({}, sender), 403);
  sender.origin = "https://example.org";
  EXPECT_EQ(StatusOf({.origins = {"https://example.org"}}, sender), 0);
  EXPECT_EQ(StatusOf({.origins = {"*"}}, sender), 0);
}

TEST(AccessTest, ANameThatPointsHereIsNotThisMachine) {
  Sender sender = Local();
  for (const char* host : {"localhost", "LOCALHOST:80", "127.0.0.1",
                           "127.9.9.9:1", "[::1]:8080", "[::1]"}) {
    sender.host = host;
    EXPECT_EQ(StatusOf({}, sender), 0) << host;
  }
  for (const char* host :
       {"", "evil.example:8080", "127.0.0.1.evil.example", "127.evil.example",
        "localhost.evil.example", "[::2]", "10.0.0.1"}) {
    sender.host = host;
    EXPECT_EQ(StatusOf({}, sender), 403) << host;
    EXPECT_EQ(StatusOf({.loopback = false}, sender), 0) << host;
  }
}

}  // namespace
}  // namespace ropewalk::serve
