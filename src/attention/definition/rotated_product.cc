#include "attention/definition/rotated_product.h"

#include <cstdint>
#include <vector>

#include "kernels/reference/reference.h"

namespace ropewalk::attention {

double RotatedProduct(std::span<const double> q, std::span<const double> k,
                      double r, const position::FrequencyTable& table) {
  std::vector<double> angles;
  for (const double frequency : table.frequencies) {
    angles.push_back(r * frequency);
  }
  std::vector<double> turned(q.size());
  kernels::reference::Rotate(q.data(), angles.data(),
                             static_cast<int64_t>(angles.size()),
                             static_cast<int64_t>(q.size()), turned.data());
  double sum = 0;
  for (size_t d = 0; d < q.size(); ++d) {
    const bool rotates = d < 2 * angles.size();
    sum +=
        turned[d] * k[d] * (rotates ? table.magnitude * table.magnitude : 1.0);
  }
  return sum;
}

}  // namespace ropewalk::attention
