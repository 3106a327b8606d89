#include "lab/studies/pair_variants.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace ropewalk::lab::studies {
namespace {

constexpr PairVariant kVariants[] = {
    // Whether the rate decides.
    {.title = "At another learning rate",
     .task = "continue",
     .of = {"gpt", "unilm", "shared", "separate"},
     .suffix = kFasterRate,
     .column = "rate 0.01",
     .name = "-faster",
     .override = "optimizer.learning_rate=0.01"},
    {.title = "At another learning rate",
     .task = "continue",
     .of = {"gpt", "unilm", "shared", "separate"},
     .suffix = kSlowerRate,
     .column = "rate 0.001",
     .name = "-slower",
     .override = "optimizer.learning_rate=0.001"},
    // Shared weights do more work than GPT.
    {.title = "Shared weights at GPT's work",
     .task = "continue",
     .of = {"shared"},
     .suffix = kAtGptsWork,
     .column = "13/15 of the steps",
     .name = "-shorter",
     .steps = {kSharedWork[1], kSharedWork[0]},
     .all_seeds = true},
    // Whether it is order that cross attention, or its encoder, lacks.
    {.title = "Cross attention that rotates: continue",
     .task = "continue",
     .of = {"shared", "separate"},
     .suffix = kRotates,
     .column = "rotates",
     .name = "-rotated",
     .override = "model.rotate_cross=true"},
    {.title = "Cross attention that rotates: fill",
     .task = "fill",
     .of = {"shared", "separate"},
     .suffix = kRotates,
     .column = "rotates",
     .name = "-rotated",
     .override = "model.rotate_cross=true"},
    {.title = "Cross attention that rotates: cipher",
     .task = "cipher",
     .of = {"shared", "separate", "causal-encoder"},
     .suffix = kRotates,
     .column = "rotates",
     .name = "-rotated",
     .override = "model.rotate_cross=true"},
    // Whether those that have not got it yet only need longer.
    {.title = "At four times the steps: cipher",
     .task = "cipher",
     .of = {"gpt", "unilm", "separate", "causal-encoder"},
     .suffix = kLonger,
     .column = "four times",
     .name = "-longer",
     .steps = {4, 1}}};

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

ModelSpec VariantModel(const Setting& setting, const PairVariant& variant,
                       const PairArchitecture& of, uint64_t seed) {
  ModelSpec spec = PairModel(setting, of, TaskOf(variant), seed);
  spec.name += variant.name;
  if (variant.override != nullptr) {
    spec.overrides.emplace_back(variant.override);
  }
  if (variant.steps[0] == variant.steps[1]) return spec;
  return TimesTheSteps(setting, std::move(spec), variant.steps[0],
                       variant.steps[1]);
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
