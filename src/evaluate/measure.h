// Loss and accuracy by length and position scheme, the strict protocol.
//
// Of each document the last L + 1 ids are taken, the first L read and only the
// last S targets scored: the same targets at every length, so that a longer
// context can only help a model that uses it.

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

struct MeasureOptions {
  std::vector<position::Scheme> schemes;
  std::vector<std::string> spellings;  // of the schemes, as they were given
  std::vector<int64_t> lengths;        // tokens read
  int64_t score_last = 0;   // S; 0: the trained length or the least length
  bool repeat = false;      // also the last N ids repeated to every length
  int64_t by_position = 0;  // also the loss of each stretch of so many tokens
                            // of the longest length; 0: not
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
  std::vector<double> document_losses;  // mean loss of each, in their order
  std::optional<std::string> known_to_fail;  // the reason, where one is known
};

// Mean loss of the targets (from, to] of the longest length.
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

// Checks the options against model and documents and resolves what is needed,
// without reading a token. Throws std::invalid_argument: no documents long
// enough, an id outside the vocabulary, a length of 0, S above a length, a
// scheme that is not defined for the model.
class Measurement {
 public:
  Measurement(Scorer& scorer, std::vector<Document> documents,
              MeasureOptions options);

  // What Run will do, in the scorer's unit of work.
  double TotalWork() const;

  // Fills `result` row by row; what was finished stays in it when a callback
  // throws.
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
