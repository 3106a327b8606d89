// The anomaly of post 9736 on a single row: a token that occurs once, and a
// sign optimizer that goes on pushing.

#ifndef ROPEWALK_LAB_STUDIES_SIGN_SIMULATION_H_
#define ROPEWALK_LAB_STUDIES_SIGN_SIMULATION_H_

#include <cstdint>
#include <vector>

namespace ropewalk::lab::studies {

struct RowGrowth {
  double start = 0.02;     // |component| of all the row's components
  double gradient = 1e-4;  // of the one occurrence; zero from then on
  double learning_rate = 2e-3;
  double weight_decay = 0.01;  // lambda
  bool flush_denormals = false;
  int64_t updates = 8000;
  int64_t every = 250;  // of which one is reported
};

struct RowSize {
  int64_t update = 0;
  double measured = 0;     // largest |component|
  double closed_form = 0;  // of a push that never ends
};

// The row under Tiger (post 9512), whose step is relative to the row's RMS.
// With denormals the momentum never rounds to 0 and the row grows as
// x' = x + a x (1 - lambda x), whose closed form is the logistic curve
// 1 / (lambda + (1 / x0 - lambda) e^(-a t)); flushed it stops after some two
// thousand updates. Throws std::invalid_argument unless every >= 1.
std::vector<RowSize> GrowRow(const RowGrowth& growth);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_SIGN_SIMULATION_H_
