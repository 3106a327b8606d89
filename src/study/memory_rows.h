// The rows of the study `memories` (memories.h), in measured.csv and runs.csv.

#ifndef ROPEWALK_STUDY_MEMORY_ROWS_H_
#define ROPEWALK_STUDY_MEMORY_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "study/runs.h"

namespace ropewalk::study {

// One document under one condition.
struct MemoryRow {
  int64_t run = 0;          // index of runs.csv
  std::string document;     // the file
  std::string setting;      // "4x1024"
  std::string condition;    // as tables call it
  std::string law;          // of memories; empty where there are none
  double goes_on_loss = 0;  // nats
  double goes_on_accuracy = 0;
  double repeats_loss = 0;
  double repeats_accuracy = 0;
};

// One process at a time.
class MemoryRows {
 public:
  // Reads FOLDER/measured.csv and runs.csv where they exist. Throws IoError,
  // and FormatError for files that are none of ours.
  explicit MemoryRows(const std::string& folder);

  // Throws like Runs::IndexOf.
  int64_t RunOf(const Run& run) { return runs_.IndexOf(run); }
  const MemoryRow* Find(const std::string& document, const std::string& setting,
                        const std::string& condition) const;
  // Writes both files anew. Throws IoError. The row must be new.
  void Add(MemoryRow row);

  const Runs& runs() const { return runs_; }
  const std::vector<MemoryRow>& rows() const { return rows_; }

 private:
  std::string folder_;
  Runs runs_;
  std::vector<MemoryRow> rows_;
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_MEMORY_ROWS_H_
