// The study `memories` for people: tables, a picture and the page.

#ifndef ROPEWALK_STUDY_MEMORY_REPORT_H_
#define ROPEWALK_STUDY_MEMORY_REPORT_H_

#include <cstdint>
#include <string>

#include "report/table.h"
#include "study/memory_rows.h"

namespace ropewalk::study {

// The conditions of a setting over the documents that all of them have read:
// the losses, and how far the text that goes on is from that without memories,
// as a paired difference.
report::Table MemoryTable(const MemoryRows& rows, const std::string& setting);

// What is read alone against the other chief ways: differences paired by
// document, with the margin that a difference which is really none stays within
// in 95 of 100 cases.
report::Table MemoryDifferences(const MemoryRows& rows,
                                const std::string& setting);

// SVG: what goes on against what is repeated, a point a condition; empty
// without rows.
std::string MemoryPicture(const MemoryRows& rows, const std::string& setting);

// `page` with each {{MODEL | SETTING}} replaced by its table,
// {{MODEL | SETTING | differences}} by that of differences,
// {{MODEL | SETTING | documents}} by the number of documents,
// {{MODEL | SETTING | needles}} by what is found and {{MODEL | speed}} by the
// table of time and bytes. Throws std::invalid_argument for what no row says.
std::string FillMemoryPage(const std::string& page, const std::string& folder);

// Draws the picture of each model and setting in `folder`, and fills README.md
// from page.md where there is one. Throws IoError, and std::invalid_argument
// without rows.
void WriteMemoryReport(const std::string& folder);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_MEMORY_REPORT_H_
