#include "evaluate/measure.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "evaluate/statistics.h"

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

double Measurement::TotalWork() const {
  double work = 0;
  for (const Job& job : jobs_) {
    work += scorer_.Work(job.stack, 0, job.length) *
            static_cast<double>(documents_.size());
  }
  return work;
}

void Measurement::Run(const MeasureCallbacks& callbacks,
                      MeasureResult& result) {
  result.train_length = scorer_.positions().train_length;
  result.score_last = options_.score_last;
  result.documents = static_cast<int64_t>(documents_.size());
  result.skipped = skipped_;
  for (const Job& job : jobs_) {
    std::vector<StretchRow> stretches;
    result.rows.push_back(RunJob(job, callbacks, stretches));
    result.stretches.insert(result.stretches.end(), stretches.begin(),
                            stretches.end());
    callbacks.on_row(result.rows.back());
  }
}

MeasureRow Measurement::RunJob(const Job& job,
                               const MeasureCallbacks& callbacks,
                               std::vector<StretchRow>& stretches) {
  const position::ModelPositions& positions = scorer_.positions();
  MeasureRow row{.position = options_.spellings[job.scheme],
                 .resolved = position::ToString(job.resolved),
                 .set = job.repeated ? "repeated" : "natural",
                 .length = job.length,
                 .known_to_fail = position::KnownToFail(job.resolved, positions,
                                                        job.length)};
  callbacks.on_start(row.position + " at " + std::to_string(job.length));

  const auto begin = std::chrono::steady_clock::now();
  const int64_t stretch = options_.by_position;
  const int64_t count =
      job.by_position ? (job.length + stretch - 1) / stretch : 0;
  std::vector<ScoreSummary> parts(static_cast<size_t>(count));
  ScoreSummary summary;
  for (const Document& document : documents_) {
    const Document ids =
        job.repeated
            ? Repeated(document, positions.train_length, job.length + 1)
            : Document(document.end() - (job.length + 1), document.end());
    const int64_t first =
        job.by_position ? 1 : job.length + 1 - options_.score_last;
    const std::vector<TokenScore> scores =
        scorer_.Score(job.stack, ids, first, callbacks.on_tokens);
    const std::span<const TokenScore> all(scores);
    summary.AddDocument(all.last(static_cast<size_t>(options_.score_last)));
    for (int64_t p = 0; p < count; ++p) {
      const int64_t from = p * stretch;
      const int64_t to = std::min(job.length, from + stretch);
      parts[static_cast<size_t>(p)].AddDocument(all.subspan(
          static_cast<size_t>(from), static_cast<size_t>(to - from)));
    }
  }
  row.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
  row.tokens = summary.tokens();
  row.loss = summary.loss();
  row.loss_stderr = summary.loss_stderr();
  row.document_losses = summary.document_losses();
  row.accuracy = summary.accuracy();
  row.accuracy_stderr = summary.accuracy_stderr();
  for (int64_t p = 0; p < count; ++p) {
    const ScoreSummary& part = parts[static_cast<size_t>(p)];
    stretches.push_back({.position = row.position,
                         .length = job.length,
                         .from = p * stretch,
                         .to = std::min(job.length, (p + 1) * stretch),
                         .tokens = part.tokens(),
                         .loss = part.loss(),
                         .loss_stderr = part.loss_stderr(),
                         .accuracy = part.accuracy()});
  }
  return row;
}

}  // namespace ropewalk::evaluate
