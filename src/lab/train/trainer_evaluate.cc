// The evaluations of a run: held-out text under every scheme and length, or
// the task's own tests.

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "evaluate/measure.h"
#include "lab/train/scorer.h"
#include "lab/train/trainer.h"
#include "position/scheme.h"

namespace ropewalk::lab::train {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

bool Trainer::EvaluatesNow() const {
  return step_ == config_.steps ||
         (config_.evaluate.every > 0 && step_ % config_.evaluate.every == 0);
}

// An evaluation that Ctrl-C ends is done by the run that goes on.
void Trainer::Evaluate() {
  if (group_.IsFirst()) {
    try {
      EvaluateHere();
    } catch (const Interrupted&) {
      // Told to the others below.
    }
  }
  if (group_.Any(PendingInterrupt() != 0)) Stop();
}

void Trainer::EvaluateHere() {
  const auto& done = log_->evaluations();
  if (!done.empty() && done.back().step == step_) return;
  if (!JudgedByLength(config_.data.task, config_.model)) {
    EvaluateTask();
  } else if (!config_.evaluate.schemes.empty()) {
    EvaluateByLength();
  }
}

void Trainer::EvaluateTask() {
  const at::NoGradGuard no_grad;
  EvaluationRecord record{.step = step_};
  for (const int64_t length : source_->TestLengths()) {
    evaluate::MeasureRow row{.position = config_.model.position,
                             .resolved = config_.model.position,
                             .set = ToString(config_.data.task),
                             .length = length};
    const Clock::time_point start = Clock::now();
    double losses = 0;
    double squares = 0;
    double correct = 0;
    const int64_t samples = config_.evaluate.documents;
    const int64_t at_once = std::max<int64_t>(
        1, config_.batch * config_.model.N / std::max<int64_t>(1, length));
    for (int64_t begin = 0; begin < samples; begin += at_once) {
      const Batch batch =
          source_->Test(length, begin, std::min(samples, begin + at_once));
      const ops::RowScores rows = model_->Score(
          model_->Hidden(OnDevice(batch.inputs)), batch.targets.to(device_));
      const at::Tensor weights = batch.weights.defined()
                                     ? batch.weights.to(device_).to(at::kDouble)
                                     : at::ones_like(rows.losses);
      losses += (rows.losses * weights).sum().item<double>();
      squares += (rows.losses.square() * weights).sum().item<double>();
      correct += (rows.correct.to(at::kDouble) * weights).sum().item<double>();
      row.tokens += static_cast<int64_t>(batch.tokens);
      ThrowIfInterrupted();
    }
    const auto n = static_cast<double>(std::max<int64_t>(1, row.tokens));
    row.loss = losses / n;
    row.accuracy = correct / n;
    row.loss_stderr =
        std::sqrt(std::max(0.0, squares / n - row.loss * row.loss) / n);
    row.seconds = SecondsSince(start);
    record.rows.push_back(row);
  }
  if (!record.rows.empty()) log_->Add(record);
}

void Trainer::EvaluateByLength() {
  std::vector<int64_t> lengths = config_.evaluate.lengths;
  std::sort(lengths.begin(), lengths.end());
  std::vector<evaluate::Document> documents;
  while (!lengths.empty()) {
    documents = source_->HeldOut(lengths.back(), config_.evaluate.documents);
    if (!documents.empty()) break;
    if (!warned_) {
      std::fprintf(stderr,
                   "no held-out document of %lld tokens: that length is not "
                   "evaluated\n",
                   static_cast<long long>(lengths.back() + 1));
    }
    lengths.pop_back();
  }
  warned_ = true;
  if (lengths.empty()) return;
  evaluate::MeasureOptions options{.spellings = config_.evaluate.schemes,
                                   .lengths = lengths,
                                   .score_last = config_.evaluate.score_last,
                                   .repeat = config_.evaluate.repeat};
  for (const std::string& spelling : options.spellings) {
    options.schemes.push_back(position::ParseScheme(spelling));
  }
  LabScorer scorer(*model_);
  evaluate::Measurement measurement(scorer, std::move(documents), options);
  Progress progress("evaluating", measurement.TotalWork(), "tokens");
  evaluate::MeasureResult result;
  evaluate::MeasureCallbacks callbacks;
  callbacks.on_tokens = [&](int64_t count, const Workload& work) {
    progress.Add(count, work);
    ThrowIfInterrupted();
  };
  measurement.Run(callbacks, result);
  log_->Add(EvaluationRecord{.step = step_, .rows = result.rows});
}

}  // namespace ropewalk::lab::train
