#include "runtime/attention_entropy.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "attention/entropy.h"
#include "base/error.h"
#include "evaluate/statistics.h"
#include "model/attention_probe.h"
#include "model/context.h"
#include "runtime/model_scorer.h"

namespace ropewalk::runtime {
namespace {

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

// Keeps the keys of all tokens and the queries of those from `first_query` on.
class Collector : public model::AttentionProbe {
 public:
  struct Seen {
    std::vector<float> queries;     // [asked, H, D]
    std::vector<float> keys;        // [n, G, D]
    std::vector<float> head_scale;  // [H] or empty
  };

  Collector(const model::Config& config, int64_t first_query)
      : heads_(config.heads),
        first_query_(first_query),
        layers_(static_cast<size_t>(config.L)) {}

  void See(const model::AttentionInputs& inputs) override {
    Seen& seen = layers_[static_cast<size_t>(inputs.layer)];
    const int64_t T = inputs.T;
    const int64_t key_size = heads_.G * heads_.D;
    const int64_t query_size = heads_.H * heads_.D;
    seen.keys.insert(seen.keys.end(), inputs.keys, inputs.keys + T * key_size);
    const int64_t skip = std::clamp<int64_t>(first_query_ - inputs.first, 0, T);
    seen.queries.insert(seen.queries.end(), inputs.queries + skip * query_size,
                        inputs.queries + T * query_size);
    if (inputs.head_scale != nullptr && seen.head_scale.empty()) {
      seen.head_scale.assign(inputs.head_scale, inputs.head_scale + heads_.H);
    }
  }

  const Seen& layer(int64_t l) const { return layers_[static_cast<size_t>(l)]; }

 private:
  attention::HeadShape heads_;
  int64_t first_query_;
  std::vector<Seen> layers_;
};

// A scheme at a length.
struct Job {
  std::string spelling;
  std::string resolved;
  position::Stack stack;
  int64_t length = 0;
  int64_t queries = 0;
};

std::vector<Job> MakeJobs(const Runtime& runtime,
                          const EntropyOptions& options) {
  Require(!options.lengths.empty(), "entropy: no lengths");
  Require(!options.schemes.empty(), "entropy: no position schemes");
  Require(options.spellings.size() == options.schemes.size(),
          "entropy: " + std::to_string(options.spellings.size()) +
              " spellings of " + std::to_string(options.schemes.size()) +
              " schemes");
  Require(options.last_queries > 0,
          "entropy: the queries asked must be above 0, got " +
              std::to_string(options.last_queries));
  for (const int64_t length : options.lengths) {
    Require(length > 0,
            "entropy: lengths must be above 0, got " + std::to_string(length));
  }
  const position::ModelPositions& positions = runtime.positions();
  std::vector<Job> jobs;
  for (size_t s = 0; s < options.schemes.size(); ++s) {
    for (const int64_t length : options.lengths) {
      const position::Scheme resolved =
          position::Resolve(options.schemes[s], positions, length);
      jobs.push_back({.spelling = options.spellings[s],
                      .resolved = position::ToString(resolved),
                      .stack = position::BuildStack(resolved, positions, length,
                                                    runtime.model().config().L),
                      .length = length,
                      .queries = std::min(length, options.last_queries)});
    }
  }
  return jobs;
}

// Mean entropy of each layer, [L], over the queries and heads of a document.
std::vector<double> EntropyOf(Runtime& runtime, const Job& job,
                              std::span<const Token> ids,
                              const evaluate::OnTokens& on_tokens) {
  const model::Config& config = runtime.model().config();
  const ModelScorer scorer(runtime);
  const int64_t first_query = job.length - job.queries;
  Collector collector(config, first_query);
  model::Context context(runtime.model(), job.stack, {.length = job.length},
                         runtime.threads());
  context.SetProbe(&collector);
  while (context.size() < job.length) {
    const int64_t first = context.size();
    const int64_t T = std::min(context.chunk(), job.length - first);
    context.Forward(
        ids.subspan(static_cast<size_t>(first), static_cast<size_t>(T)));
    on_tokens(T, scorer.Work(job.stack, first, T));
  }
  // Layer by layer, query by query.
  std::vector<double> means(static_cast<size_t>(config.L * job.queries));
  const auto query_size = static_cast<size_t>(config.heads.H * config.heads.D);
  runtime.threads().Run(config.L * job.queries, [&](int64_t task, int64_t) {
    const int64_t l = task / job.queries;
    const int64_t q = task % job.queries;
    const Collector::Seen& seen = collector.layer(l);
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

// Mean of ln(keys seen) over the queries asked.
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
    Runtime& runtime, const std::vector<evaluate::Document>& documents,
    const EntropyOptions& options, const evaluate::OnTokens& on_tokens) {
  const std::vector<Job> jobs = MakeJobs(runtime, options);
  const int64_t longest = *std::ranges::max_element(options.lengths);
  std::vector<std::span<const Token>> texts;
  for (const evaluate::Document& document : documents) {
    if (static_cast<int64_t>(document.size()) >= longest) {
      texts.emplace_back(document);
    }
  }
  Require(!texts.empty(),
          "entropy: none of " + std::to_string(documents.size()) +
              " documents holds the " + std::to_string(longest) +
              " ids of the longest length");
  std::vector<EntropyRow> rows;
  for (const Job& job : jobs) {
    const size_t L = job.stack.size();
    // Of each document: the mean over layers, then layer by layer.
    std::vector<std::vector<double>> samples(L + 1);
    for (const std::span<const Token> text : texts) {
      const std::vector<double> layers = EntropyOf(
          runtime, job, text.last(static_cast<size_t>(job.length)), on_tokens);
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
                      .entropy_stderr = evaluate::StandardError(samples[s]),
                      .upper = s == 0 ? Mean(uppers) : uppers[s - 1]});
    }
  }
  return rows;
}

}  // namespace ropewalk::runtime
