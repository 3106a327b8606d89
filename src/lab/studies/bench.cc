#include "lab/studies/bench.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "evaluate/model_scorer.h"
#include "evaluate/statistics.h"
#include "lab/train/scorer.h"
#include "position/scheme.h"

namespace ropewalk::lab::studies {

Bench::Bench(const Setting& setting, const std::string& file,
             const std::vector<evaluate::Document>& documents,
             BenchOptions options)
    : setting_(setting),
      documents_(documents),
      options_(std::move(options)),
      file_(file) {}

evaluate::Scorer& Bench::scorer() {
  ROPEWALK_CHECK(!file_.empty());
  if (scorer_ == nullptr) {
    if (options_.device == "cpu") {
      scorer_ = std::make_unique<evaluate::ModelScorer>(model());
    } else {
      scorer_ = train::ScorerOn(options_.device, options_.checkpoint);
    }
  }
  return *scorer_;
}

engine::Engine& Bench::model() {
  if (engine_ == nullptr) {
    engine_ = std::make_unique<engine::Engine>(
        engine::EngineOptions{.path = file_,
                              .train_length = options_.train_length,
                              .threads = options_.threads});
  }
  return *engine_;
}

evaluate::MeasureResult Bench::Measure(const std::string& spelling,
                                       const evaluate::MeasureOptions& what,
                                       int64_t documents) {
  evaluate::MeasureOptions options = what;
  options.schemes = {position::ParseScheme(spelling)};
  options.spellings = {spelling};
  const auto count = static_cast<ptrdiff_t>(
      std::min<int64_t>(documents, static_cast<int64_t>(documents_.size())));
  evaluate::Measurement measurement(
      scorer(), {documents_.begin(), documents_.begin() + count}, options);
  Progress progress(spelling, measurement.TotalWork(), "tokens");
  evaluate::MeasureResult result;
  measurement.Run({.on_tokens =
                       [&](int64_t tokens, const Workload& work) {
                         progress.Add(tokens, work);
                         ThrowIfInterrupted();
                       },
                   .on_row = [](const evaluate::MeasureRow&) {},
                   .on_start = [](const std::string&) {}},
                  result);
  progress.Clear();
  return result;
}

int64_t Bench::ScoreLast(int64_t length) {
  return std::min(scorer().positions().train_length, length);
}

std::vector<Measurement> Bench::Score(const std::string& spelling, Set set,
                                      int64_t length, bool costs) {
  std::vector<Measurement>& known = known_[{spelling, set, length}];
  if (known.empty()) {
    const evaluate::MeasureResult result =
        Measure(spelling,
                {.lengths = {length},
                 .score_last = ScoreLast(length),
                 .repeat = set == Set::kRepeated},
                setting_.documents);
    for (const evaluate::MeasureRow& row : result.rows) {
      // Repeated text comes beside natural text.
      const Set its = row.set == "repeated" ? Set::kRepeated : Set::kNatural;
      const auto documents = static_cast<double>(result.documents);
      Measurement line{.position = row.resolved,
                       .set = row.set,
                       .length = length,
                       .count = row.tokens};
      std::vector<Measurement>& lines = known_[{spelling, its, length}];
      lines.clear();
      document_losses_[{spelling, its, length}] = row.document_losses;
      const auto add = [&](const char* metric, double value, double error) {
        line.metric = metric;
        line.value = value;
        line.error = error;
        lines.push_back(line);
      };
      add("accuracy", 100 * row.accuracy, 100 * row.accuracy_stderr);
      add("loss", row.loss, row.loss_stderr);
      add("seconds", row.seconds / documents, 0);
      add("kv_bytes", static_cast<double>(scorer().kv_bytes()), 0);
    }
  }
  std::vector<Measurement> lines = known_[{spelling, set, length}];
  if (!costs) lines.resize(2);
  return lines;
}

Measurement Bench::LossAbove(const std::string& spelling,
                             const std::string& reference, Set set,
                             int64_t length) {
  Measurement line = Score(spelling, set, length).back();
  (void)Score(reference, set, length);
  std::vector<double> differences = document_losses_[{spelling, set, length}];
  const auto& others = document_losses_[{reference, set, length}];
  double sum = 0;
  for (size_t d = 0; d < differences.size(); ++d) {
    differences[d] -= others[d];
    sum += differences[d];
  }
  line.metric = "loss above " + reference;
  line.value = sum / static_cast<double>(differences.size());
  line.error = evaluate::StandardError(differences);
  line.count = static_cast<int64_t>(differences.size());
  return line;
}

std::vector<Measurement> Bench::ScoreLengths(
    const std::string& spelling, const std::vector<int64_t>& natural,
    const std::vector<int64_t>& repeated, bool costs) {
  std::vector<Measurement> all;
  const auto add = [&](Set set, int64_t length) {
    for (Measurement& line : Score(spelling, set, length, costs)) {
      all.push_back(std::move(line));
    }
  };
  // Repeated text first: natural text of the same length comes with it.
  for (const int64_t length : repeated) add(Set::kRepeated, length);
  for (const int64_t length : natural) add(Set::kNatural, length);
  return all;
}

std::vector<Measurement> Bench::ScoreAlong(const std::string& spelling,
                                           int64_t length) {
  const evaluate::MeasureResult result =
      Measure(spelling,
              {.lengths = {length},
               .score_last = ScoreLast(length),
               .by_position = std::max<int64_t>(1, setting_.N / 2)},
              setting_.documents);
  std::vector<Measurement> lines;
  for (const evaluate::StretchRow& stretch : result.stretches) {
    lines.push_back({.position = result.rows.front().resolved,
                     .set = "along",
                     .length = stretch.to,
                     .metric = "loss",
                     .value = stretch.loss,
                     .error = stretch.loss_stderr,
                     .count = stretch.tokens});
  }
  return lines;
}

double Bench::Loss(const std::string& spelling, int64_t length,
                   int64_t documents) {
  return Measure(spelling,
                 {.lengths = {length}, .score_last = ScoreLast(length)},
                 documents)
      .rows.front()
      .loss;
}

std::vector<Measurement> Bench::TaskLines() const {
  std::vector<Measurement> lines;
  for (const evaluate::MeasureRow& row : options_.task_rows) {
    const auto n = static_cast<double>(std::max<int64_t>(1, row.tokens));
    const double p = row.accuracy;
    Measurement line{.position = row.resolved,
                     .set = row.set,
                     .length = row.length,
                     .metric = "accuracy",
                     .value = 100 * p,
                     .error = 100 * std::sqrt(p * (1 - p) / n),
                     .count = row.tokens};
    lines.push_back(line);
    line.metric = "loss";
    line.value = row.loss;
    line.error = row.loss_stderr;
    lines.push_back(line);
  }
  return lines;
}

std::vector<Measurement> Bench::CurveLines() const {
  constexpr double kPoints = 25;
  std::vector<Measurement> lines;
  const std::vector<train::StepRecord>& curve = options_.curve;
  if (curve.empty()) return lines;
  // A run that was interrupted has records between the regular ones, which a
  // point of every seed must not depend on.
  int64_t interval = curve.front().step;
  int64_t previous = 0;
  for (const train::StepRecord& record : curve) {
    interval = std::max(interval, record.step - previous);
    previous = record.step;
  }
  const double ratio =
      std::pow(static_cast<double>(previous) / static_cast<double>(interval),
               1 / (kPoints - 1));
  double due = static_cast<double>(interval);
  double sum = 0;
  int64_t from = 0;
  previous = 0;
  for (const train::StepRecord& record : curve) {
    sum += record.loss * static_cast<double>(record.step - previous);
    previous = record.step;
    const bool last = record.step == curve.back().step;
    const bool regular = record.step % interval == 0;
    if (!last && (!regular || static_cast<double>(record.step) < due - 1e-6)) {
      continue;
    }
    while (due <= static_cast<double>(record.step))
      due *= std::max(ratio, 1.001);
    Measurement line{.set = "curve",
                     .length = record.step,
                     .metric = "training loss",
                     .value = sum / static_cast<double>(record.step - from)};
    lines.push_back(line);
    line.metric = "largest embedding";
    line.value = record.largest_embedding;
    lines.push_back(line);
    sum = 0;
    from = record.step;
  }
  return lines;
}

}  // namespace ropewalk::lab::studies
