#include "memory/choose.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "memory/choose_parts.h"

namespace ropewalk::memory {

std::vector<double> ScoreByWords(std::span<const PartOf> parts,
                                 std::span<const Token> question) {
  constexpr double kK1 = 1.2;
  constexpr double kB = 0.75;
  std::unordered_map<Token, size_t> words;
  for (const Token token : question) words.emplace(token, words.size());
  std::vector<std::vector<int64_t>> counts;  // of each word in each part
  std::vector<int64_t> parts_with(words.size(), 0);
  double tokens = 0;
  for (const PartOf& of : parts) {
    std::vector<int64_t>& count = counts.emplace_back(words.size(), 0);
    const int64_t size = of.part->tokens();
    tokens += static_cast<double>(size);
    for (int64_t at = of.part->begin; at < of.part->begin + size; ++at) {
      const auto word = words.find(of.memory->tokens[static_cast<size_t>(at)]);
      if (word == words.end()) continue;
      if (count[word->second]++ == 0) ++parts_with[word->second];
    }
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
