#include "evaluate/measure.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace ropewalk::evaluate {
namespace {

void RequireIds(const std::vector<Document>& documents, int64_t vocabulary) {
  for (size_t d = 0; d < documents.size(); ++d) {
    for (const Token id : documents[d]) {
      Require(id >= 0 && id < vocabulary,
              "document " + std::to_string(d + 1) + ": id " +
                  std::to_string(id) +
                  " is outside the model's vocabulary of " +
                  std::to_string(vocabulary) + " (ids of another tokenizer?)");
    }
  }
}

}  // namespace

const std::vector<std::string>& DefaultSpellings() {
  static const std::vector<std::string> kDefault = {
      "rope", "window", "rerope", "rerope+logn-clip", "leaky-rerope"};
  return kDefault;
}

Workload WorkOf(const Scorer& scorer, const position::Scheme& scheme,
                int64_t length, int64_t scored) {
  const position::Stack stack = position::BuildStack(
      position::Resolve(scheme, scorer.positions(), length), scorer.positions(),
      length, scorer.layers());
  Workload work = scorer.Work(stack, 0, length);
  work.steady += static_cast<double>(scored) * scorer.ScoreWork();
  return work;
}

Measurement::Measurement(Scorer& scorer, std::vector<Document> documents,
                         MeasureOptions options)
    : scorer_(scorer), options_(std::move(options)) {
  const int64_t N = scorer.positions().train_length;
  Require(!options_.lengths.empty(), "measure: one length at least is needed");
  Require(!options_.schemes.empty(),
          "measure: one position scheme at least is needed");
  for (const int64_t length : options_.lengths) {
    Require(length > 0,
            "measure: lengths must be above 0, got " + std::to_string(length));
  }
  longest_ = *std::ranges::max_element(options_.lengths);
  const int64_t shortest = *std::ranges::min_element(options_.lengths);
  if (options_.score_last == 0) options_.score_last = std::min(N, shortest);
  Require(options_.score_last > 0 && options_.score_last <= shortest,
          "measure: the scored block of " +
              std::to_string(options_.score_last) +
              " tokens does not fit the shortest length " +
              std::to_string(shortest));
  Require(options_.by_position >= 0 && options_.by_position <= longest_,
          "measure: stretches of " + std::to_string(options_.by_position) +
              " tokens do not fit the longest length " +
              std::to_string(longest_));

  // The repeated set repeats the last N ids.
  const int64_t needed =
      std::max(longest_ + 1, options_.repeat ? N : int64_t{0});
  int64_t largest = 0;
  for (Document& document : documents) {
    const auto size = static_cast<int64_t>(document.size());
    largest = std::max(largest, size);
    if (size < needed) {
      ++skipped_;
    } else {
      documents_.push_back(std::move(document));
    }
  }
  Require(!documents_.empty(),
          "measure: no document has the " + std::to_string(needed) +
              " ids that length " + std::to_string(longest_) +
              " needs; the longest of " + std::to_string(skipped_) + " has " +
              std::to_string(largest));
  RequireIds(documents_, scorer.vocabulary());

  for (size_t s = 0; s < options_.schemes.size(); ++s) {
    for (const bool repeated : {false, true}) {
      if (repeated && !options_.repeat) continue;
      for (const int64_t length : options_.lengths) {
        // Resolved here, because Run may take hours before it gets here.
        Job job{.scheme = s,
                .resolved = position::Resolve(options_.schemes[s],
                                              scorer.positions(), length),
                .length = length,
                .repeated = repeated,
                .by_position = options_.by_position > 0 && !repeated &&
                               length == longest_};
        job.stack = position::BuildStack(job.resolved, scorer.positions(),
                                         length, scorer.layers());
        jobs_.push_back(std::move(job));
      }
    }
  }
}

Workload Measurement::WorkOf(const Job& job) const {
  Workload work = scorer_.Work(job.stack, 0, job.length);
  const int64_t scored = job.by_position ? job.length : options_.score_last;
  work.steady += static_cast<double>(scored) * scorer_.ScoreWork();
  return work;
}

std::string Measurement::NameOf(const Job& job) const {
  return options_.spellings[job.scheme] + " at " + std::to_string(job.length) +
         (job.repeated ? " repeated" : "");
}

Workload Measurement::TotalWork() const {
  Workload work;
  for (const Job& job : jobs_) {
    if (KnownRow(job) != nullptr) continue;
    work += WorkOf(job) * static_cast<double>(documents_.size());
  }
  return work;
}

void Measurement::Know(std::vector<MeasureRow> rows,
                       std::vector<StretchRow> stretches) {
  known_ = std::move(rows);
  known_stretches_ = std::move(stretches);
  std::vector<MeasureRow> wanted;
  for (const Job& job : jobs_) {
    if (const MeasureRow* row = KnownRow(job)) wanted.push_back(*row);
  }
  known_ = std::move(wanted);
}

const MeasureRow* Measurement::KnownRow(const Job& job) const {
  const auto row = std::ranges::find_if(known_, [&](const MeasureRow& known) {
    return known.position == options_.spellings[job.scheme] &&
           known.resolved == position::ToString(job.resolved) &&
           known.length == job.length &&
           known.set == (job.repeated ? "repeated" : "natural");
  });
  return row == known_.end() ? nullptr : &*row;
}

void Measurement::Begin(MeasureResult& result) const {
  result.train_length = scorer_.positions().train_length;
  result.score_last = options_.score_last;
  result.documents = static_cast<int64_t>(documents_.size());
  result.skipped = skipped_;
}

