#include "engine/dry.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "engine/logits.h"

namespace ropewalk::engine {
namespace {

// Sets matches[i] to the number of last tokens that also stand directly before
// the last i tokens: the Z function of the reversed text. Leaves matches[0].
void MatchEnds(std::span<const Token> text, std::vector<int64_t>& matches) {
  const auto n = static_cast<int64_t>(text.size());
  const auto back = [&](int64_t i) {
    return text[static_cast<size_t>(n - 1 - i)];
  };
  matches.assign(text.size(), 0);
  // [begin, end) is the known match that reaches furthest back.
  int64_t begin = 0;
  int64_t end = 0;
  for (int64_t i = 1; i < n; ++i) {
    int64_t length =
        i < end ? std::min(end - i, matches[static_cast<size_t>(i - begin)])
                : 0;
    while (i + length < n && back(length) == back(i + length)) ++length;
    if (i + length > end) {
      begin = i;
      end = i + length;
    }
    matches[static_cast<size_t>(i)] = length;
  }
}

}  // namespace

void Validate(const DryOptions& options) {
  Require(std::isfinite(options.multiplier) && options.multiplier >= 0,
          "DRY multiplier must be at least 0, got " +
              FormatNumber(options.multiplier));
  Require(std::isfinite(options.base) && options.base >= 1,
          "DRY base must be at least 1, got " + FormatNumber(options.base));
  Require(options.allowed_length >= 1,
          "DRY allowed length must be at least 1, got " +
              std::to_string(options.allowed_length));
  Require(options.last >= -1,
          "last tokens under DRY must be at least 0 (-1: all), got " +
              std::to_string(options.last));
  for (const std::string& breaker : options.breakers) {
    Require(!breaker.empty(), "a DRY breaker must not be empty");
  }
  for (const Token token : options.breaker_tokens) {
    Require(token >= 0, "a DRY breaker must be a token of at least 0, got " +
                            std::to_string(token));
  }
}

Dry::Dry(const DryOptions& options, TokenText text_of)
    : options_(options),
      text_of_(std::move(text_of)),
      active_(options.multiplier != 0 && options.last != 0) {
  Validate(options);
  Require(!active_ || options.breakers.empty() || text_of_ != nullptr,
          "DRY breakers that are texts need a tokenizer; give one, or "
          "breakers that are tokens");
  for (const std::string& breaker : options.breakers) {
    longest_breaker_ = std::max(longest_breaker_, breaker.size());
  }
}

bool Dry::Breaks(Token token) const {
  const auto& tokens = options_.breaker_tokens;
  if (std::find(tokens.begin(), tokens.end(), token) != tokens.end()) {
    return true;
  }
  if (options_.breakers.empty()) return false;
  const std::string text = tail_ + text_of_(token);
  return std::any_of(
      options_.breakers.begin(), options_.breakers.end(),
      [&](const std::string& breaker) {
        // A breaker that ends before `token` was handled already.
        const size_t kept = std::min(tail_.size(), breaker.size() - 1);
        return text.find(breaker, tail_.size() - kept) != std::string::npos;
      });
}

void Dry::Accept(Token token) {
  if (!active_) return;
  since_break_ = Breaks(token) ? 0 : since_break_ + 1;
  if (!options_.breakers.empty()) {
    tail_ += text_of_(token);
    if (tail_.size() >= longest_breaker_) {
      tail_.erase(0, tail_.size() - (longest_breaker_ - 1));
    }
  }
  history_.push_back(token);
  // Half of the tokens are dropped at a time, so each is moved at most twice.
  const auto size = static_cast<int64_t>(history_.size());
  if (options_.last > 0 && size / 2 >= options_.last) {
    history_.erase(history_.begin(), history_.end() - options_.last);
  }
}

std::span<const Token> Dry::Window() const {
  const std::span<const Token> all = history_;
  const auto size = static_cast<int64_t>(all.size());
  if (options_.last < 0 || size <= options_.last) return all;
  return all.last(static_cast<size_t>(options_.last));
}

void Dry::Apply(std::span<double> logits) {
  if (!active_ || since_break_ < options_.allowed_length) return;
  const std::span<const Token> window = Window();
  MatchEnds(window, matches_);
  longest_.clear();
  for (size_t i = 1; i < window.size(); ++i) {
    const int64_t length = std::min(matches_[i], since_break_);
    if (length < options_.allowed_length) continue;
    int64_t& longest = longest_[window[window.size() - i]];
    longest = std::max(longest, length);
  }
  for (const auto& [token, length] : longest_) {
    if (static_cast<size_t>(token) >= logits.size() || Breaks(token)) continue;
    double& logit = logits[static_cast<size_t>(token)];
    const auto beyond = static_cast<double>(length - options_.allowed_length);
    logit = ChangedLogit(
        logit, logit - options_.multiplier * std::pow(options_.base, beyond));
  }
}

}  // namespace ropewalk::engine
