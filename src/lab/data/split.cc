#include "lab/data/split.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "lab/data/draws.h"

namespace ropewalk::lab::data {
namespace {

std::vector<int64_t> ByName(const TokenFile& tokens,
                            const std::vector<std::string>& names) {
  std::vector<int64_t> chosen;
  for (const std::string& wanted : names) {
    const size_t before = chosen.size();
    for (int64_t i = 0; i < tokens.documents(); ++i) {
      const std::string_view name = tokens.name(i);
      if (name == wanted || name.starts_with(wanted + "#")) chosen.push_back(i);
    }
    Require(chosen.size() > before,
            "held out: no document is named '" + Printable(wanted) + "'");
  }
  return chosen;
}

// The documents that come first when all are put in a drawn order.
std::vector<int64_t> ByDraw(int64_t D, const SplitOptions& options) {
  int64_t count = options.count;
  if (count == 0 && options.fraction > 0) {
    count = std::max<int64_t>(
        1, std::llround(options.fraction * static_cast<double>(D)));
  }
  std::vector<int64_t> order(static_cast<size_t>(D));
  std::iota(order.begin(), order.end(), 0);
  Draws(Purpose::kSplit, options.seed).Shuffle(&order);
  order.resize(static_cast<size_t>(std::min(count, D)));
  return order;
}

}  // namespace

Split SplitDocuments(const TokenFile& tokens, const SplitOptions& options) {
  Require(options.count >= 0, "held out: the count must not be negative, got " +
                                  std::to_string(options.count));
  Require(options.fraction >= 0 && options.fraction < 1,
          "held out: the fraction must be from 0 to below 1, got " +
              FormatNumber(options.fraction));
  const int64_t D = tokens.documents();
  std::set<uint64_t> held_texts;
  for (const int64_t i : options.names.empty()
                             ? ByDraw(D, options)
                             : ByName(tokens, options.names)) {
    held_texts.insert(tokens.text_fingerprint(i));
  }
  Split split;
  for (int64_t i = 0; i < D; ++i) {
    const bool held = held_texts.contains(tokens.text_fingerprint(i));
    (held ? split.held_out : split.train).push_back(i);
  }
  Require(!split.train.empty(),
          "held out: nothing is left to train on; the corpus has " +
              std::to_string(D) +
              (D == 1 ? " document (cut it into paragraphs, or hold none out)"
                      : " documents, all of them held out"));
  return split;
}

}  // namespace ropewalk::lab::data
