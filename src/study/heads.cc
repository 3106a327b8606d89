#include "study/heads.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "evaluate/attention_inputs.h"
#include "evaluate/attention_weights.h"
#include "evaluate/model_scorer.h"
#include "evaluate/singular_values.h"
#include "evaluate/statistics.h"
#include "kernels/blocks.h"
#include "model/model.h"
#include "position/scheme.h"
#include "study/cells.h"
#include "study/schemes.h"
#include "study/tune.h"

namespace ropewalk::study {
namespace {

constexpr int64_t kRankTokens = 256;
constexpr size_t kTopValues = 16;

// Of the keys [n, G, D] of key head g: the spectrum of K^T K, falling.
std::vector<double> KeySpectrum(const std::vector<double>& keys, int64_t G,
                                int64_t D, int64_t g) {
  std::vector<double> gram(static_cast<size_t>(D * D));
  const int64_t n = static_cast<int64_t>(keys.size()) / (G * D);
  for (int64_t j = 0; j < n; ++j) {
    const double* key = keys.data() + (j * G + g) * D;
    for (int64_t a = 0; a < D; ++a) {
      double* row = gram.data() + a * D;
      for (int64_t b = 0; b < D; ++b) row[b] += key[a] * key[b];
    }
  }
  return evaluate::SingularValues(gram, D, D);
}

std::vector<double> RoundedList(const std::vector<double>& values) {
  std::vector<double> rounded;
  for (const double value : values) rounded.push_back(Rounded(value));
  return rounded;
}

// One layer of a text; names are left to the caller.
HeadRow RowOfLayer(engine::Engine& engine, const position::Plan& plan,
                   const evaluate::AttentionSeen& seen,
                   const RepeatedText& repeated) {
  const attention::HeadShape& shape = engine.model().config().heads;
  const int64_t asked = repeated.Asked();
  const auto n = static_cast<int64_t>(repeated.ids.size());
  const evaluate::AttentionWeights weights(
      plan, shape, seen, repeated.FirstQuery(), engine.threads());
  std::vector<std::vector<evaluate::HeadFigures>> found(
      static_cast<size_t>(2 * asked));
  engine.threads().Run(2 * asked, [&](int64_t task, int64_t) {
    const bool again = task >= asked;
    const int64_t i =
        again ? n - 2 * asked + task : repeated.FirstQuery() + task;
    const int64_t source = again ? repeated.SourceOf(i) : -1;
    found[static_cast<size_t>(task)] =
        evaluate::FiguresOf(weights.RowOf(i), source);
  });
  HeadRow row;
  const auto mean = [&](size_t h, int64_t begin,
                        double evaluate::HeadFigures::*member) {
    double sum = 0;
    for (int64_t q = begin; q < begin + asked; ++q) {
      sum += found[static_cast<size_t>(q)][h].*member;
    }
    return Rounded(sum / static_cast<double>(asked));
  };
  using evaluate::HeadFigures;
  for (size_t h = 0; h < static_cast<size_t>(shape.H); ++h) {
    row.entropy.push_back(mean(h, 0, &HeadFigures::entropy));
    row.sinks.push_back(mean(h, 0, &HeadFigures::sinks));
    row.far.push_back(mean(h, 0, &HeadFigures::far));
    row.source.push_back(mean(h, asked, &HeadFigures::source));
  }
  if (plan.bands.size() == 1) {
    std::vector<std::vector<double>> spectra(static_cast<size_t>(shape.G));
    engine.threads().Run(shape.G, [&](int64_t g, int64_t) {
      spectra[static_cast<size_t>(g)] =
          KeySpectrum(weights.rotated_keys(), shape.G, shape.D, g);
    });
    for (const std::vector<double>& spectrum : spectra) {
      row.key_top.push_back(
          Rounded(evaluate::SpectralEntropy(spectrum, kTopValues)));
      row.key_entropy.push_back(
          Rounded(evaluate::SpectralEntropy(spectrum, spectrum.size())));
    }
  }
  return row;
}

// Under a scheme over `length` tokens.
struct Plans {
  std::string position;
  position::Stack stack;
};

Plans PlansOf(engine::Engine& engine, const std::string& spelling,
              int64_t length) {
  const position::Scheme resolved = position::Resolve(
      position::ParseScheme(spelling), engine.positions(), length);
  return {position::ToString(resolved),
          position::BuildStack(resolved, engine.positions(), length,
                               engine.model().config().L)};
}

// The attention matrices of a layer over all tokens.
RankRow RanksOfLayer(engine::Engine& engine, const position::Plan& plan,
                     const evaluate::AttentionSeen& seen, int64_t n) {
  const attention::HeadShape& shape = engine.model().config().heads;
  const evaluate::AttentionWeights weights(plan, shape, seen, 0,
                                           engine.threads());
  const auto H = static_cast<size_t>(shape.H);
  std::vector<std::vector<double>> matrices(
      H, std::vector<double>(static_cast<size_t>(n * n)));
  std::vector<double> log_own(H);
  for (int64_t i = 0; i < n; ++i) {
    const evaluate::WeightRow row = weights.RowOf(i);
    for (size_t h = 0; h < H; ++h) {
      std::ranges::copy(row.weights[h],
                        matrices[h].begin() + static_cast<int64_t>(i * n));
      log_own[h] += row.log_own[h] / static_cast<double>(n);
    }
  }
  RankRow ranks{.n = n};
  ranks.rank.resize(H);
  ranks.effective.resize(H);
  engine.threads().Run(shape.H, [&](int64_t head, int64_t) {
    const auto h = static_cast<size_t>(head);
    const std::vector<double> values =
        evaluate::SingularValues(matrices[h], n, n);
    ranks.rank[h] = evaluate::NumericalRank(values, 1e-3);
    ranks.effective[h] = Rounded(evaluate::EffectiveRank(values));
  });
  ranks.log_own = RoundedList(log_own);
  return ranks;
}

// One row of an embedding.
struct EmbeddedToken {
  int64_t times = 0;
  double norm = 0;
  double largest = 0;  // |component|
  bool one_size = false;
};

double Quantile(std::vector<double> values, double part) {
  std::ranges::sort(values);
  const auto last = static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(std::llround(part * last))];
}

EmbeddingRow Summary(const std::vector<EmbeddedToken>& tokens) {
  EmbeddingRow row{.tokens = static_cast<int64_t>(tokens.size())};
  std::vector<double> norms;
  std::vector<double> largest;
  for (const EmbeddedToken& token : tokens) {
    norms.push_back(token.norm);
    largest.push_back(token.largest);
    row.one_size += token.one_size ? 1 : 0;
  }
  row.norm_low = Rounded(Quantile(norms, 0.01));
  row.norm_median = Rounded(Quantile(norms, 0.5));
  row.norm_high = Rounded(Quantile(norms, 0.99));
  row.norm_most = Rounded(Quantile(norms, 1));
  row.largest_median = Rounded(Quantile(largest, 0.5));
  row.largest_most = Rounded(Quantile(largest, 1));
  return row;
}

}  // namespace

