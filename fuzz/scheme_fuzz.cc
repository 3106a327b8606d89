// Spellings of position schemes: the first line is a spelling, and the bytes
// behind it make the model and the length.

#include <algorithm>
#include <cstring>

#include "fuzz/input.h"
#include "position/plan.h"
#include "position/scheme.h"

namespace ropewalk {
namespace {

using position::ModelPositions;
using position::Scheme;

// Numbers from the rest of the input; zeros after its end.
class Numbers {
 public:
  explicit Numbers(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T Next() {
    T value{};
    const size_t count = std::min(sizeof(T), bytes_.size());
    std::memcpy(&value, bytes_.data(), count);
    bytes_.remove_prefix(count);
    return value;
  }
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(Next<uint32_t>()) % bound;
  }

 private:
  std::string_view bytes_;
};

ModelPositions MakeModel(Numbers& numbers, int64_t L) {
  ModelPositions model;
  model.head_width = numbers.Below(65);
  model.rotary_width =
      numbers.Next<uint8_t>() % 4 == 0 ? numbers.Below(66) : model.head_width;
  model.train_length = numbers.Next<int32_t>();
  if (numbers.Next<uint8_t>() % 4 == 0) model.base = numbers.Next<float>();
  const auto kind = numbers.Next<uint8_t>();
  model.scaling = static_cast<ModelPositions::Scaling>(kind % 4);
  if (kind % 4 != 0) {
    model.scaling_factor = numbers.Next<float>();
    model.original_length = numbers.Next<int32_t>();
    model.yarn_fast = numbers.Next<float>();
    model.attention_factor = numbers.Next<float>();
    const auto pairs = static_cast<size_t>(model.rotary_width / 2);
    model.short_factors.assign(pairs, numbers.Next<float>());
    model.long_factors.assign(pairs, 2);
  }
  model.has_learned_logn = kind & 32;
  if (kind & 64) {
    model.layers.resize(static_cast<size_t>(L));
    for (position::LayerPositions& layer : model.layers) {
      const auto bits = numbers.Next<uint8_t>();
      if (bits & 1) layer.window = numbers.Below(1 << 20);
      layer.rotates = !(bits & 2);
      if (bits & 4) layer.base = numbers.Next<float>();
      layer.scaled = !(bits & 8);
    }
  }
  if (kind & 16) model.own_spelling = {"rerope:window=8+logn"};
  if (kind & 8) model.trained_spelling = {"inv-leaky:window=8"};
  return model;
}

// A plan must answer for any pair, also at the largest lengths.
void Ask(const position::Plan& plan, int64_t length) {
  std::vector<int64_t> store_of;
  const auto stores = plan.KeyStores(&store_of);
  fuzz::Claim(store_of.size() == plan.bands.size(), "each band has a store");
  for (const int64_t i : {int64_t{0}, int64_t{1}, length / 2, length - 1}) {
    for (const int64_t j : {int64_t{0}, i / 2, i - 1, i}) {
      if (j < 0 || j > i) continue;
      const auto band = plan.BandOf(i, j);
      fuzz::Claim(band.has_value() == plan.EffectiveDistance(i, j).has_value(),
                  "a visible pair has a distance");
    }
    plan.scale(i);
  }
  plan.Reach();
  plan.WhyNotShift(1, 0);
  fuzz::Accepts([&] { plan.Mirror(); });
}

void Use(std::string_view spelling, Numbers numbers) {
  const Scheme scheme = position::ParseScheme(spelling);
  const std::string text = ToString(scheme);
  fuzz::Claim(ToString(position::ParseScheme(text)) == text,
              "a canonical spelling parses to itself: " + text);
  const int64_t length = numbers.Next<int32_t>();
  const int64_t L = 1 + numbers.Below(5);
  const ModelPositions model = MakeModel(numbers, L);
  position::Validate(model);
  const Scheme resolved = position::Resolve(scheme, model, length);
  const std::string full = ToString(resolved);
  fuzz::Claim(ToString(position::ParseScheme(full)) == full,
              "a resolved spelling parses to itself: " + full);
  for (const position::Plan& plan :
       position::BuildStack(resolved, model, length, L)) {
    Ask(plan, length);
  }
  position::KnownToFail(resolved, model, length);
  position::ChangedLayers(resolved, model);
  position::ParseScheme(position::AdvisedSpelling(model, length));
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  std::string_view rest = fuzz::View(data, size);
  const std::string_view spelling = fuzz::TakeLine(rest);
  if (spelling.starts_with('@')) return 0;  // a file; see stack_file_fuzz.cc
  fuzz::Accepts([&] { Use(spelling, Numbers(rest)); });
  return 0;
}
