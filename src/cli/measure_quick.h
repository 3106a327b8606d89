// `measure --quick`: which scheme to use on a text of the user's own.

#ifndef ROPEWALK_CLI_MEASURE_QUICK_H_
#define ROPEWALK_CLI_MEASURE_QUICK_H_

#include <string>

#include "cli/measure_run.h"

namespace ropewalk::cli {

struct QuickJob {
  bool on = false;
  double seconds = 60;
};

// Prints rows as they come, then the table and what to use. Throws what went
// wrong; on Ctrl-C prints what is measured first, then throws Interrupted.
void MeasureQuickly(const MeasureJob& job, const QuickJob& quick);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_MEASURE_QUICK_H_
