// The rows of the study `memories` (memories.h, needles.h, memory_speed.h).

#ifndef ROPEWALK_STUDY_MEMORY_ROWS_H_
#define ROPEWALK_STUDY_MEMORY_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "report/table.h"
#include "study/cells.h"
#include "study/row_file.h"

namespace ropewalk::study {

// One document under one condition (measured.csv).
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

  static std::vector<report::Column> Columns();
  static MemoryRow From(Cells& cells);
  std::vector<report::Cell> ToCells() const;
  bool Same(const MemoryRow& other) const;
};

class MemoryRows : public RowFile<MemoryRow> {
 public:
  explicit MemoryRows(const std::string& folder)
      : RowFile(folder, "measured.csv") {}

  const MemoryRow* Find(const std::string& document, const std::string& setting,
                        const std::string& condition) const;
};

// Questions about many documents under one condition (needles.csv).
struct NeedleRow {
  int64_t run = 0;
  std::string setting;    // "50x400"
  std::string condition;  // as tables call it
  std::string law;        // of memories, or the positions of one text
  std::string found;      // a 1 for each question whose number was right, or 0
  double digits = 0;      // part of the numbers' tokens that were right
  double loss = 0;        // nats, mean over these tokens
  double read = 0;        // tokens read from question to first token, mean
  // Processor seconds from the question to the first token, median.
  double first_seconds = 0;
  double token_seconds = 0;  // a token of the answer, median

  static std::vector<report::Column> Columns();
  static NeedleRow From(Cells& cells);
  std::vector<report::Cell> ToCells() const;
  bool Same(const NeedleRow& other) const;
};

class NeedleRows : public RowFile<NeedleRow> {
 public:
  explicit NeedleRows(const std::string& folder)
      : RowFile(folder, "needles.csv") {}
};

// Another program's answers to the same questions (peers.csv, which
// bench/peers/needles.py writes).
struct PeerRow {
  std::string program;  // with its version
  std::string setting;  // as in NeedleRow
  std::string condition;
  std::string found;
  double read = 0;
  double first_seconds = 0;
};

// None without a file. Throws IoError and FormatError.
std::vector<PeerRow> ReadPeerRows(const std::string& folder);

// A text of so many tokens, and the same tokens in a memory, in turns
// (speed.csv). Times are of the processor.
struct SpeedRow {
  int64_t run = 0;
  int64_t tokens = 0;
  double text_read = 0;      // seconds
  double memory_read = 0;    // seconds, `remember`
  double text_first = 0;     // seconds to the first token of a question
  double memory_first = 0;   // the same, with opening and attaching the file
  double text_decode = 0;    // tokens a second, median of rounds
  double memory_decode = 0;  // the same
  double ratio = 0;          // time of memories over text, median of rounds
  int64_t text_bytes = 0;    // of keys and values
  int64_t memory_bytes = 0;  // of the file

  static std::vector<report::Column> Columns();
  static SpeedRow From(Cells& cells);
  std::vector<report::Cell> ToCells() const;
  bool Same(const SpeedRow& other) const;
};

class SpeedRows : public RowFile<SpeedRow> {
 public:
  explicit SpeedRows(const std::string& folder)
      : RowFile(folder, "speed.csv") {}
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_MEMORY_ROWS_H_
