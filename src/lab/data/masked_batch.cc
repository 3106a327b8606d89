#include "lab/data/masked_batch.h"

#include "base/error.h"
#include "lab/data/draws.h"

namespace ropewalk::lab::data {

MaskedBatch MaskRows(const LmBatch& batch, const MaskOptions& options,
                     int64_t step, int64_t first_row) {
  Require(options.share >= 0 && options.share <= 1 && options.masked >= 0 &&
              options.replaced >= 0 && options.masked + options.replaced <= 1,
          "mask: shares must be from 0 to 1");
  Require(options.first_normal >= 0 &&
              options.first_normal < options.vocabulary && options.mask >= 0 &&
              options.mask < options.vocabulary,
          "mask: the mask and the normal ids must lie in the vocabulary of " +
              std::to_string(options.vocabulary));
  MaskedBatch out;
  out.B = batch.B;
  out.T = batch.columns - 1;
  for (int64_t b = 0; b < batch.B; ++b) {
    Draws draws(Purpose::kMask, options.seed, step, first_row + b);
    const int64_t* row = batch.ids.data() + b * batch.columns;
    std::vector<int64_t> hidden;
    std::vector<int64_t> normal;
    for (int64_t t = 0; t < out.T; ++t) {
      const bool can = row[t] >= options.first_normal;
      if (can) normal.push_back(t);
      if (draws.Uniform() < options.share && can) hidden.push_back(t);
    }
    if (hidden.empty() && !normal.empty()) {
      const int64_t i = draws.Below(static_cast<int64_t>(normal.size()));
      hidden.push_back(normal[static_cast<size_t>(i)]);
    }
    const auto begin = static_cast<size_t>(b * out.T);
    out.ids.insert(out.ids.end(), row, row + out.T);
    out.targets.insert(out.targets.end(), row, row + out.T);
    out.weights.resize(begin + static_cast<size_t>(out.T), 0);
    for (const int64_t t : hidden) {
      const size_t at = begin + static_cast<size_t>(t);
      out.weights[at] = 1;
      const double kind = draws.Uniform();
      if (kind < options.masked) {
        out.ids[at] = options.mask;
      } else if (kind < options.masked + options.replaced) {
        out.ids[at] =
            draws.Between(options.first_normal, options.vocabulary - 1);
      }
    }
  }
  return out;
}

}  // namespace ropewalk::lab::data
