#include "report/sections.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <stdexcept>

#include "base/atomic_file.h"
#include "base/text.h"
#include "report/page.h"

namespace ropewalk::report {

namespace fs = std::filesystem;

std::string ToText(const Report& report) {
  std::string text = report.title + "\n\n";
  for (const Section& section : report.sections) {
    if (!section.in_terminal || !section.table) continue;
    if (!section.heading.empty()) text += section.heading + "\n";
    text += ToText(*section.table) + "\n";
  }
  if (!report.verdict.empty()) text += report.verdict + "\n";
  if (!report.command.empty()) text += "  " + report.command + "\n";
  return text;
}

std::string ToMarkdown(const Report& report) {
  std::string text = "# " + report.title + "\n";
  if (!report.verdict.empty()) text += "\n**" + report.verdict + "**\n";
  if (!report.command.empty()) text += "\n    " + report.command + "\n";
  for (const Section& section : report.sections) {
    if (!section.heading.empty()) text += "\n## " + section.heading + "\n";
    for (const std::string& paragraph : section.paragraphs) {
      text += "\n" + paragraph + "\n";
    }
    if (!section.facts.empty()) text += "\n";
    for (const auto& [name, value] : section.facts) {
      text += "- " + name + (name.empty() ? "" : ": ") + value + "\n";
    }
    if (section.table) text += "\n" + ToMarkdown(*section.table);
    if (!section.caption.empty()) text += "\n" + section.caption + "\n";
  }
  return text;
}

std::string ToHtml(const Report& report) {
  Page page(report.title);
  if (!report.verdict.empty()) page.AddVerdict(report.verdict, report.command);
  for (const Section& section : report.sections) {
    if (!section.heading.empty()) page.AddHeading(section.heading);
    for (const std::string& paragraph : section.paragraphs) {
      page.AddParagraph(paragraph);
    }
    std::vector<std::pair<std::string, std::string>> named = section.facts;
    std::erase_if(named, [](const auto& fact) { return fact.first.empty(); });
    if (!named.empty()) page.AddFacts(named);
    for (const auto& [name, value] : section.facts) {
      if (name.empty()) page.AddCode(value);
    }
    if (section.table) page.AddTable(*section.table, section.caption);
    if (!section.figure.empty()) {
      page.AddFigure(section.figure, section.figure_caption);
    }
    if (!section.config.empty()) {
      Page inside;
      inside.AddCode(section.config);
      page.AddDetails(section.config_title, inside);
    }
  }
  return page.Html();
}

void WriteReport(const Report& report, const std::string& folder,
                 const std::string& suffix) {
  const auto write = [&](const std::string& name, const char* extension,
                         const std::string& text) {
    WriteFileAtomically(
        (fs::path(folder) / (name + suffix + extension)).string(), text);
  };
  for (const Section& section : report.sections) {
    if (section.figure.empty() || section.figure_name.empty()) continue;
    write(section.figure_name, ".svg", section.figure.svg);
  }
  write("table", ".md", ToMarkdown(report));
  write("index", ".html", ToHtml(report));
}

std::string FillPage(
    const std::string& page,
    const std::function<std::string(const std::string& inside)>& fill) {
  std::string filled;
  size_t at = 0;
  while (true) {
    const size_t open = page.find("{{", at);
    filled += page.substr(at, open - at);
    if (open == std::string::npos) return filled;
    const auto line = std::count(
        page.begin(), page.begin() + static_cast<int64_t>(open), '\n');
    const auto fail = [&](const std::string& why) {
      throw std::invalid_argument("page, line " + std::to_string(line + 1) +
                                  ": " + why);
    };
    const size_t close = page.find("}}", open);
    if (close == std::string::npos) fail("{{ without }}");
    const std::string inside = page.substr(open + 2, close - open - 2);
    try {
      filled += fill(inside);
    } catch (const std::invalid_argument& error) {
      fail("{{" + Printable(inside, 120) + "}}: " + error.what());
    }
    at = close + 2;
    if (filled.ends_with('\n') && at < page.size() && page[at] == '\n') ++at;
  }
}

}  // namespace ropewalk::report
