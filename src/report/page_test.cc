#include "report/page.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "report/heat_map.h"
#include "report/line_plot.h"
#include "report/xml_for_test.h"

namespace ropewalk::report {
namespace {

const std::string kHostile = "</title><script>alert(1)</script>&\"'\x01\xff";

Page FullPage() {
  Page page("Report " + kHostile);
  page.AddHeading(kHostile);
  page.AddParagraph(kHostile);
  page.AddFacts({{kHostile, kHostile}, {"model", "m.gguf"}});
  Table table({{kHostile}, {"loss"}});
  table.AddRow({kHostile, 2.1});
  page.AddTable(table, kHostile);
  page.AddFigure(ToSvg(LinePlot{.title = kHostile,
                                .x = {.label = kHostile},
                                .y = {.label = kHostile},
                                .series = {{kHostile, {{1, 2}}}},
                                .x_markers = {{1, kHostile}},
                                .y_markers = {{2, kHostile}}}),
                 kHostile);
  page.AddFigure(ToSvg(
      HeatMap{kHostile, kHostile, kHostile, {kHostile}, {kHostile}, {{0.5}}}));
  page.AddCode("line 1\n  " + kHostile);
  Page inside;
  inside.AddParagraph(kHostile);
  page.AddDetails(kHostile, inside);
  return page;
}

TEST(PageTest, HostileTextIsEscaped) {
  std::vector<XmlElement> elements;
  ASSERT_NO_THROW(elements = XmlReader::Read(FullPage().Html()));
  for (const XmlElement& element : elements) EXPECT_NE(element.name, "script");
}

TEST(PageTest, NothingIsLoadedFromElsewhere) {
  const std::string html = FullPage().Html();
  for (const std::string part : {"src=", "href=", "url(", "@import"}) {
    EXPECT_EQ(html.find(part), std::string::npos) << part;
  }
}

TEST(PageTest, DocumentSupportsSmallDarkAndPrintedMedia) {
  const std::string html = Page("Title").Html();
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  for (const std::string part :
       {"<meta charset=\"utf-8\"/>", "name=\"viewport\"",
        "prefers-color-scheme:dark", "@media print", "<h1>Title</h1>"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
}

TEST(PageTest, PartsKeepTheirOrderAndLineBreaks) {
  Page page("t");
  page.AddParagraph("first");
  page.AddCode("a \\\n  b");
  page.AddParagraph("last");
  const std::string html = page.Html();
  EXPECT_LT(html.find("first"), html.find("a \\\n  b"));
  EXPECT_LT(html.find("a \\\n  b"), html.find("last"));
}

TEST(PageTest, TelephonesGetTheirOwnPicture) {
  Page page("t");
  page.AddFigure(Picture("<svg>all</svg>", "<svg>small</svg>"));
  const std::string html = page.Html();
  EXPECT_NE(html.find("<div class=\"wide\">\n<svg>all"), std::string::npos);
  EXPECT_NE(html.find("<div class=\"narrow\">\n<svg>small"), std::string::npos);
  Page one("t");
  one.AddFigure(std::string("<svg>all</svg>"));
  EXPECT_EQ(one.Html().find("class=\"wide\""), std::string::npos);
}

TEST(PageTest, EmptyPageHasATitle) {
  const std::string html = Page().Html();
  EXPECT_NO_THROW(XmlReader::Read(html));
  EXPECT_NE(html.find("<title>Ropewalk</title>"), std::string::npos);
}

}  // namespace
}  // namespace ropewalk::report