void Measurement::Run(const MeasureCallbacks& callbacks,
                      MeasureResult& result) {
  Begin(result);
  for (const Job& job : jobs_) {
    if (const MeasureRow* known = KnownRow(job)) {
      result.rows.push_back(*known);
      if (!job.by_position) continue;
      std::ranges::copy_if(known_stretches_,
                           std::back_inserter(result.stretches),
                           [&](const StretchRow& row) {
                             return row.position == known->position;
                           });
      continue;
    }
    callbacks.on_start(NameOf(job));
    Tally tally;
    for (const Document& document : documents_) {
      ReadDocument(job, document, callbacks, tally);
    }
    Report(job, tally, result);
    callbacks.on_row(result.rows.back());
  }
}

void Measurement::RunWithin(double seconds,
                            const std::function<double()>& clock,
                            const MeasureCallbacks& callbacks,
                            MeasureResult& result) {
  Begin(result);
  // Short lengths first, so that little time compares all schemes.
  std::vector<const Job*> jobs;
  for (const Job& job : jobs_) jobs.push_back(&job);
  std::ranges::stable_sort(jobs, {}, &Job::length);

  TimeLeft time;
  double last = clock();
  MeasureCallbacks timed = callbacks;
  timed.on_tokens = [&](int64_t tokens, const Workload& work) {
    const double now = clock();
    time.Add(work, now - last);
    last = now;
    callbacks.on_tokens(tokens, work);
  };
  const auto ends_in_time = [&](const Workload& work) {
    return clock() + time.Of(work).value_or(0) <= seconds;
  };
  std::vector<Tally> tallies;
  const auto report = [&](int64_t documents) {
    result.rows.clear();
    result.stretches.clear();
    result.documents = documents;
    for (size_t j = 0; j < tallies.size(); ++j) {
      Report(*jobs[j], tallies[j], result);
    }
  };

  Workload round;
  for (const Job* job : jobs) {
    if (tallies.size() >= 2 && !ends_in_time(WorkOf(*job))) break;
    callbacks.on_start(NameOf(*job));
    Tally tally;
    ReadDocument(*job, documents_.front(), timed, tally);
    tallies.push_back(std::move(tally));
    round += WorkOf(*job);
    report(1);
    callbacks.on_row(result.rows.back());
  }
  for (size_t j = tallies.size(); j < jobs.size(); ++j) {
    result.unread.push_back(NameOf(*jobs[j]));
  }
  for (size_t d = 1; d < documents_.size() && ends_in_time(round); ++d) {
    std::vector<Tally> next = tallies;
    for (size_t j = 0; j < next.size(); ++j) {
      callbacks.on_start("piece " + std::to_string(d + 1) + ", " +
                         NameOf(*jobs[j]));
      ReadDocument(*jobs[j], documents_[d], timed, next[j]);
    }
    tallies = std::move(next);
    report(static_cast<int64_t>(d) + 1);
  }
}

void Measurement::ReadDocument(const Job& job, const Document& document,
                               const MeasureCallbacks& callbacks,
                               Tally& tally) {
  const auto begin = std::chrono::steady_clock::now();
  const int64_t stretch = options_.by_position;
  const int64_t count =
      job.by_position ? (job.length + stretch - 1) / stretch : 0;
  tally.parts.resize(static_cast<size_t>(count));
  const Document ids =
      job.repeated
          ? Repeated(document, scorer_.positions().train_length, job.length + 1)
          : Document(document.end() - (job.length + 1), document.end());
  const int64_t first =
      job.by_position ? 1 : job.length + 1 - options_.score_last;
  const std::vector<TokenScore> scores =
      scorer_.Score(job.stack, ids, first, callbacks.on_tokens);
  const std::span<const TokenScore> all(scores);
  tally.all.AddDocument(all.last(static_cast<size_t>(options_.score_last)));
  for (int64_t p = 0; p < count; ++p) {
    const int64_t from = p * stretch;
    const int64_t to = std::min(job.length, from + stretch);
    tally.parts[static_cast<size_t>(p)].AddDocument(
        all.subspan(static_cast<size_t>(from), static_cast<size_t>(to - from)));
  }
  tally.seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
}

MeasureRow Measurement::RowOf(const Job& job, const Tally& tally) const {
  return {.position = options_.spellings[job.scheme],
          .resolved = position::ToString(job.resolved),
          .set = job.repeated ? "repeated" : "natural",
          .length = job.length,
          .tokens = tally.all.tokens(),
          .loss = tally.all.loss(),
          .loss_stderr = tally.all.loss_stderr(),
          .accuracy = tally.all.accuracy(),
          .accuracy_stderr = tally.all.accuracy_stderr(),
          .seconds = tally.seconds,
          .document_losses = tally.all.document_losses(),
          .known_to_fail = position::KnownToFail(
              job.resolved, scorer_.positions(), job.length)};
}

void Measurement::Report(const Job& job, const Tally& tally,
                         MeasureResult& result) const {
  result.rows.push_back(RowOf(job, tally));
  const int64_t stretch = options_.by_position;
  for (size_t p = 0; p < tally.parts.size(); ++p) {
    const ScoreSummary& part = tally.parts[p];
    const int64_t from = static_cast<int64_t>(p) * stretch;
    result.stretches.push_back({.position = result.rows.back().position,
                                .length = job.length,
                                .from = from,
                                .to = std::min(job.length, from + stretch),
                                .tokens = part.tokens(),
                                .loss = part.loss(),
                                .loss_stderr = part.loss_stderr(),
                                .accuracy = part.accuracy()});
  }
}

}  // namespace ropewalk::evaluate
