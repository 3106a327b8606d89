#include "memory/choose.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "memory/choose_parts.h"

namespace ropewalk::memory {

namespace {

// A token, or two that follow each other.
using Term = std::pair<Token, Token>;
constexpr Token kAlone = -1;

struct TermHash {
  size_t operator()(const Term& term) const {
    return std::hash<uint64_t>()(
        static_cast<uint64_t>(static_cast<uint32_t>(term.first)) << 32 |
        static_cast<uint32_t>(term.second));
  }
};

// Calls `see` with each token, and with it and the token before it.
template <typename See>
void ForEachTerm(std::span<const Token> tokens, const See& see) {
  for (size_t t = 0; t < tokens.size(); ++t) {
    see(Term(tokens[t], kAlone));
    if (t > 0) see(Term(tokens[t - 1], tokens[t]));
  }
}

}  // namespace

std::vector<double> ScoreByWords(std::span<const PartOf> parts,
                                 std::span<const Token> question) {
  constexpr double kK1 = 1.2;
  constexpr double kB = 0.75;
  std::unordered_map<Term, size_t, TermHash> terms;
  ForEachTerm(question,
              [&](const Term& term) { terms.emplace(term, terms.size()); });
  std::vector<std::vector<int64_t>> counts;  // of each term in each part
  std::vector<int64_t> parts_with(terms.size(), 0);
  double tokens = 0;
  for (const PartOf& of : parts) {
    std::vector<int64_t>& count = counts.emplace_back(terms.size(), 0);
    const int64_t size = of.part->tokens();
    tokens += static_cast<double>(size);
    ForEachTerm(std::span(of.memory->tokens)
                    .subspan(static_cast<size_t>(of.part->begin),
                             static_cast<size_t>(size)),
                [&](const Term& term) {
                  const auto at = terms.find(term);
                  if (at == terms.end()) return;
                  if (count[at->second]++ == 0) ++parts_with[at->second];
                });
  }
  const auto N = static_cast<double>(parts.size());
  const double mean = tokens / N;
  std::vector<double> scores;
  for (size_t p = 0; p < parts.size(); ++p) {
    const double length = static_cast<double>(parts[p].part->tokens()) / mean;
    double score = 0;
    for (size_t w = 0; w < parts_with.size(); ++w) {
      const auto with = static_cast<double>(parts_with[w]);
      const auto count = static_cast<double>(counts[p][w]);
      score += std::log(1 + (N - with + 0.5) / (with + 0.5)) * count *
               (kK1 + 1) / (count + kK1 * (1 - kB + kB * length));
    }
    scores.push_back(score);
  }
  return scores;
}

Choices Choose(engine::Engine& engine,
               std::span<const std::shared_ptr<const Memory>> memories,
               std::span<const Token> question, const Law& law, int64_t k,
               ChooseBy by) {
  Require(!memories.empty(), "there are no memories to choose from");
  Require(k >= 1, "at least 1 memory is chosen, got " + std::to_string(k));
  Require(!question.empty(),
          "memories are chosen by a question of at least 1 "
          "token");
  std::vector<PartOf> parts;
  for (size_t m = 0; m < memories.size(); ++m) {
    for (const Part& part : memories[m]->parts) {
      if (part.tokens() == 0) continue;  // no layer reads the whole text
      parts.push_back({memories[m].get(), &part, static_cast<int64_t>(m)});
    }
  }
  Require(!parts.empty(), "the memories have no tokens to choose by");
  k = std::min(k, static_cast<int64_t>(memories.size()));
  std::vector<double> shares(memories.size(), 0.0);
  if (by == ChooseBy::kWords) {
    const std::vector<double> scores = ScoreByWords(parts, question);
    for (size_t p = 0; p < parts.size(); ++p) {
      double& best = shares[static_cast<size_t>(parts[p].index)];
      best = std::max(best, scores[p]);
    }
  } else {
    const std::vector<double> of =
        ShareByAttention(engine, parts, question, law, 4 * k);
    for (size_t p = 0; p < parts.size(); ++p) {
      shares[static_cast<size_t>(parts[p].index)] += of[p];
    }
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (sum > 0) {
    for (double& share : shares) share /= sum;
  }
  std::vector<int64_t> order(memories.size());
  std::iota(order.begin(), order.end(), 0);
  const auto share_of = [&](int64_t m) {
    return shares[static_cast<size_t>(m)];
  };
  std::ranges::stable_sort(order, std::ranges::greater(), share_of);
  Choices choices;
  for (size_t at = 0; at < order.size(); ++at) {
    if (static_cast<int64_t>(at) < k) {
      choices.best.push_back({order[at], share_of(order[at])});
    } else {
      choices.left_out += share_of(order[at]);
    }
  }
  return choices;
}

}  // namespace ropewalk::memory
