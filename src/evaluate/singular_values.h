// Singular values of small matrices, and the ranks that they tell.

#ifndef ROPEWALK_EVALUATE_SINGULAR_VALUES_H_
#define ROPEWALK_EVALUATE_SINGULAR_VALUES_H_

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::evaluate {

// The singular values of `matrix` [rows, columns], rows >= columns, in falling
// order, by one-sided Jacobi rotations (Hestenes 1958): a second for 256 x 256.
// Throws std::invalid_argument for other sizes.
std::vector<double> SingularValues(std::span<const double> matrix, int64_t rows,
                                   int64_t columns);

// The numbers above `least` times the largest.
int64_t NumericalRank(std::span<const double> values, double least);

// The entropy in nats of the first `count` of `values`, as parts of the sum of
// all. `values` fall and are at least 0.
double SpectralEntropy(std::span<const double> values, size_t count);

// exp of the entropy of all: 1 where one value stands alone, their number where
// all are equal.
double EffectiveRank(std::span<const double> values);

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_SINGULAR_VALUES_H_
