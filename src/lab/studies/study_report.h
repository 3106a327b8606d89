// A study's results for people: terminal, Markdown, one HTML page, pictures.

#ifndef ROPEWALK_LAB_STUDIES_STUDY_REPORT_H_
#define ROPEWALK_LAB_STUDIES_STUDY_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lab/studies/comparison.h"
#include "lab/studies/measurements.h"
#include "lab/studies/setting.h"
#include "lab/studies/study.h"

namespace ropewalk::lab::studies {

struct StudyResults {
  const Study* study = nullptr;
  const Setting* setting = nullptr;
  const Measurements* measured = nullptr;
  std::vector<Published> published;
};

// published | ours | same ordering?, rank correlations by column, and the
// claims, as aligned text.
std::string ResultText(const StudyResults& results);

// The same as Markdown, and every row that was measured.
std::string ResultMarkdown(const StudyResults& results);

// One self-contained page.
std::string ResultHtml(const StudyResults& results);

// "table.md" at the scale small, "table-smoke.md" at another.
std::string ResultName(const Setting& setting, const std::string& name,
                       const std::string& extension);

// The setting that rows were measured under; a given model's N is the least
// length of natural text among them. Throws as MakeSetting, and
// std::invalid_argument where there is none.
Setting ReportSetting(Scale scale, const Measurements& measured);

// Writes table.md, index.html and NAME.svg for every figure, and README.md
// where the folder has a page.md to fill (page.h). Throws IoError, and as
// FillPageOf.
void WriteResults(const StudyResults& results, const std::string& folder);

// N of the scales that pages speak of. Throws as MakeSetting.
std::map<std::string, int64_t> PageLengths();

// Required claims that do not hold or were not measured.
std::vector<std::string> FailedClaims(const StudyResults& results);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_STUDY_REPORT_H_
