// The model's own rotation (rope) and no rotation (nope).

#include "position/definition.h"

namespace ropewalk::position {
namespace {

void ResolveNothing(Scheme&, const ModelPositions&, int64_t) {}

Plan BuildNope(const Scheme&, const ModelPositions&, int64_t, Layer) {
  return OneBand({});
}

}  // namespace

extern const Definition kRope = {
    .name = "rope",
    .summary = "the model's own table with the scaling of its file",
    .source = "arXiv 2104.09864",
    .resolve = ResolveNothing,
    .build = BuildOwn,
};

extern const Definition kNope = {
    .name = "nope",
    .summary = "no rotation at all",
    .source = "arXiv 2305.19466",
    .resolve = ResolveNothing,
    .build = BuildNope,
};

}  // namespace ropewalk::position
