#include "report/page.h"

#include "report/markup.h"

namespace ropewalk::report {
namespace {

constexpr std::string_view kPageStyle = R"(
:root{color-scheme:light dark;--bg:#fff;--ink:#1f2328;--soft:#59636e;
--rule:#d8dee4;--fill:#f6f8fa}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--ink:#e6edf3;
--soft:#9198a1;--rule:#2a313a;--fill:#161b22}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}
main{max-width:64rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 1rem;text-wrap:balance}
h2{font-size:1.3rem;margin:2.5rem 0 .75rem}
p{max-width:44rem;margin:.75rem 0}
h1,h2,p,dd,figcaption{overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1.25rem;
margin:1rem 0}
dt{color:var(--soft)}
dd{margin:0;font-variant-numeric:tabular-nums}
figure{margin:1.5rem 0}
.scroll{overflow-x:auto}
figcaption{color:var(--soft);font-size:.9rem;margin-top:.5rem;max-width:44rem}
svg.rw{display:block;max-width:100%;margin-left:-14px;height:auto}
.narrow{display:none}
.verdict{border-left:4px solid #0969da;background:var(--fill);
border-radius:0 6px 6px 0;padding:.2rem 1rem;margin:1.5rem 0}
.verdict p{font-weight:600}
.verdict pre{white-space:pre-wrap;overflow-wrap:anywhere}
table{border-collapse:collapse;font-size:.92rem}
th,td{padding:.35rem .9rem .35rem 0;text-align:left;white-space:nowrap;
border-bottom:1px solid var(--rule)}
th{border-bottom:2px solid var(--rule);font-weight:600}
th.number,td.number{text-align:right;padding:.35rem .9rem .35rem .6rem;
font-variant-numeric:tabular-nums}
tbody tr:hover{background:var(--fill)}
pre{background:var(--fill);border:1px solid var(--rule);border-radius:6px;
padding:.8rem 1rem;overflow-x:auto;
font:.85rem/1.5 ui-monospace,'SFMono-Regular','DejaVu Sans Mono',monospace}
details{border:1px solid var(--rule);border-radius:6px;padding:.6rem 1rem;
margin:1rem 0}
summary{cursor:pointer;font-weight:600}
@media (max-width:40rem){main{padding:1.5rem 1.25rem 3rem}
.wide{display:none}.narrow{display:block}svg.rw{margin-left:-10px}
table{font-size:.82rem}td,th{padding-right:.6rem;white-space:normal}
td.number,th.number{white-space:nowrap;padding:.35rem .6rem .35rem .3rem}
td:first-child,th:first-child{position:sticky;left:0;background:var(--bg);
min-width:6.5rem;max-width:9rem;overflow-wrap:anywhere}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
@media print{main{max-width:none;padding:0}figure{break-inside:avoid}
h2{break-after:avoid}.scroll,pre{overflow:visible}pre{white-space:pre-wrap}
.wide{display:block}.narrow{display:none}table{font-size:.7rem}
th,td{white-space:normal}.verdict,tr{break-inside:avoid}
thead{display:table-header-group}}
)";

std::string Element(std::string_view tag, std::string_view text) {
  const std::string name(tag);
  return "<" + name + ">" + EscapeXml(text) + "</" + name + ">\n";
}

// A figure whose content scrolls sideways on small screens. The tab stop lets
// keyboard users scroll it.
std::string Figure(std::string_view content, std::string_view caption) {
  std::string out = "<figure>\n<div class=\"scroll\" tabindex=\"0\">\n";
  out += content;
  out += "</div>\n";
  if (!caption.empty()) out += Element("figcaption", caption);
  return out + "</figure>\n";
}

}  // namespace

Page::Page(std::string_view title) : title_(title) {}

void Page::AddHeading(std::string_view text) { body_ += Element("h2", text); }

void Page::AddParagraph(std::string_view text) { body_ += Element("p", text); }

void Page::AddFacts(
    const std::vector<std::pair<std::string, std::string>>& facts) {
  body_ += "<dl>\n";
  for (const auto& [name, value] : facts) {
    body_ += Element("dt", name) + Element("dd", value);
  }
  body_ += "</dl>\n";
}

void Page::AddTable(const Table& table, std::string_view caption) {
  body_ += Figure(ToHtml(table), caption);
}

void Page::AddFigure(const Picture& picture, std::string_view caption) {
  if (picture.narrow.empty()) {
    body_ += Figure(picture.svg, caption);
    return;
  }
  body_ += Figure("<div class=\"wide\">\n" + picture.svg +
                      "</div>\n<div class=\"narrow\">\n" + picture.narrow +
                      "</div>\n",
                  caption);
}

void Page::AddVerdict(std::string_view text, std::string_view command) {
  body_ += "<div class=\"verdict\">\n" + Element("p", text);
  if (!command.empty()) AddCode(command);
  body_ += "</div>\n";
}

// HTML drops a line break directly behind <pre>, but keeps it behind <code>.
void Page::AddCode(std::string_view text) {
  body_ += "<pre><code>" + EscapeXml(text) + "</code></pre>\n";
}

void Page::AddDetails(std::string_view summary, const Page& inside) {
  body_ += "<details>\n" + Element("summary", summary) + inside.body_ +
           "</details>\n";
}

std::string Page::Html() const {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
      "<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"/>\n";
  out += Element("title", title_.empty() ? "Ropewalk" : title_);
  out += "<style>" + std::string(kPageStyle) +
         "</style>\n</head>\n<body>\n<main>\n";
  if (!title_.empty()) out += Element("h1", title_);
  return out + body_ + "</main>\n</body>\n</html>\n";
}

}  // namespace ropewalk::report
