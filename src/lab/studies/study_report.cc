#include "lab/studies/study_report.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "lab/studies/page.h"
#include "lab/studies/rank_correlation.h"
#include "report/page.h"

namespace ropewalk::lab::studies {
namespace {

namespace fs = std::filesystem;

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    text += (text.empty() ? "" : "; ") + part;
  }
  return text;
}

std::vector<std::string> ModelNames(const Measurements& measured) {
  std::vector<std::string> names;
  for (const Measurement& line : measured.lines()) {
    if (line.model.empty()) continue;
    const std::string name =
        line.seed == 0
            ? line.model
            : line.model + " (seed " + std::to_string(line.seed) + ")";
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

// Pieces of text that rows were measured on: each gives as many targets as its
// model was trained to, or as are read.
int64_t DocumentsOf(const Measurements& measured, int64_t N) {
  int64_t documents = 0;
  for (const Measurement& line : measured.lines()) {
    if (line.set != "natural") continue;
    documents = std::max(
        documents, line.count / std::max<int64_t>(1, std::min(N, line.length)));
  }
  return documents;
}

std::vector<std::pair<std::string, std::string>> Facts(
    const StudyResults& results) {
  const Setting& setting = *results.setting;
  const Measurements& measured = *results.measured;
  const bool by_length = results.study->ByLength();
  std::vector<std::pair<std::string, std::string>> facts = {
      {"scale", measured.provenance().scale}};
  if (by_length) {
    facts.emplace_back("N, the base's trained length",
                       std::to_string(setting.N));
    facts.emplace_back("pieces of held-out text",
                       std::to_string(DocumentsOf(measured, setting.N)));
  }
  const std::string models = Joined(ModelNames(measured));
  if (!models.empty()) facts.emplace_back("models", models);
  if (by_length && setting.repeat_fraction > 0) {
    facts.emplace_back("training sequences that repeat a passage",
                       report::FormatValue(setting.repeat_fraction,
                                           report::NumberStyle::kPercent));
  }
  if (!results.study->OwnData().empty()) {
    facts.erase(facts.begin() + 1, facts.end());  // of models and texts
  }
  facts.emplace_back("data", measured.provenance().data);
  facts.emplace_back("hardware", Joined(measured.Hardware()));
  facts.emplace_back("command", Joined(measured.Commands()));
  return facts;
}

// A given model is not asked what it could not be.
bool MeasuredOnly(const StudyResults& results) {
  return results.setting->scale == Scale::kGiven;
}

report::Table Compared(const StudyResults& results) {
  return ComparisonTable(results.published, results.measured->lines(),
                         results.setting->N, MeasuredOnly(results));
}

report::Table Claimed(const StudyResults& results) {
  return ClaimsTable(results.study->Claims(*results.setting),
                     results.measured->lines(), MeasuredOnly(results));
}

report::Table Correlated(const StudyResults& results) {
  return RankTable(RankCorrelations(
      results.published, results.measured->lines(), results.setting->N));
}

report::Table AllOf(const StudyResults& results, const std::string& metric) {
  return MeasuredTable(results.measured->lines(), results.setting->N, metric);
}

// What is no loss or accuracy of a text: simulations, timings.
report::Table Others(const StudyResults& results) {
  report::Table table({{.name = "row"},
                       {.name = "model"},
                       {.name = "seed"},
                       {.name = "set"},
                       {.name = "length"},
                       {.name = "metric"},
                       {.name = "value", .digits = 4},
                       {.name = "stderr", .digits = 4}});
  for (const Measurement& line : results.measured->lines()) {
    if (line.set == "along" || line.set == "natural" ||
        line.set == "repeated" || line.set.ends_with("curve") ||
        line.set.ends_with("by layer") || line.set.starts_with("start by")) {
      continue;
    }
    table.AddRow({line.row, line.model.empty() ? "-" : line.model, line.seed,
                  line.set, line.length, line.metric, line.value, line.error});
  }
  return table;
}

constexpr const char* kReading =
    "A row is compared with every other published row of the same column: "
    "\"yes\" where each pair is ordered as published, ties aside. A tie is a "
    "difference within its 95 percent margin, which the two rows alone give: "
    "over the seeds that both have by a paired t-test, with one such seed by "
    "their standard errors over documents. Our repeated text is nothing but "
    "repeats; the posts mix it with natural text.";

constexpr const char* kRanks =
    "Spearman's rank correlation of our numbers with the published ones, for "
    "columns where at least four rows have both: 1 where all rows stand in the "
    "same order, 0 where ours says nothing of the published one. The rows of a "
    "column are means over the seeds that all of them have.";

constexpr const char* kJudged =
    "In brackets how a claim was judged, at 95 percent: over seeds by a "
    "t-test, paired where both sides have the seeds; with one seed by standard "
    "errors over documents, which know nothing of other seeds; \"seen once\" "
    "is one number a side without an error, \"exact\" an identity.";

}  // namespace

std::string ResultText(const StudyResults& results) {
  std::string text = results.study->title() + "\n\n";
  for (const NamedTable& named :
       results.study->Tables(*results.setting, *results.measured)) {
    text += named.title + "\n" + ToText(named.table) + "\n";
  }
  // Of a given model what was measured says more than what is published.
  if (MeasuredOnly(results)) {
    for (const char* metric : {"accuracy", "loss"}) {
      text +=
          std::string(metric) + "\n" + ToText(AllOf(results, metric)) + "\n";
    }
  }
  const report::Table compared = Compared(results);
  if (!compared.rows().empty()) text += ToText(compared) + "\n";
  const report::Table correlated = Correlated(results);
  if (!correlated.rows().empty()) text += ToText(correlated) + "\n";
  const report::Table claimed = Claimed(results);
  if (!claimed.rows().empty()) text += ToText(claimed) + "\n";
  return text;
}

std::string ResultMarkdown(const StudyResults& results) {
  std::string text =
      "# " + results.study->title() + "\n\n" + results.study->about() + "\n\n";
  for (const auto& [name, value] : Facts(results)) {
    text += "- " + name + ": " + value + "\n";
  }
  for (const NamedTable& named :
       results.study->Tables(*results.setting, *results.measured)) {
    text += "\n## " + named.title + "\n\n" + ToMarkdown(named.table) + "\n" +
            named.caption + "\n";
  }
  const report::Table compared = Compared(results);
  if (!compared.rows().empty()) {
    text += "\n## Published beside ours\n\nPublished: " +
            results.study->published_on() + ".\n\n" + ToMarkdown(compared) +
            "\n" + kReading + "\n";
  }
  const report::Table correlated = Correlated(results);
  if (!correlated.rows().empty()) {
    text += "\n" + ToMarkdown(correlated) + "\n" + kRanks + "\n";
  }
  text +=
      "\n## Claims\n\n" + ToMarkdown(Claimed(results)) + "\n" + kJudged + "\n";
  for (const auto& [metric, title] :
       {std::pair{"accuracy", "Accuracy, percent"},
        {"loss", "Loss, nats a token"}}) {
    const report::Table table = AllOf(results, metric);
    if (table.rows().empty()) continue;
    text += std::string("\n## ") + title + "\n\n" + ToMarkdown(table);
  }
  const report::Table others = Others(results);
  if (!others.rows().empty()) {
    text += "\n## Beside them\n\n" + ToMarkdown(others);
  }
  return text;
}

// "5 of 8 claims hold; 1 is a tie, 1 does not hold, 1 is not measured".
std::string ClaimsInWords(const StudyResults& results) {
  std::map<Verdict, int64_t> counts;
  int64_t all = 0;
  for (const Claim& claim : results.study->Claims(*results.setting)) {
    ++counts[Judge(results.measured->lines(), claim).verdict];
    ++all;
  }
  std::string text = std::to_string(counts[Verdict::kHolds]) + " of " +
                     std::to_string(all) + " claims hold";
  std::string others;
  for (const auto& [verdict, words] : {std::pair{Verdict::kTie, "tied"},
                                       {Verdict::kFails, "refuted"},
                                       {Verdict::kMissing, "not measured"}}) {
    if (counts[verdict] == 0) continue;
    others += (others.empty() ? "; " : ", ") + std::to_string(counts[verdict]) +
              " " + words;
  }
  return text + others;
}

std::string ResultHtml(const StudyResults& results) {
  report::Page page(results.study->title());
  page.AddParagraph(results.study->about());
  page.AddVerdict(ClaimsInWords(results),
                  "ropewalk-lab reproduce " + results.study->name());
  page.AddFacts(Facts(results));
  for (const NamedTable& named :
       results.study->Tables(*results.setting, *results.measured)) {
    page.AddHeading(named.title);
    page.AddTable(named.table, named.caption);
  }
  for (const Film& film :
       results.study->Films(*results.setting, *results.measured)) {
    page.AddFigure(film.html, film.caption);
  }
  for (const Figure& figure :
       results.study->Figures(*results.setting, *results.measured)) {
    if (figure.picture.empty()) continue;  // nothing measured yet
    page.AddFigure(figure.picture, figure.caption);
  }
  const report::Table compared = Compared(results);
  if (!compared.rows().empty()) {
    page.AddHeading("Published beside ours");
    page.AddParagraph("Published: " + results.study->published_on() + ".");
    page.AddTable(compared, kReading);
  }
  const report::Table correlated = Correlated(results);
  if (!correlated.rows().empty()) page.AddTable(correlated, kRanks);
  page.AddHeading("Claims");
  page.AddTable(Claimed(results), kJudged);
  page.AddHeading("Everything measured");
  page.AddTable(AllOf(results, "accuracy"), "Accuracy, percent");
  page.AddTable(AllOf(results, "loss"), "Loss, nats a token");
  const report::Table others = Others(results);
  if (!others.rows().empty()) page.AddTable(others);
  if (results.setting->scale != Scale::kGiven &&
      results.study->OwnData().empty()) {
    report::Page config;
    config.AddCode(results.setting->config);
    page.AddDetails("The base model's config", config);
  }
  return page.Html();
}

std::string ResultName(const Setting& setting, const std::string& name,
                       const std::string& extension) {
  const std::string scale =
      setting.scale == Scale::kSmall ? "" : "-" + ToString(setting.scale);
  return name + scale + extension;
}

Setting ReportSetting(Scale scale, const Measurements& measured) {
  if (scale != Scale::kGiven) return MakeSetting(scale);
  Setting setting{.scale = scale};
  int64_t longest = 0;
  for (const Measurement& line : measured.lines()) {
    longest = std::max(longest, line.length);
    if (line.set != "natural") continue;
    if (setting.N == 0 || line.length < setting.N) setting.N = line.length;
  }
  // A study that reads one length of a model.
  if (setting.N == 0) setting.N = longest;
  Require(setting.N > 0, "'" + measured.path() + "' has no row of a text");
  return setting;
}

void WriteResults(const StudyResults& results, const std::string& folder) {
  const auto write = [&](const std::string& name, const char* extension,
                         const std::string& text) {
    WriteFileAtomically(
        (fs::path(folder) / ResultName(*results.setting, name, extension))
            .string(),
        text);
  };
  for (const Figure& figure :
       results.study->Figures(*results.setting, *results.measured)) {
    if (!figure.picture.empty()) write(figure.name, ".svg", figure.picture.svg);
  }
  write("table", ".md", ResultMarkdown(results));
  write("index", ".html", ResultHtml(results));
  // The page speaks of two scales, so that it does not depend on which one was
  // asked for.
  if (results.setting->scale != Scale::kGiven &&
      fs::exists(fs::path(folder) / "page.md")) {
    WriteFileAtomically((fs::path(folder) / "README.md").string(),
                        FillPageOf(folder, PageLengths()));
  }
}

std::map<std::string, int64_t> PageLengths() {
  std::map<std::string, int64_t> lengths;
  for (const Scale scale : {Scale::kSmall, Scale::kPaper}) {
    lengths[ToString(scale)] = MakeSetting(scale).N;
  }
  return lengths;
}

std::vector<std::string> FailedClaims(const StudyResults& results) {
  std::vector<std::string> failed;
  for (const Claim& claim : results.study->Claims(*results.setting)) {
    if (!claim.required) continue;
    const ClaimResult result = Judge(results.measured->lines(), claim);
    if (result.verdict == Verdict::kHolds) continue;
    failed.push_back(
        claim.text + ": " + ToString(result.verdict) +
        (result.numbers.empty() ? "" : " (" + result.numbers + ")"));
  }
  return failed;
}

}  // namespace ropewalk::lab::studies
