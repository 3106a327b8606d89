#include "attention/definition/heads.h"

#include <string>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::attention {
namespace {

void CheckScoreNumber(const char* what, double x) {
  Require(x == 0 || (x >= kLeastScoreNumber && x <= kMostScoreNumber),
          "attention: the " + std::string(what) +
              " must be 0 or from 1e-6 to 1e9, got " + FormatNumber(x));
}

}  // namespace

void Validate(const HeadShape& shape) {
  Require(
      shape.H > 0 && shape.G > 0 && shape.D > 0 && shape.value_width >= 0 &&
          shape.H % shape.G == 0,
      "attention: " + std::to_string(shape.H) + " query heads, " +
          std::to_string(shape.G) + " key heads of width " +
          std::to_string(shape.D) + ", values of width " +
          std::to_string(shape.ValueWidth()) +
          " (all must be above 0, and query heads a multiple of key heads)");
  CheckScoreNumber("score factor", shape.score_factor);
  CheckScoreNumber("soft-cap of scores", shape.softcap);
}

}  // namespace ropewalk::attention
