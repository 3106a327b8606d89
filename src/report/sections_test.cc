#include "report/sections.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace ropewalk::report {
namespace {

Table OneCell(const char* text) {
  Table table({{.name = "column"}});
  table.AddRow({text});
  return table;
}

Report Example() {
  return {
      .title = "The title",
      .sections = {
          {.paragraphs = {"What is asked."},
           .facts = {{"N", "512"}, {"", "a command"}}},
          {.heading = "First", .table = OneCell("one"), .caption = "Of one."},
          {.heading = "Second", .table = OneCell("two"), .in_terminal = false},
          {.figure = std::string("<svg>picture</svg>"),
           .figure_name = "figure",
           .figure_caption = "A picture."}}};
}

TEST(SectionsTest, MarkdownHasAllButPictures) {
  EXPECT_EQ(ToMarkdown(Example()),
            "# The title\n\nWhat is asked.\n\n- N: 512\n- a command\n\n"
            "## First\n\n" +
                ToMarkdown(OneCell("one")) + "\nOf one.\n\n## Second\n\n" +
                ToMarkdown(OneCell("two")));
}

TEST(SectionsTest, WhatItComesToIsSaidEverywhere) {
  Report report = Example();
  report.verdict = "rerope holds to 8N";
  report.command = "ropewalk run --position rerope";
  EXPECT_TRUE(ToText(report).ends_with(
      "rerope holds to 8N\n  ropewalk run --position rerope\n"));
  EXPECT_TRUE(
      ToMarkdown(report).starts_with("# The title\n\n**rerope holds to 8N**\n\n"
                                     "    ropewalk run --position rerope\n"));
  const std::string html = ToHtml(report);
  const size_t verdict = html.find("<p>rerope holds to 8N</p>");
  ASSERT_NE(verdict, std::string::npos);
  EXPECT_LT(verdict, html.find("What is asked."));
  EXPECT_EQ(ToHtml(Example()).find("<div class=\"verdict\">"),
            std::string::npos);
}

TEST(SectionsTest, TerminalsGetTheTablesThatAreForThem) {
  EXPECT_EQ(ToText(Example()),
            "The title\n\nFirst\n" + ToText(OneCell("one")) + "\n");
}

TEST(SectionsTest, HtmlHasAllOfIt) {
  const std::string html = ToHtml(Example());
  for (const char* part :
       {"The title", "What is asked.", "512", "a command", "First", "Of one.",
        "two", "<svg>picture</svg>", "A picture."}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
}

TEST(SectionsTest, FilesAreNamedByTheirSuffix) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "sections";
  fs::create_directories(folder);
  WriteReport(Example(), folder.string(), "-smoke");
  EXPECT_TRUE(fs::exists(folder / "table-smoke.md"));
  EXPECT_TRUE(fs::exists(folder / "index-smoke.html"));
  EXPECT_TRUE(fs::exists(folder / "figure-smoke.svg"));
  fs::remove_all(folder);
}

TEST(FillPageTest, PutsInWhatIsAskedForAndNamesTheLineOfAMistake) {
  const auto fill = [](const std::string& inside) -> std::string {
    if (inside == "table") return "| a |\n";
    if (inside == "number") return "42";
    throw std::invalid_argument("no row of it");
  };
  EXPECT_EQ(FillPage("It is {{number}}.\n{{table}}\nEnd\n", fill),
            "It is 42.\n| a |\nEnd\n");
  for (const char* wrong : {"\n{{nothing}}", "\n{{number"}) {
    try {
      (void)FillPage(wrong, fill);
      ADD_FAILURE() << wrong;
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(std::string(error.what()).find("page, line 2: "), 0u)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace ropewalk::report
