#include "base/base64.h"

#include <gtest/gtest.h>

#include <string>

namespace ropewalk {
namespace {

// RFC 4648, section 10.
TEST(Base64Test, IsTheStandards) {
  EXPECT_EQ(EncodeBase64(""), "");
  EXPECT_EQ(EncodeBase64("f"), "Zg==");
  EXPECT_EQ(EncodeBase64("fo"), "Zm8=");
  EXPECT_EQ(EncodeBase64("foo"), "Zm9v");
  EXPECT_EQ(EncodeBase64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(EncodeBase64("\xff\xfe\xfd"), "//79");
}

TEST(Base64Test, DecodingIsTheInverse) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(DecodeBase64(EncodeBase64(bytes)), bytes);
    bytes += static_cast<char>(i * 7);
  }
}

TEST(Base64Test, OtherTextsAreRefused) {
  EXPECT_EQ(DecodeBase64("Zg="), std::nullopt);
  EXPECT_EQ(DecodeBase64("Zg=a"), std::nullopt);
  EXPECT_EQ(DecodeBase64("Z g="), std::nullopt);
  EXPECT_EQ(DecodeBase64("===="), std::nullopt);
}

}  // namespace
}  // namespace ropewalk