int64_t PassageOf(int64_t N) { return std::clamp<int64_t>(N / 64, 8, 128); }

RepeatedText RepeatPassage(const std::vector<Token>& begin,
                           const evaluate::Document& text, int64_t passage,
                           int64_t length) {
  const auto before = static_cast<int64_t>(begin.size());
  const int64_t size = length - passage - before;
  ROPEWALK_CHECK(size >= 2 * passage &&
                 size <= static_cast<int64_t>(text.size()));
  RepeatedText repeated{
      .ids = begin, .passage = passage, .first = before + passage / 2};
  repeated.ids.insert(repeated.ids.end(), text.end() - size, text.end());
  for (int64_t k = 0; k < passage; ++k) {
    repeated.ids.push_back(
        repeated.ids[static_cast<size_t>(repeated.first + k)]);
  }
  return repeated;
}

std::vector<HeadCondition> HeadConditions(int64_t N) {
  const auto spelling = [N](const std::string& name) {
    for (const Condition& condition : Conditions(N)) {
      if (condition.name == name) return condition.spelling;
    }
    ROPEWALK_CHECK(false);
    return std::string();
  };
  const auto of = [&](const char* name, std::vector<int64_t> lengths) {
    return HeadCondition{name, spelling(name), std::move(lengths)};
  };
  return {of(kRope, {N / 16, N / 8, N / 4, N / 2, N, 2 * N}),
          of(kReRopeFar, {N, 2 * N, 4 * N}),
          of(kReRopeHalf, {N, 2 * N, 4 * N}),
          of(kReRopeHalfLogN, {2 * N, 4 * N}),
          of(kReRopeFarLogN, {2 * N, 4 * N}),
          of(kSinkWindow, {2 * N, 4 * N})};
}

