// The rows of a measurement that was stopped, from its JSON file, so that the
// same command goes on where it ended.

#ifndef ROPEWALK_CLI_MEASURE_KNOWN_H_
#define ROPEWALK_CLI_MEASURE_KNOWN_H_

#include <string>
#include <vector>

#include "evaluate/measure.h"

namespace ropewalk::cli {

struct KnownRows {
  std::vector<evaluate::MeasureRow> rows;
  std::vector<evaluate::StretchRow> stretches;
};

// Rows of the file at `path` if it is there, was written by a run of `measure`
// that was stopped, and names the same `measurement` (a digest of all that
// rows depend on beside scheme and length). Else nothing; other files are no
// error, since the measurement will replace them.
KnownRows ReadKnownRows(const std::string& path,
                        const std::string& measurement);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_MEASURE_KNOWN_H_
