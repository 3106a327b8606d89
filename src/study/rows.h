// The rows of the study `real`: one for each text read under one scheme at one
// length, in a CSV that grows while the study runs.
//
// A study that was interrupted goes on from what the file has; a row that is
// there is not measured again. What the rows come from (model, texts, machine,
// command) stands once for each run in runs.csv beside it.

#ifndef ROPEWALK_STUDY_ROWS_H_
#define ROPEWALK_STUDY_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "evaluate/reading.h"
#include "study/runs.h"

namespace ropewalk::study {

// Answers are kept one by one: '1' right, '0' wrong.
struct Row {
  int64_t run = 0;       // index into the runs
  std::string set;       // "novels": the folder of the text
  std::string document;  // "ENG18400_Trollope.txt.gz 1/2"
  std::string scheme;    // as it is called in tables: "ReRoPE w=N/2"
  std::string position;  // with every parameter
  int64_t length = 0;
  int64_t scored = 0;  // targets at the end of the text
  double loss = 0;     // nats a target
  double accuracy = 0;
  int64_t rare = 0;  // targets that occurred only more than N tokens ago
  double rare_loss = 0;
  double passage_loss = 0;
  double passage_accuracy = 0;
  std::string needles;                // by place, the first first
  std::vector<double> needle_losses;  // nats a token of the number
  std::vector<int64_t> distances;     // of the needles, tokens to the end
  std::string traces;                 // no step, one, two; chain after chain
  double seconds = 0;                 // of reading the text
  int64_t kv_bytes = 0;
};

// What a reading gave, as a row; names and positions are left to the caller.
Row RowOf(const evaluate::Reading& reading,
          const evaluate::ReadingScores& scores,
          const std::vector<int64_t>& rare);

// One process at a time.
class Rows {
 public:
  // Reads FOLDER/measured.csv and runs.csv where they exist. Throws IoError,
  // and FormatError for files that are none of ours.
  explicit Rows(const std::string& folder);

  // As Runs::IndexOf.
  int64_t RunOf(const Run& run) { return runs_.IndexOf(run); }

  // The row of that text, scheme and length; null if there is none.
  const Row* Find(const std::string& set, const std::string& document,
                  const std::string& scheme, int64_t length) const;

  // Writes both files anew, atomically. Throws IoError; the old ones are then
  // still there. The row must be new.
  void Add(Row row);

  const std::vector<Run>& runs() const { return runs_.list(); }
  const std::vector<Row>& rows() const { return rows_; }

 private:
  void Write() const;

  std::string folder_;
  Runs runs_;
  std::vector<Row> rows_;
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_ROWS_H_
