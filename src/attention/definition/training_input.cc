#include "attention/definition/training_input.h"

#include <string>

#include "base/error.h"

namespace ropewalk::attention {
namespace {

std::string Name(const char* what, int64_t value) {
  return std::string(" ") + what + "=" + std::to_string(value);
}

}  // namespace

template <typename Real>
void Validate(const TrainingInputOf<Real>& input) {
  const TrainingShape& s = input.shape;
  Require(s.B >= 0 && s.T >= 0 && s.S >= 0 && s.H > 0 && s.G > 0 && s.D > 0 &&
              s.Dv > 0 && s.H % s.G == 0,
          "training attention: this shape is not possible:" + Name("B", s.B) +
              Name("T", s.T) + Name("S", s.S) + Name("H", s.H) +
              Name("G", s.G) + Name("D", s.D) + Name("Dv", s.Dv) +
              " (H must be a multiple of G)");
  Require(input.q_stride >= s.H * s.D && input.k_stride >= s.G * s.D &&
              input.v_stride >= s.G * s.Dv,
          "training attention: a stride is below the width of its heads:" +
              Name("q", input.q_stride) + Name("k", input.k_stride) +
              Name("v", input.v_stride));
  Require(input.plan != nullptr && !input.plan->bands.empty(),
          "training attention: a plan needs at least one band");
  for (const position::FrequencyTable& table : input.plan->tables) {
    Require(2 * static_cast<int64_t>(table.frequencies.size()) <= s.D,
            "training attention: " + std::to_string(table.frequencies.size()) +
                " rotary pairs do not fit heads of width " +
                std::to_string(s.D));
  }
  const auto heads = static_cast<int64_t>(input.mask.heads.size());
  Require(heads == 1 || heads == s.H,
          "training attention: one direction for all heads or one for each "
          "head is needed, got " +
              std::to_string(heads) + " for " + std::to_string(s.H));
  for (int64_t b = 0; b < s.B; ++b) {
    for (const int64_t* counts : {input.mask.prefix, input.mask.keys}) {
      Require(counts == nullptr || counts[b] >= 0,
              "training attention: prefixes and numbers of keys must be at "
              "least 0");
    }
  }
}
template void Validate(const TrainingInputOf<float>&);
template void Validate(const TrainingInputOf<double>&);

}  // namespace ropewalk::attention
