#include "report/markup.h"

#include <gtest/gtest.h>

namespace ropewalk::report {
namespace {

TEST(MarkupTest, EscapesTheFiveSpecialCharactersOfXml) {
  EXPECT_EQ(EscapeXml("a<b> & \"c\" 'd'"),
            "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
}

TEST(MarkupTest, ReplacesCharactersThatXmlForbids) {
  EXPECT_EQ(EscapeXml(std::string_view("a\0b\x1b[31m\tc\n", 11)),
            "a\uFFFDb\uFFFD[31m\tc\n");
  EXPECT_EQ(EscapeXml("\xff\xc3("), "\uFFFD\uFFFD(");
  EXPECT_EQ(EscapeXml("\xef\xbf\xbf"), "\uFFFD");
}

TEST(MarkupTest, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("rope"), 4);
  EXPECT_EQ(DisplayWidth("\u4f4d\u7f6e"), 4);        // two ideographs
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);             // combining accent
  EXPECT_EQ(DisplayWidth("\U0001f600"), 2);          // emoji
  EXPECT_EQ(DisplayWidth("\u00e9\u03b8\u2264"), 3);  // é θ ≤
  EXPECT_EQ(DisplayWidth("\xff"), 1);                // shown as U+FFFD
}

TEST(MarkupTest, ShortenedTextKeepsBothEndsAndFits) {
  EXPECT_EQ(Shorten("rerope", 6), "rerope");
  EXPECT_EQ(Shorten("rerope:window=128", 9), "rero\u2026=128");
  EXPECT_EQ(Shorten("rope", 1), "\u2026");
  EXPECT_EQ(Shorten("rope", 0), "");
  for (int64_t columns = 0; columns < 12; ++columns) {
    EXPECT_LE(DisplayWidth(Shorten("\u4f4d\u7f6e\u7f16\u7801\u4f4d", columns)),
              columns);
  }
}

}  // namespace
}  // namespace ropewalk::report
