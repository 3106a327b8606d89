// From the names of studies to their tables: trains what is missing, measures
// what is missing, writes what there is.

#ifndef ROPEWALK_LAB_STUDIES_REPRODUCE_H_
#define ROPEWALK_LAB_STUDIES_REPRODUCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lab/studies/setting.h"

namespace ropewalk::lab::studies {

struct ReproduceOptions {
  std::vector<std::string> studies;
  Scale scale = Scale::kSmall;
  std::string out = "out/reproduce";
  std::string corpus;             // folder with train/ and heldout/
  std::vector<std::string> only;  // models, as base or base-s2; empty: all
  bool report = false;            // tables of what there is, nothing trained
  std::string model;              // a file of the user's
  std::string text;               // for it
  int64_t train_length = 0;       // of it; 0: the file's
  int64_t documents = 0;          // 0: as the scale says
  int64_t threads = 0;            // 0: all cores
  std::string device;             // trained and scored on; empty: the config's
};

// Prints the tables to stdout and the rest to stderr. Throws what went wrong;
// every finished row is on disk then. std::runtime_error where a claim that
// must hold does not.
void Reproduce(const ReproduceOptions& options);

// One line a study, for `ropewalk reproduce` alone.
std::string StudyList();

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_REPRODUCE_H_
