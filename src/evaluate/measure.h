// Loss and accuracy by length and position scheme.
//
// The protocol takes the last L + 1 ids of each document, reads the first L of
// them, and scores only the last S targets. These are the same targets at every
// length, so that a longer context can only help a model that uses it.

#ifndef ROPEWALK_EVALUATE_MEASURE_H_
#define ROPEWALK_EVALUATE_MEASURE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evaluate/documents.h"
#include "evaluate/scorer.h"
#include "position/scheme.h"

namespace ropewalk::evaluate {

// Schemes of a measurement that names none.
const std::vector<std::string>& DefaultSpellings();

struct MeasureOptions {
  std::vector<position::Scheme> schemes;
  std::vector<std::string> spellings;  // of the schemes, as given
  std::vector<int64_t> lengths;        // tokens read
  int64_t score_last = 0;   // S; 0: the smaller of trained and least length
  bool repeat = false;      // also measure the last N ids repeated
  int64_t by_position = 0;  // also give the loss of each stretch of so many
                            // tokens of the longest length; 0: do not
};

struct MeasureRow {
  std::string position;  // as given
  std::string resolved;  // with every parameter
  std::string set;       // natural | repeated
  int64_t length = 0;
  int64_t tokens = 0;  // scored
  double loss = 0;     // nats
  double loss_stderr = 0;
  double accuracy = 0;
  double accuracy_stderr = 0;
  double seconds = 0;
  std::vector<double> document_losses;       // mean loss of each document
  std::optional<std::string> known_to_fail;  // the reason, if there is one
};

// The mean loss of the targets (from, to] of the longest length.
struct StretchRow {
  std::string position;
  int64_t length = 0;
  int64_t from = 0;  // tokens before the first target of the stretch
  int64_t to = 0;
  int64_t tokens = 0;
  double loss = 0;
  double loss_stderr = 0;
  double accuracy = 0;
};

struct MeasureResult {
  int64_t train_length = 0;
  int64_t score_last = 0;
  int64_t documents = 0;
  int64_t skipped = 0;  // documents too short for the longest length
  std::vector<MeasureRow> rows;
  std::vector<StretchRow> stretches;
};

struct MeasureCallbacks {
  OnTokens on_tokens = [](int64_t, double) {};
  std::function<void(const MeasureRow&)> on_row = [](const MeasureRow&) {};
  std::function<void(const std::string& what)> on_start =
      [](const std::string&) {};
};

// Checks the options against model and documents and resolves the schemes,
// before the model reads anything. Throws std::invalid_argument if no document
// is long enough, an id is outside the vocabulary, a length is 0, S is above a
// length, or a scheme is not defined for the model.
class Measurement {
 public:
  Measurement(Scorer& scorer, std::vector<Document> documents,
              MeasureOptions options);

  // The work of Run, in the scorer's unit.
  double TotalWork() const;

  // Fills `result` row by row. If a callback throws, the finished rows stay.
  void Run(const MeasureCallbacks& callbacks, MeasureResult& result);

 private:
  struct Job {
    size_t scheme = 0;
    position::Scheme resolved;
    position::Stack stack;
    int64_t length = 0;
    bool repeated = false;
    bool by_position = false;
  };

  MeasureRow RunJob(const Job& job, const MeasureCallbacks& callbacks,
                    std::vector<StretchRow>& stretches);

  Scorer& scorer_;
  MeasureOptions options_;
  std::vector<Document> documents_;
  int64_t skipped_ = 0;
  int64_t longest_ = 0;
  std::vector<Job> jobs_;
};

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_MEASURE_H_
