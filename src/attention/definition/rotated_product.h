// The product of a query and a key at a distance, in float64.

#ifndef ROPEWALK_ATTENTION_DEFINITION_ROTATED_PRODUCT_H_
#define ROPEWALK_ATTENTION_DEFINITION_ROTATED_PRODUCT_H_

#include <span>

#include "position/plan.h"

namespace ropewalk::attention {

// <q rotated by r, k> for q and k [D], not rotated. The magnitude of the table
// multiplies the rotated components of both.
double RotatedProduct(std::span<const double> q, std::span<const double> k,
                      double r, const position::FrequencyTable& table);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_ROTATED_PRODUCT_H_
