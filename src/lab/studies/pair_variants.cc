#include "lab/studies/pair_variants.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace ropewalk::lab::studies {
namespace {

constexpr PairVariant kVariants[] = {
    // Whether the rate decides.
    {.title = "At another learning rate",
     .task = "continue",
     .of = {"gpt", "unilm", "shared", "separate"},
     .suffix = ", rate 0.01",
     .column = "rate 0.01",
     .model = FasterPairModel},
    {.title = "At another learning rate",
     .task = "continue",
     .of = {"gpt", "unilm", "shared", "separate"},
     .suffix = ", rate 0.001",
     .column = "rate 0.001",
     .model = SlowerPairModel},
    // Shared weights do more work than GPT.
    {.title = "Shared weights at GPT's work",
     .task = "continue",
     .of = {"shared"},
     .suffix = ", at GPT's work",
     .column = "693 steps",
     .model = ShorterPairModel,
     .all_seeds = true},
    // Whether it is order that cross attention, or its encoder, lacks.
    {.title = "Cross attention that rotates: continue",
     .task = "continue",
     .of = {"shared", "separate"},
     .suffix = ", cross attention rotates",
     .column = "rotates",
     .model = RotatedPairModel},
    {.title = "Cross attention that rotates: fill",
     .task = "fill",
     .of = {"shared", "separate"},
     .suffix = ", cross attention rotates",
     .column = "rotates",
     .model = RotatedPairModel},
    {.title = "Cross attention that rotates: cipher",
     .task = "cipher",
     .of = {"shared", "separate", "causal-encoder"},
     .suffix = ", cross attention rotates",
     .column = "rotates",
     .model = RotatedPairModel},
    // Whether those that have not got it yet only need longer.
    {.title = "At four times the steps: cipher",
     .task = "cipher",
     .of = {"gpt", "unilm", "separate", "causal-encoder"},
     .suffix = ", four times the steps",
     .column = "four times",
     .model = LongerPairModel}};

}  // namespace

std::span<const PairVariant> PairVariants() { return kVariants; }

const PairVariant& FindPairVariant(const std::string& suffix,
                                   const std::string& task) {
  const auto* const found =
      std::ranges::find_if(kVariants, [&](const PairVariant& one) {
        return one.suffix == suffix && one.task == task;
      });
  ROPEWALK_CHECK(found != std::end(kVariants));
  return *found;
}

bool Has(const PairVariant& variant, const PairArchitecture& of) {
  return std::ranges::any_of(variant.of, [&](const char* name) {
    return name != nullptr && name == std::string(of.name);
  });
}

std::string RowOf(const PairVariant& variant, const std::string& row) {
  return row + variant.suffix;
}

const PairTaskName& TaskOf(const PairVariant& variant) {
  return *std::ranges::find_if(PairTasks(), [&](const PairTaskName& task) {
    return task.name == std::string(variant.task);
  });
}

}  // namespace ropewalk::lab::studies
