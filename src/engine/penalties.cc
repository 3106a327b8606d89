#include "engine/penalties.h"

#include <cmath>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "engine/logits.h"

namespace ropewalk::engine {

void Validate(const PenaltyOptions& options) {
  Require(std::isfinite(options.repetition) && options.repetition > 0,
          "repetition penalty must be above 0 (1 changes nothing), got " +
              FormatNumber(options.repetition));
  Require(std::isfinite(options.frequency),
          "frequency penalty must be finite, got " +
              FormatNumber(options.frequency));
  Require(
      std::isfinite(options.presence),
      "presence penalty must be finite, got " + FormatNumber(options.presence));
  Require(options.last >= -1,
          "last tokens under penalty must be at least 0 (-1: all), got " +
              std::to_string(options.last));
}

Penalties::Penalties(const PenaltyOptions& options)
    : options_(options),
      active_(options.last != 0 &&
              (options.repetition != 1 || options.frequency != 0 ||
               options.presence != 0)) {
  Validate(options);
}

void Penalties::Accept(Token token) {
  if (!active_) return;
  ++counts_[token];
  if (options_.last < 0) return;
  window_.push_back(token);
  if (static_cast<int64_t>(window_.size()) <= options_.last) return;
  const auto oldest = counts_.find(window_.front());
  if (--oldest->second == 0) counts_.erase(oldest);
  window_.pop_front();
}

void Penalties::Apply(std::span<double> logits) const {
  for (const auto& [token, count] : counts_) {
    if (static_cast<size_t>(token) >= logits.size()) continue;
    double& logit = logits[static_cast<size_t>(token)];
    const double repeated =
        logit > 0 ? logit / options_.repetition : logit * options_.repetition;
    logit = ChangedLogit(logit, repeated);
    logit = ChangedLogit(
        logit, logit - static_cast<double>(count) * options_.frequency -
                   options_.presence);
  }
}

}  // namespace ropewalk::engine
