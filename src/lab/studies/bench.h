// What jobs measure with: a model as the runtime reads it, and the documents.
//
// A trained model is measured from its exported file by the same code that
// `ropewalk measure` runs, so that what a study reports is what a user gets.
// Where it was trained on a GPU it is read there, by LibTorch.

#ifndef ROPEWALK_LAB_STUDIES_BENCH_H_
#define ROPEWALK_LAB_STUDIES_BENCH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "engine/engine.h"
#include "evaluate/documents.h"
#include "evaluate/measure.h"
#include "evaluate/scorer.h"
#include "lab/studies/measurements.h"
#include "lab/studies/setting.h"
#include "lab/train/run_log.h"

namespace ropewalk::lab::studies {

struct BenchOptions {
  int64_t train_length = 0;  // 0: the file's
  int64_t threads = 0;       // 0: all cores
  // A task's own tests, of a model without a file.
  std::vector<evaluate::MeasureRow> task_rows;
  std::string checkpoint;                // of a model trained here, or nothing
  std::string device = "cpu";            // "cuda" reads the checkpoint there
  std::vector<train::StepRecord> curve;  // of its training
  std::string folder;  // of the study: where jobs keep what figures show
};

// One thread at a time.
class Bench {
 public:
  // `file` may be empty. Borrows the documents, each of the longest length
  // that is asked for + 1 ids. The file is loaded when something is first
  // measured, which throws what loading throws.
  Bench(const Setting& setting, const std::string& file,
        const std::vector<evaluate::Document>& documents,
        BenchOptions options = {});

  const Setting& setting() const { return setting_; }
  const std::string& folder() const { return options_.folder; }
  // On the processor, wherever it is scored.
  engine::Engine& model();
  const std::vector<evaluate::Document>& documents() const {
    return documents_;
  }

  // Accuracy and loss of the task's own tests, as the set called after it.
  std::vector<Measurement> TaskLines() const;

  // The course of training as the set "curve": at up to 25 steps, the same for
  // runs of one config, evenly spread over the logarithm of the step (the
  // length of a line), the mean training loss since the point before and the
  // largest component of the embedding.
  std::vector<Measurement> CurveLines() const;

  const std::vector<train::StepRecord>& curve() const { return options_.curve; }
  const std::string& checkpoint() const { return options_.checkpoint; }

  enum class Set { kNatural, kRepeated };

  // Accuracy (percent) and loss under a law at one length, as many of the last
  // targets of each document scored as the model was trained to; `costs` adds
  // the seconds a document and the bytes of keys and values. What was asked
  // before is not measured again.
  std::vector<Measurement> Score(const std::string& spelling, Set set,
                                 int64_t length, bool costs = false);

  // The loss above that under another law, nats: the mean over documents and
  // its standard error, document by document, as both read the same targets.
  Measurement LossAbove(const std::string& spelling,
                        const std::string& reference, Set set, int64_t length);

  // The same at several lengths of natural and of repeated text.
  std::vector<Measurement> ScoreLengths(const std::string& spelling,
                                        const std::vector<int64_t>& natural,
                                        const std::vector<int64_t>& repeated,
                                        bool costs = false);

  // Loss of each stretch of N / 2 tokens of `length`, as the set "along" with
  // the stretch's end as its length.
  std::vector<Measurement> ScoreAlong(const std::string& spelling,
                                      int64_t length);

  // Of the first `documents` pieces alone: for searches.
  double Loss(const std::string& spelling, int64_t length, int64_t documents);

 private:
  // Made at first use: on a GPU it reads causal decoders alone, and some jobs
  // score nothing.
  evaluate::Scorer& scorer();
  int64_t ScoreLast(int64_t length);
  evaluate::MeasureResult Measure(const std::string& spelling,
                                  const evaluate::MeasureOptions& options,
                                  int64_t documents);

  Setting setting_;
  const std::vector<evaluate::Document>& documents_;
  BenchOptions options_;
  std::string file_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<evaluate::Scorer> scorer_;
  using Asked = std::tuple<std::string, Set, int64_t>;
  std::map<Asked, std::vector<Measurement>> known_;
  std::map<Asked, std::vector<double>> document_losses_;
};

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_BENCH_H_
