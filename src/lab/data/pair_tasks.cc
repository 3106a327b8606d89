#include "lab/data/pair_tasks.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "lab/data/draws.h"

namespace ropewalk::lab::data {
namespace {

// `total` as a sum of `parts` numbers above 0, all such sums equally likely:
// the gaps between parts - 1 distinct cuts.
std::vector<int64_t> Partition(int64_t total, int64_t parts, Draws* draws) {
  std::vector<int64_t> cuts(static_cast<size_t>(total - 1));
  std::iota(cuts.begin(), cuts.end(), 1);
  draws->Shuffle(&cuts);
  cuts.resize(static_cast<size_t>(parts - 1));
  cuts.push_back(total);
  std::sort(cuts.begin(), cuts.end());
  for (size_t i = cuts.size(); i-- > 1;) cuts[i] -= cuts[i - 1];
  return cuts;
}

// What kFill takes out of a passage of n tokens.
struct Removal {
  int64_t tokens = 0;
  int64_t spans = 0;
};
Removal RemovalFrom(const PairTaskOptions& options, int64_t n) {
  const int64_t tokens = std::clamp<int64_t>(
      std::llround(options.fill_share * static_cast<double>(n)), 1, n - 1);
  const int64_t spans = std::clamp<int64_t>(
      std::llround(static_cast<double>(tokens) / options.fill_span), 1,
      std::min({tokens, n - tokens, options.sentinels}));
  return {tokens, spans};
}

}  // namespace

bool NeedsText(PairTask task) {
  return task == PairTask::kContinue || task == PairTask::kFill ||
         task == PairTask::kCipher;
}

PairTaskOptions PairsWithin(PairTask task, int64_t N, int64_t V) {
  Require(N >= 16 && V >= 12,
          "task " + std::string(PairTaskName(task)) +
              " needs model.length of at least 16 and model.vocabulary of at "
              "least 12");
  PairTaskOptions o{.task = task};
  o.max_input = N / 2 - 1;
  o.output = N / 2 - 1;
  o.symbols = NeedsText(task) ? V - 3 : std::min<int64_t>(64, V - 3);
  o.min_input = NeedsText(task) ? o.max_input : N / 8;
  if (task == PairTask::kFill) o.min_input = o.max_input = 2 * N / 3;
  if (task == PairTask::kRecall) {
    o.max_input = std::min((N - 1) / 4, o.symbols / 2);
    o.min_input = std::min(N / 16, o.max_input);
  }
  return o;
}

PairLengths MeanLengths(const PairTaskOptions& options) {
  const int64_t mean = (options.min_input + options.max_input) / 2;
  switch (options.task) {
    case PairTask::kContinue:
      return {mean, options.output + 1};
    case PairTask::kFill: {
      const auto [removed, spans] = RemovalFrom(options, mean);
      return {mean - removed + spans, removed + spans + 1};
    }
    case PairTask::kRecall:
      return {2 * mean, 2 * mean + 1};
    case PairTask::kCipher:
    case PairTask::kCopy:
    case PairTask::kReverse:
    case PairTask::kSort:
      break;
  }
  return {mean, mean + 1};
}

PairMaker::PairMaker(const PairTaskOptions& options, const TokenStream* text)
    : options_(options), text_(text) {
  const std::string label = std::string(PairTaskName(options.task)) + ": ";
  Require(options.min_input > 0 && options.min_input <= options.max_input,
          label + "input lengths must be 1 or more and in order, got " +
              std::to_string(options.min_input) + " to " +
              std::to_string(options.max_input));
  Require(options.symbols >= 2 && options.first_symbol >= 0,
          label + "needs at least 2 symbols");
  Require(options.output > 0, label + "the output must have tokens");
  Require(options.task != PairTask::kRecall ||
              options.max_input <= options.symbols / 2,
          label + "needs as many keys as pairs: at most " +
              std::to_string(options.symbols / 2) + " pairs, got " +
              std::to_string(options.max_input));
  if (options.task == PairTask::kFill) {
    Require(options.fill_share > 0 && options.fill_share < 1 &&
                options.fill_span >= 1 && options.min_input >= 2 &&
                options.sentinels > 0,
            label +
                "needs a share in (0, 1), spans of 1 or more, passages of "
                "2 or more and sentinels");
  }
  Require(options.verse_tokens > 0, label + "verses must have tokens");
  if (NeedsText(options.task)) {
    const int64_t needed =
        options.max_input +
        (options.task == PairTask::kContinue ? options.output : 0);
    Require(text != nullptr, label + "needs a text");
    Require(text->size() >= needed,
            label + "needs a text of " + std::to_string(needed) +
                " tokens, got " + std::to_string(text->size()));
  }
  if (options.task == PairTask::kCipher) {
    Require(options.first_symbol + options.symbols <= text->vocabulary(),
            label + "the code reaches beyond the vocabulary");
    code_.resize(static_cast<size_t>(options.symbols));
    std::iota(code_.begin(), code_.end(), options.first_symbol);
    Draws(Purpose::kCode, options.seed).Shuffle(&code_);
  }
}

std::vector<SequencePair> PairMaker::Make(int64_t first, int64_t count) const {
  std::vector<SequencePair> pairs;
  for (int64_t i = 0; i < count; ++i) pairs.push_back(Make(first + i));
  return pairs;
}

SequencePair PairMaker::Make(int64_t index) const {
  Draws draws(Purpose::kPairs, options_.seed, index);
  const int64_t length = draws.Between(options_.min_input, options_.max_input);
  std::vector<Token> ids(static_cast<size_t>(length));
  if (NeedsText(options_.task)) {
    const bool more = options_.task == PairTask::kContinue;
    const int64_t count = length + (more ? options_.output : 0);
    ids.resize(static_cast<size_t>(count));
    text_->Copy(draws.Below(text_->size() - count + 1), count, ids.data());
  } else {
    for (Token& id : ids) {
      id = options_.first_symbol +
           static_cast<Token>(draws.Below(options_.symbols));
    }
  }
  switch (options_.task) {
    case PairTask::kContinue: {
      const auto cut = ids.begin() + static_cast<std::ptrdiff_t>(length);
      return {{ids.begin(), cut}, {cut, ids.end()}};
    }
    case PairTask::kFill:
      return Fill(std::move(ids), index);
    case PairTask::kCipher:
      return Cipher(std::move(ids));
    case PairTask::kCopy:
      return {ids, ids};
    case PairTask::kReverse:
      return {ids, {ids.rbegin(), ids.rend()}};
    case PairTask::kSort: {
      SequencePair pair{ids, std::move(ids)};
      std::sort(pair.output.begin(), pair.output.end());
      return pair;
    }
    case PairTask::kRecall:
      return Recall(length, index);
  }
  ROPEWALK_CHECK(false && "a task without a case");
}

// Text and spans in turn, text first, as in T5 (Raffel et al. 2020).
SequencePair PairMaker::Fill(std::vector<Token> passage, int64_t index) const {
  Draws draws(Purpose::kMask, options_.seed, index);
  const auto n = static_cast<int64_t>(passage.size());
  const auto [removed, spans] = RemovalFrom(options_, n);
  const std::vector<int64_t> gaps = Partition(n - removed, spans, &draws);
  const std::vector<int64_t> sizes = Partition(removed, spans, &draws);
  SequencePair pair;
  auto at = passage.begin();
  for (size_t i = 0; i < gaps.size(); ++i) {
    pair.input.insert(pair.input.end(), at, at + gaps[i]);
    at += gaps[i];
    const Token sentinel = options_.first_sentinel + static_cast<Token>(i);
    pair.input.push_back(sentinel);
    pair.output.push_back(sentinel);
    pair.output.insert(pair.output.end(), at, at + sizes[i]);
    at += sizes[i];
  }
  return pair;
}

SequencePair PairMaker::Cipher(std::vector<Token> passage) const {
  SequencePair pair;
  // Verses from the last to the first, each with its end.
  auto end = passage.size();
  while (end > 0) {
    size_t begin = end - 1;
    if (options_.verse_end) {
      while (begin > 0 && passage[begin - 1] != *options_.verse_end) --begin;
    } else {
      begin -= begin % static_cast<size_t>(options_.verse_tokens);
    }
    for (size_t i = begin; i < end; ++i) {
      const int64_t symbol = int64_t{passage[i]} - options_.first_symbol;
      const bool coded = symbol >= 0 && symbol < options_.symbols;
      pair.output.push_back(coded ? code_[static_cast<size_t>(symbol)]
                                  : passage[i]);
    }
    end = begin;
  }
  pair.input = std::move(passage);
  return pair;
}

SequencePair PairMaker::Recall(int64_t pairs, int64_t index) const {
  Draws draws(Purpose::kRecall, options_.seed, index);
  const int64_t half = options_.symbols / 2;
  std::vector<Token> keys(static_cast<size_t>(half));
  std::iota(keys.begin(), keys.end(), options_.first_symbol);
  draws.Shuffle(&keys);
  SequencePair pair;
  std::vector<Token> order(static_cast<size_t>(pairs));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = 0; i < pairs; ++i) {
    pair.input.push_back(keys[static_cast<size_t>(i)]);
    pair.input.push_back(options_.first_symbol + static_cast<Token>(half) +
                         static_cast<Token>(draws.Below(half)));
  }
  draws.Shuffle(&order);
  for (const Token i : order) {
    const auto key = pair.input.begin() + 2 * std::ptrdiff_t{i};
    pair.output.insert(pair.output.end(), key, key + 2);
  }
  return pair;
}

}  // namespace ropewalk::lab::data
