// A measurement from start to finish, for `measure` and `demo`.

#ifndef ROPEWALK_CLI_MEASURE_RUN_H_
#define ROPEWALK_CLI_MEASURE_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cli/memory_options.h"
#include "cli/options.h"

namespace ropewalk::cli {

inline constexpr int64_t kMostDocuments = int64_t{1} << 30;

struct MeasureJob {
  ModelOptions model;
  KvOptions kv;
  MemoryOptions memory;
  std::vector<std::string> texts;
  std::vector<std::string> id_files;
  std::vector<std::string> spellings;
  std::vector<std::string> lengths;
  std::string score_last;
  std::string by_position;
  int64_t documents = 0;  // 0: what the model's size lets read in minutes
  double seconds = 0;     // no reading begins that would end later; 0: all
  bool repeat = false;
  std::string json;
  std::string csv;
  std::string html;
  std::string svg;
  std::string command;  // for the page
};

// Prints the tables and writes the files asked for. Throws what went wrong;
// on Ctrl-C writes the finished rows first, then throws Interrupted.
void RunMeasure(const MeasureJob& job);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_MEASURE_RUN_H_