std::vector<HeadJob> OpenHeadJobs(const std::vector<Text>& texts, int64_t N,
                                  const HeadOptions& options,
                                  const HeadRows& rows) {
  std::vector<HeadCondition> conditions = HeadConditions(N);
  std::string known;
  for (const HeadCondition& condition : conditions) {
    known += (known.empty() ? "" : ", ") + condition.name;
  }
  for (const std::string& name : options.only) {
    Require(std::ranges::count(conditions, name, &HeadCondition::name) > 0,
            "--only: '" + Printable(name, 40) + "' is none of " + known);
  }
  if (!options.only.empty()) {
    std::erase_if(conditions, [&](const HeadCondition& condition) {
      return std::ranges::count(options.only, condition.name) == 0;
    });
  }
  std::vector<HeadJob> jobs;
  for (const Text& text : texts) {
    if (text.piece != 0) continue;
    for (const HeadCondition& condition : conditions) {
      for (const int64_t length : condition.lengths) {
        const bool wanted =
            options.lengths.empty()
                ? length <= 2 * N
                : std::ranges::count(options.lengths, length) > 0;
        if (!wanted || length < 4 * PassageOf(N) ||
            length > static_cast<int64_t>(text.ids.size()) ||
            rows.Has(text.set, text.name, condition.name, length)) {
          continue;
        }
        jobs.push_back({&text, condition.name, condition.spelling, length});
      }
    }
  }
  return jobs;
}

Workload WorkOf(engine::Engine& engine, const std::vector<HeadJob>& jobs) {
  const evaluate::ModelScorer scorer(engine);
  Workload work;
  for (const HeadJob& job : jobs) {
    work += scorer.Work(PlansOf(engine, job.spelling, job.length).stack, 0,
                        job.length);
  }
  return work;
}

void RunHeads(engine::Engine& engine, const std::vector<HeadJob>& jobs,
              DType kv_type, const Run& run, HeadRows& rows,
              const HeadCallbacks& callbacks) {
  for (const HeadJob& job : jobs) {
    const RepeatedText repeated = RepeatPassage(
        engine.tokenizer().Encode("", {.add_eos = false}), job.text->ids,
        PassageOf(engine.positions().train_length), job.length);
    const Plans plans = PlansOf(engine, job.spelling, job.length);
    const std::vector<bool> acts = LayersThatAct(engine, job.length);
    const std::vector<evaluate::AttentionSeen> layers = evaluate::ReadAttention(
        engine, plans.stack, repeated.ids, repeated.FirstQuery(),
        callbacks.on_tokens, {.layers = acts, .kv_type = kv_type});
    std::vector<HeadRow> found;
    for (size_t l = 0; l < layers.size(); ++l) {
      if (!acts[l]) continue;
      HeadRow row = RowOfLayer(engine, plans.stack[l], layers[l], repeated);
      row.run = rows.RunOf(run);
      row.set = job.text->set;
      row.document = job.text->name;
      row.scheme = job.scheme;
      row.position = plans.position;
      row.length = job.length;
      row.layer = static_cast<int64_t>(l);
      found.push_back(std::move(row));
      callbacks.on_tokens(0, {});
    }
    rows.Add(found);
    callbacks.on_rows(job, found);
  }
}

