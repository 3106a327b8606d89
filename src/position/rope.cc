// The model's own rotation, and none at all.

#include "position/definition.h"

namespace ropewalk::position {
namespace {

void Nothing(Scheme&, const ModelPositions&, int64_t) {}

Plan BuildNope(const Scheme&, const ModelPositions&, int64_t, Layer) {
  return OneBand({});
}

}  // namespace

extern const Definition kRope = {
    .name = "rope",
    .summary = "the model's own table, its file's scaling included",
    .source = "arXiv 2104.09864",
    .resolve = Nothing,
    .build = BuildOwn,
};

extern const Definition kNope = {
    .name = "nope",
    .summary = "no rotation at all",
    .source = "arXiv 2305.19466",
    .resolve = Nothing,
    .build = BuildNope,
};

}  // namespace ropewalk::position
