// Files that name a scheme for each layer: --position @FILE.toml.

#include "fuzz/input.h"
#include "position/scheme.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const fuzz::MemoryFile file(fuzz::View(data, size));
  fuzz::Accepts([&] {
    const position::Scheme stack = position::ParseScheme("@" + file.path());
    const position::ModelPositions model{
        .head_width = 8, .rotary_width = 8, .train_length = 64};
    const position::Scheme resolved = position::Resolve(stack, model, 200);
    ToString(resolved);
    position::BuildStack(resolved, model, 200,
                         static_cast<int64_t>(stack.layers.size()));
  });
  return 0;
}
