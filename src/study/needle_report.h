// What is found among many documents and what memories cost, as tables.

#ifndef ROPEWALK_STUDY_NEEDLE_REPORT_H_
#define ROPEWALK_STUDY_NEEDLE_REPORT_H_

#include <string>
#include <vector>

#include "report/table.h"
#include "study/memory_rows.h"

namespace ropewalk::study {

// The conditions of a setting, ours and other programs': what part of the
// numbers is found, and how far that is from the part found beside all
// documents attached, paired by question.
report::Table NeedleTable(const NeedleRows& rows,
                          const std::vector<PeerRow>& peers,
                          const std::string& setting);

// A row for each length: a text under ReRoPE against memories.
report::Table SpeedTable(const SpeedRows& rows);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_NEEDLE_REPORT_H_
