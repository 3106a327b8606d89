#include "report/labels.h"

#include <algorithm>
#include <numeric>

namespace ropewalk::report {

// With y = z + rank * gap, labels keep their distance exactly when z does not
// decrease. So the best z is the isotonic regression of the wanted positions:
// neighbours that are out of order are replaced by their mean.
std::vector<double> SpreadLabels(const std::vector<double>& wanted, double gap,
                                 double low, double high) {
  const size_t n = wanted.size();
  if (n == 0) return {};
  const double most_gap =
      n > 1 ? (high - low) / static_cast<double>(n - 1) : gap;
  gap = std::min(gap, std::max(0.0, most_gap));

  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&wanted](size_t a, size_t b) {
    return wanted[a] < wanted[b];
  });

  struct Pool {
    double sum;
    size_t size;
    double Mean() const { return sum / static_cast<double>(size); }
  };
  std::vector<Pool> pools;
  for (size_t rank = 0; rank < n; ++rank) {
    pools.push_back({wanted[order[rank]] - static_cast<double>(rank) * gap, 1});
    while (pools.size() > 1 &&
           pools[pools.size() - 2].Mean() >= pools.back().Mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().size += last.size;
    }
  }

  const double last_z = high - static_cast<double>(n - 1) * gap;
  std::vector<double> placed(n);
  size_t rank = 0;
  for (const Pool& pool : pools) {
    const double z = std::max(low, std::min(pool.Mean(), last_z));
    for (size_t i = 0; i < pool.size; ++i, ++rank) {
      placed[order[rank]] = z + static_cast<double>(rank) * gap;
    }
  }
  return placed;
}

}  // namespace ropewalk::report
