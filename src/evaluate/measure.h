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
#include "evaluate/statistics.h"
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

// The work of one document of a length under a scheme, in all: for plans made
// before there are documents.
Workload WorkOf(const Scorer& scorer, const position::Scheme& scheme,
                int64_t length, int64_t scored);

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
  std::vector<std::string> unread;  // "rope at 4096": no time was left for it
  std::vector<MeasureRow> rows;
  std::vector<StretchRow> stretches;
};

struct MeasureCallbacks {
  OnTokens on_tokens = [](int64_t, const Workload&) {};
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
  Workload TotalWork() const;

  // Rows of an earlier run of the same measurement, which Run takes over. Rows
  // that this one does not have are left out.
  void Know(std::vector<MeasureRow> rows, std::vector<StretchRow> stretches);
  int64_t known() const { return static_cast<int64_t>(known_.size()); }
  int64_t rows() const { return static_cast<int64_t>(jobs_.size()); }
  int64_t documents() const { return static_cast<int64_t>(documents_.size()); }

  // Fills `result` row by row. If a callback throws, the finished rows stay.
  void Run(const MeasureCallbacks& callbacks, MeasureResult& result);

  // Reads what ends within `seconds`, going by what was read before: first one
  // document, short lengths first, under at least two schemes; then more
  // documents, each under all that the first one was read under. `clock` gives
  // the seconds since the beginning. If a callback throws, the documents that
  // were read to the end stay.
  void RunWithin(double seconds, const std::function<double()>& clock,
                 const MeasureCallbacks& callbacks, MeasureResult& result);

 private:
  struct Job {
    size_t scheme = 0;
    position::Scheme resolved;
    position::Stack stack;
    int64_t length = 0;
    bool repeated = false;
    bool by_position = false;
  };

  // What has been read of a job.
  struct Tally {
    ScoreSummary all;
    std::vector<ScoreSummary> parts;
    double seconds = 0;
  };

  Workload WorkOf(const Job& job) const;  // for each document
  std::string NameOf(const Job& job) const;
  void Begin(MeasureResult& result) const;
  void ReadDocument(const Job& job, const Document& document,
                    const MeasureCallbacks& callbacks, Tally& tally);
  MeasureRow RowOf(const Job& job, const Tally& tally) const;
  // Appends the row and its stretches.
  void Report(const Job& job, const Tally& tally, MeasureResult& result) const;
  const MeasureRow* KnownRow(const Job& job) const;

  Scorer& scorer_;
  MeasureOptions options_;
  std::vector<Document> documents_;
  int64_t skipped_ = 0;
  int64_t longest_ = 0;
  std::vector<Job> jobs_;
  std::vector<MeasureRow> known_;
  std::vector<StretchRow> known_stretches_;
};

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_MEASURE_H_