void RunRanks(engine::Engine& engine, const std::vector<Text>& texts,
              DType kv_type, const Run& run, HeadRows& rows,
              const std::function<void(const std::string& scheme)>& on_rows) {
  const int64_t n = std::min(kRankTokens, engine.positions().train_length);
  const auto window = [n](int64_t divisor) {
    return "rerope:window=" + std::to_string(std::max<int64_t>(1, n / divisor));
  };
  const std::vector<std::pair<std::string, std::string>> schemes = {
      {kRope, "rope"},
      {"ReRoPE w=n/2", window(2)},
      {"ReRoPE w=n/8", window(8)}};
  for (const Text& text : texts) {
    for (const auto& [name, spelling] : schemes) {
      if (text.piece != 0 || rows.HasRank(text.set, text.name, name)) continue;
      const Plans plans = PlansOf(engine, spelling, n);
      const std::vector<bool> acts =
          LayersThatAct(engine, engine.positions().train_length);
      const std::vector<evaluate::AttentionSeen> layers =
          evaluate::ReadAttention(
              engine, plans.stack,
              std::span(text.ids).last(static_cast<size_t>(n)), 0,
              [](int64_t, const Workload&) {},
              {.layers = acts, .kv_type = kv_type});
      std::vector<RankRow> found;
      for (size_t l = 0; l < layers.size(); ++l) {
        if (!acts[l]) continue;
        RankRow row = RanksOfLayer(engine, plans.stack[l], layers[l], n);
        row.run = rows.RunOf(run);
        row.set = text.set;
        row.document = text.name;
        row.scheme = name;
        row.position = plans.position;
        row.layer = static_cast<int64_t>(l);
        found.push_back(std::move(row));
        on_rows({});
      }
      rows.AddRanks(found);
      on_rows(name);
    }
  }
}

void RunEmbedding(engine::Engine& engine, const std::vector<Text>& texts,
                  const Run& run, HeadRows& rows) {
  if (!rows.embedding().empty()) return;
  const kernels::Matrix& matrix = engine.model().embedding();
  std::vector<EmbeddedToken> tokens(static_cast<size_t>(matrix.rows));
  for (const Text& text : texts) {
    for (const Token id : text.ids) ++tokens[static_cast<size_t>(id)].times;
  }
  std::vector<float> row(static_cast<size_t>(matrix.columns));
  for (int64_t r = 0; r < matrix.rows; ++r) {
    EmbeddedToken& token = tokens[static_cast<size_t>(r)];
    kernels::UnpackRow(matrix.type, matrix.Row(r), matrix.columns, row.data());
    double squares = 0;
    for (const float x : row) {
      squares += static_cast<double>(x) * x;
      token.largest = std::max(token.largest, std::abs(static_cast<double>(x)));
    }
    token.norm = std::sqrt(squares);
    token.one_size = token.largest > 0 &&
                     std::sqrt(squares / static_cast<double>(row.size())) >
                         0.8 * token.largest;
  }
  std::vector<double> times;
  std::vector<double> norms;
  int64_t often = 0;
  for (const EmbeddedToken& token : tokens) {
    often = std::max(often, token.times);
    if (token.times == 0) continue;
    times.push_back(static_cast<double>(token.times));
    norms.push_back(token.norm);
  }
  const double rho = Rounded(evaluate::Spearman(times, norms).value_or(0));
  const std::vector<std::pair<int64_t, int64_t>> classes = {
      {0, often}, {0, 0}, {1, 1}, {2, 9}, {10, 99}, {100, often}};
  std::vector<EmbeddingRow> found;
  for (const auto& [least, most] : classes) {
    std::vector<EmbeddedToken> some;
    for (const EmbeddedToken& token : tokens) {
      if (token.times >= least && token.times <= most) some.push_back(token);
    }
    if (some.empty()) continue;
    EmbeddingRow summary = Summary(some);
    summary.run = rows.RunOf(run);
    summary.least = least;
    summary.most = most;
    summary.rho = rho;
    found.push_back(summary);
  }
  rows.AddEmbedding(found);
}

}  // namespace ropewalk::study
