#include "evaluate/attention_entropy.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "attention/definition/entropy.h"
#include "base/error.h"
#include "evaluate/attention_inputs.h"
#include "evaluate/statistics.h"

namespace ropewalk::evaluate {
namespace {

// A scheme at a length.
struct Job {
  std::string spelling;
  std::string resolved;
  position::Stack stack;
  int64_t length = 0;
  int64_t queries = 0;
};

std::vector<Job> MakeJobs(const engine::Engine& engine,
                          const EntropyOptions& options) {
  Require(!options.lengths.empty(), "entropy: one length at least is needed");
  Require(!options.schemes.empty(),
          "entropy: one position scheme at least is needed");
  Require(options.spellings.size() == options.schemes.size(),
          "entropy: one spelling is needed for each of " +
              std::to_string(options.schemes.size()) + " schemes, got " +
              std::to_string(options.spellings.size()));
  Require(options.last_queries > 0,
          "entropy: the number of queries must be above 0, got " +
              std::to_string(options.last_queries));
  for (const int64_t length : options.lengths) {
    Require(length > 0,
            "entropy: lengths must be above 0, got " + std::to_string(length));
  }
  const position::ModelPositions& positions = engine.positions();
  std::vector<Job> jobs;
  for (size_t s = 0; s < options.schemes.size(); ++s) {
    for (const int64_t length : options.lengths) {
      const position::Scheme resolved =
          position::Resolve(options.schemes[s], positions, length);
      jobs.push_back({.spelling = options.spellings[s],
                      .resolved = position::ToString(resolved),
                      .stack = position::BuildStack(resolved, positions, length,
                                                    engine.model().config().L),
                      .length = length,
                      .queries = std::min(length, options.last_queries)});
    }
  }
  return jobs;
}

// The mean entropy of each layer [L] over the queries and heads of a document.
std::vector<double> EntropyOf(engine::Engine& engine, const Job& job,
                              std::span<const Token> ids,
                              const OnTokens& on_tokens) {
  const model::Config& config = engine.model().config();
  const int64_t first_query = job.length - job.queries;
  const std::vector<AttentionSeen> seen_layers =
      ReadAttention(engine, job.stack, ids, first_query, on_tokens);
  // Layer by layer, query by query.
  std::vector<double> means(static_cast<size_t>(config.L * job.queries));
  const auto query_size = static_cast<size_t>(config.heads.H * config.heads.D);
  engine.threads().Run(config.L * job.queries, [&](int64_t task, int64_t) {
    const int64_t l = task / job.queries;
    const int64_t q = task % job.queries;
    const AttentionSeen& seen = seen_layers[static_cast<size_t>(l)];
    means[static_cast<size_t>(task)] = Mean(attention::RowEntropies(
        job.stack[static_cast<size_t>(l)], config.heads,
        std::span(seen.queries)
            .subspan(static_cast<size_t>(q) * query_size, query_size),
        first_query + q, seen.keys, seen.head_scale));
  });
  std::vector<double> layers;
  for (int64_t l = 0; l < config.L; ++l) {
    layers.push_back(
        Mean(std::span(means).subspan(static_cast<size_t>(l * job.queries),
                                      static_cast<size_t>(job.queries))));
  }
  return layers;
}

// The mean of ln(keys seen) over the measured queries.
double UpperBound(const position::Plan& plan, const Job& job) {
  double sum = 0;
  for (int64_t i = job.length - job.queries; i < job.length; ++i) {
    const int64_t keys = attention::KeysSeen(plan, i);
    sum += std::log(static_cast<double>(std::max<int64_t>(1, keys)));
  }
  return sum / static_cast<double>(job.queries);
}

}  // namespace

std::vector<EntropyRow> MeasureAttentionEntropy(
    engine::Engine& engine, const std::vector<Document>& documents,
    const EntropyOptions& options, const OnTokens& on_tokens) {
  const std::vector<Job> jobs = MakeJobs(engine, options);
  const int64_t longest = *std::ranges::max_element(options.lengths);
  std::vector<std::span<const Token>> texts;
  for (const Document& document : documents) {
    if (static_cast<int64_t>(document.size()) >= longest) {
      texts.emplace_back(document);
    }
  }
  Require(!texts.empty(),
          "entropy: a document of at least " + std::to_string(longest) +
              " ids is needed for the longest length, got " +
              std::to_string(documents.size()) + " shorter documents");
  std::vector<EntropyRow> rows;
  for (const Job& job : jobs) {
    const size_t L = job.stack.size();
    // For each document: the mean over layers, then each layer.
    std::vector<std::vector<double>> samples(L + 1);
    for (const std::span<const Token> text : texts) {
      const std::vector<double> layers = EntropyOf(
          engine, job, text.last(static_cast<size_t>(job.length)), on_tokens);
      samples[0].push_back(Mean(layers));
      for (size_t l = 0; l < L; ++l) samples[l + 1].push_back(layers[l]);
    }
    std::vector<double> uppers;
    for (const position::Plan& plan : job.stack) {
      uppers.push_back(UpperBound(plan, job));
    }
    for (size_t s = 0; s <= L; ++s) {
      rows.push_back({.position = job.spelling,
                      .resolved = job.resolved,
                      .length = job.length,
                      .layer = static_cast<int64_t>(s) - 1,
                      .documents = static_cast<int64_t>(texts.size()),
                      .entropy = Mean(samples[s]),
                      .entropy_stderr = StandardError(samples[s]),
                      .upper = s == 0 ? Mean(uppers) : uppers[s - 1]});
    }
  }
  return rows;
}

}  // namespace ropewalk::evaluate
