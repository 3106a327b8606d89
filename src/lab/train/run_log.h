// What a run did, a JSON object a line, and the page that shows it.

#ifndef ROPEWALK_LAB_TRAIN_RUN_LOG_H_
#define ROPEWALK_LAB_TRAIN_RUN_LOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "evaluate/measure.h"

namespace ropewalk::lab::train {

struct StepRecord {
  int64_t step = 0;
  int64_t tokens = 0;
  double loss = 0;  // mean over the steps since the last record
  double learning_rate_factor = 0;
  double gradient_norm = 0;
  double seconds = 0;            // of training, from its start
  double tokens_per_second = 0;  // since the last record
  double largest_embedding = 0;  // max |E|
  int64_t rows_at_limit = 0;     // of E: base/row_limit.h
};

struct EvaluationRecord {
  int64_t step = 0;
  std::vector<evaluate::MeasureRow> rows;
};

// Appends to FOLDER/log.jsonl. One thread at a time.
class RunLog {
 public:
  // Keeps the records up to `step` of a log that is there already: what came
  // later was not in the checkpoint and will come again.
  RunLog(const std::string& folder, int64_t step);

  void Add(const StepRecord& record);
  void Add(const EvaluationRecord& record);

  const std::vector<StepRecord>& steps() const { return steps_; }
  const std::vector<EvaluationRecord>& evaluations() const {
    return evaluations_;
  }

 private:
  void Append(const std::string& line);

  std::string path_;
  std::vector<StepRecord> steps_;
  std::vector<EvaluationRecord> evaluations_;
};

struct PageFacts {
  std::string name;
  std::vector<std::pair<std::string, std::string>> facts;
  std::string config;
  int64_t train_length = 0;
};

// Loss curves, the last evaluation as a table, its history as curves.
std::string RunPage(const RunLog& log, const PageFacts& facts);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_RUN_LOG_H_
