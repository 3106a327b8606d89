#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "engine/logits.h"
#include "grammar/token_masks.h"

namespace ropewalk::engine {
namespace {

void RequireBelow(Token token, int64_t V, const std::string& what) {
  Require(token < V, what + " must name a token below " + std::to_string(V) +
                         ", got " + std::to_string(token));
}

// Checks that the vocabulary has the tokens of `options`. Replaces breakers
// that are control pieces, which have no text, by their tokens.
SampleOptions ForVocabulary(SampleOptions options,
                            const tokenizer::Tokenizer& tokenizer) {
  const int64_t V = tokenizer.VocabularySize();
  for (const auto& [token, bias] : options.logit_bias) {
    RequireBelow(token, V, "a logit bias");
  }
  DryOptions& dry = options.dry;
  for (const Token token : dry.breaker_tokens) {
    RequireBelow(token, V, "a DRY breaker");
  }
  if (dry.multiplier == 0) return options;
  std::erase_if(dry.breakers, [&](const std::string& breaker) {
    const std::optional<Token> token = tokenizer.Find(breaker);
    if (!token || !tokenizer.IsControl(*token)) return false;
    dry.breaker_tokens.push_back(*token);
    return true;
  });
  return options;
}

}  // namespace

void Validate(const SampleOptions& options) {
  Require(std::isfinite(options.temperature) && options.temperature >= 0,
          "temperature must be at least 0, got " +
              FormatNumber(options.temperature));
  Require(options.top_k >= 0,
          "top-k must be at least 0, got " + std::to_string(options.top_k));
  Require(options.top_p > 0 && options.top_p <= 1,
          "top-p must be above 0 and at most 1, got " +
              FormatNumber(options.top_p));
  Require(options.min_p >= 0 && options.min_p <= 1,
          "min-p must be from 0 to 1, got " + FormatNumber(options.min_p));
  Require(options.typical_p > 0 && options.typical_p <= 1,
          "typical-p must be above 0 and at most 1, got " +
              FormatNumber(options.typical_p));
  for (const auto& [token, bias] : options.logit_bias) {
    Require(token >= 0, "a logit bias must name a token of at least 0, got " +
                            std::to_string(token));
    Require(
        std::isfinite(bias) || bias == -std::numeric_limits<double>::infinity(),
        "the logit bias of token " + std::to_string(token) +
            " must be finite, or -inf to ban it, got " + FormatNumber(bias));
  }
  Validate(options.penalties);
  Validate(options.dry);
}

Sampler::Sampler(const SampleOptions& options, uint64_t seed)
    : Sampler(options, seed, TokenText()) {}

Sampler::Sampler(const SampleOptions& options, uint64_t seed,
                 const tokenizer::Tokenizer& tokenizer)
    : Sampler(ForVocabulary(options, tokenizer), seed,
              [&tokenizer](Token token) {
                // The text of a token in the middle of a text: at the start its
                // space would be removed.
                return tokenizer.DecodeNext(token, token);
              }) {}

Sampler::Sampler(const SampleOptions& options, uint64_t seed, TokenText text_of)
    : options_(options),
      rng_(seed),
      penalties_(options.penalties),
      dry_(options.dry, std::move(text_of)) {
  Validate(options);
}

void Sampler::Accept(Token token) { Accept({&token, 1}); }

void Sampler::Accept(std::span<const Token> tokens) {
  for (const Token token : tokens) {
    Require(token >= 0,
            "a token must be at least 0, got " + std::to_string(token));
    penalties_.Accept(token);
    dry_.Accept(token);
  }
}

bool Sampler::Likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

Token Sampler::Sample(std::span<const float> logits,
                      std::span<const uint64_t> allowed) {
  FindCandidates(logits, allowed);
  if (options_.temperature == 0) {
    return std::min_element(candidates_.begin(), candidates_.end(), Likelier)
        ->token;
  }
  KeepTopK();
  if (options_.typical_p < 1) KeepTypical();
  KeepTopPAndMinP();
  return Draw();
}

void Sampler::FindCandidates(std::span<const float> logits,
                             std::span<const uint64_t> allowed) {
  changed_.assign(logits.begin(), logits.end());
  for (const auto& [token, bias] : options_.logit_bias) {
    RequireBelow(token, static_cast<int64_t>(logits.size()), "a logit bias");
    double& logit = changed_[static_cast<size_t>(token)];
    logit = std::isfinite(bias) ? ChangedLogit(logit, logit + bias) : bias;
  }
  penalties_.Apply(changed_);
  dry_.Apply(changed_);
  candidates_.clear();
  for (size_t v = 0; v < changed_.size(); ++v) {
    const auto token = static_cast<Token>(v);
    if (std::isfinite(changed_[v]) &&
        (allowed.empty() || grammar::Contains(allowed, token))) {
      candidates_.push_back({token, changed_[v]});
    }
  }
  if (candidates_.empty()) {
    RequireFiniteLogit(logits);
    Require(allowed.empty(),
            "of the tokens that the grammar allows here none may be chosen: "
            "the logit bias bans them, or their logits are not finite");
    Require(false, "the logit bias bans every token");
  }
}

void Sampler::KeepTopK() {
  const auto size = static_cast<int64_t>(candidates_.size());
  const int64_t k = options_.top_k == 0 ? size : std::min(options_.top_k, size);
  std::partial_sort(candidates_.begin(), candidates_.begin() + k,
                    candidates_.end(), Likelier);
  candidates_.resize(static_cast<size_t>(k));
}

double Sampler::SumAt(double temperature) const {
  const double best = candidates_.front().logit;
  double sum = 0;
  for (const Candidate& c : candidates_) {
    sum += std::exp((c.logit - best) / temperature);
  }
  return sum;
}

void Sampler::KeepTypical() {
  const double log_sum = candidates_.front().logit + std::log(SumAt(1));
  double entropy = 0;
  for (const Candidate& c : candidates_) {
    entropy += std::exp(c.logit - log_sum) * (log_sum - c.logit);
  }
  const auto distance = [&](const Candidate& c) {
    return std::abs(log_sum - c.logit - entropy);
  };
  // The sort is stable: of two equally typical tokens the more likely one comes
  // first.
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [&](const Candidate& a, const Candidate& b) {
                     return distance(a) < distance(b);
                   });
  double cumulative = 0;
  size_t kept = 0;
  while (kept < candidates_.size() && cumulative < options_.typical_p) {
    cumulative += std::exp(candidates_[kept].logit - log_sum);
    ++kept;
  }
  candidates_.resize(kept);
  std::sort(candidates_.begin(), candidates_.end(), Likelier);
}

void Sampler::KeepTopPAndMinP() {
  const double best = candidates_.front().logit;
  const double total = SumAt(1);
  double cumulative = 0;
  size_t kept = 0;
  for (const Candidate& c : candidates_) {
    const double relative = std::exp(c.logit - best);
    if (kept > 0 &&
        (cumulative >= options_.top_p * total || relative < options_.min_p)) {
      break;
    }
    cumulative += relative;
    ++kept;
  }
  candidates_.resize(kept);
}

Token Sampler::Draw() {
  const double best = candidates_.front().logit;
  double at = rng_.Uniform() * SumAt(options_.temperature);
  for (const Candidate& c : candidates_) {
    at -= std::exp((c.logit - best) / options_.temperature);
    if (at < 0) return c.token;
  }
  return candidates_.back().token;
}

}  // namespace ropewalk::engine
