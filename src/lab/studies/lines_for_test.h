// Lines of one column, for tests of what is said of them.

#ifndef ROPEWALK_LAB_STUDIES_LINES_FOR_TEST_H_
#define ROPEWALK_LAB_STUDIES_LINES_FOR_TEST_H_

#include <cstdint>
#include <string>

#include "lab/studies/measurements.h"

namespace ropewalk::lab::studies {

inline Measurement Line(const std::string& row, uint64_t seed, double value,
                        double error = 0) {
  return {.row = row,
          .seed = seed,
          .set = "natural",
          .length = 8,
          .metric = "accuracy",
          .value = value,
          .error = error};
}

inline CellKey Cell(const std::string& row) {
  return {.row = row, .length = 8};
}

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_LINES_FOR_TEST_H_
