#include "lab/studies/sequence_models.h"

#include <utility>

#include "base/error.h"

namespace ropewalk::lab::studies {
namespace {

constexpr PairArchitecture kArchitectures[] = {
    {.name = "gpt",
     .row = "GPT",
     .architecture = "decoder",
     .mask = "causal",
     .equal_parameters = true,
     .equal_compute = true},
    {.name = "unilm",
     .row = "UniLM",
     .architecture = "decoder",
     .mask = "prefix",
     .equal_parameters = true,
     .equal_compute = true},
    {.name = "shared",
     .row = "encoder-decoder, shared",
     .architecture = "encoder-decoder-shared",
     .mask = "causal",
     .equal_parameters = true},
    {.name = "separate",
     .row = "encoder-decoder",
     .architecture = "encoder-decoder",
     .mask = "causal",
     .equal_compute = true},
    {.name = "half",
     .row = "encoder-decoder, half the layers",
     .architecture = "encoder-decoder",
     .mask = "causal",
     .half = true,
     .equal_parameters = true},
    {.name = "causal-encoder",
     .row = "causal encoder",
     .architecture = "encoder-decoder",
     .mask = "causal",
     .causal_encoder = true,
     .equal_compute = true},
    {.name = "causal-half",
     .row = "causal encoder, half the layers",
     .architecture = "encoder-decoder",
     .mask = "causal",
     .causal_encoder = true,
     .half = true,
     .equal_parameters = true},
};

constexpr PairTaskName kTasks[] = {
    {"continue", true, "a passage of a novel, then what follows it"},
    {"fill", true, "a passage with spans removed, then the spans"},
    {"cipher", true,
     "verses of the Bible, then the same ones from the last to the first, "
     "every token replaced by its code"},
    {"copy", false, "random symbols, then the same"},
    {"reverse", false, "random symbols, then backwards"},
    {"sort", false, "random symbols, then in order"},
    {"recall", false, "keys and values, then each key's value once more"},
};

constexpr MaskedKind kMaskedKinds[] = {
    {"mlm-bidirectional", "MLM, full bidirectional", "bidirectional"},
    {"mlm-mixed-heads", "MLM, directions mixed by head", "mixed-heads"},
    {"mlm-mixed-layers", "MLM, directions mixed by layer", "mixed-layers"},
};

// What the compact models are made of.
struct Shape {
  int64_t layers, width, heads, feed, length;
};

Shape ShapeAt(const Setting& s) {
  switch (s.scale) {
    case Scale::kSmoke:
      return {2, 48, 2, 96, 48};
    case Scale::kPaper:
      return {12, 768, 12, 2048, 512};
    case Scale::kSmall:
    case Scale::kGiven:
      break;
  }
  return {4, 128, 4, 320, 128};
}

// Two symbols' arithmetic needs no more.
Shape FormalShapeAt(const Setting& s) {
  Shape shape = ShapeAt(s);
  if (s.scale == Scale::kSmall) shape = {4, 64, 4, 160, 64};
  return shape;
}

std::vector<std::string> Overrides(const Shape& shape) {
  const auto set = [](const char* key, int64_t value) {
    return std::string(key) + "=" + std::to_string(value);
  };
  return {"model.block=llama",
          "model.init=ordinary",
          set("model.layers", shape.layers),
          set("model.width", shape.width),
          set("model.heads", shape.heads),
          set("model.kv_heads", shape.heads),
          set("model.head_width", shape.width / shape.heads),
          set("model.feed_width", shape.feed),
          set("model.length", shape.length),
          "data.repeat_fraction=0",
          "export.types=[]"};
}

void Add(std::vector<std::string>& to, std::vector<std::string> more) {
  for (std::string& one : more) to.push_back(std::move(one));
}

// Steps and batch, which are `small`'s and `smoke`'s own; `paper` has its
// config's.
std::vector<std::string> Budget(const Setting& s, int64_t steps,
                                int64_t batch) {
  switch (s.scale) {
    case Scale::kSmoke:
      return {"train.steps=12", "train.batch=8", "evaluate.documents=16"};
    case Scale::kSmall:
      return {"train.steps=" + std::to_string(steps),
              "train.batch=" + std::to_string(batch),
              "evaluate.documents=1024"};
    case Scale::kPaper:
    case Scale::kGiven:
      break;
  }
  return {"evaluate.documents=1024"};
}

}  // namespace

int64_t CompactLength(const Setting& setting) {
  return ShapeAt(setting).length;
}

std::vector<std::string> CompactOverrides(const Setting& setting) {
  return Overrides(ShapeAt(setting));
}

std::span<const PairArchitecture> PairArchitectures() { return kArchitectures; }

std::span<const PairTaskName> PairTasks() { return kTasks; }

std::string PairName(const PairArchitecture& of, const PairTaskName& task) {
  return std::string("pairs-") + task.name + "-" + of.name;
}

ModelSpec PairModel(const Setting& setting, const PairArchitecture& of,
                    const PairTaskName& task, uint64_t seed) {
  Shape shape = task.text ? ShapeAt(setting) : FormalShapeAt(setting);
  // Cross attention of a decoder layer is 4 width^2, the feed-forward part of
  // both sides 6 width x feed.
  const std::string architecture = of.architecture;
  if (architecture == "encoder-decoder") shape.feed -= 2 * shape.width / 3;
  if (of.half) shape.layers /= 2;
  ModelSpec spec{
      .name = PairName(of, task), .seed = seed, .overrides = Overrides(shape)};
  Add(spec.overrides, {"data.task=" + std::string(task.name),
                       "model.mask=" + std::string(of.mask),
                       "model.architecture=" + architecture});
  if (of.causal_encoder) {
    spec.overrides.emplace_back("model.causal_encoder=true");
  }
  if (task.text) {
    Add(spec.overrides, Budget(setting, 800, 32));
  } else {
    Add(spec.overrides, {"data.tokenizer=", "model.vocabulary=80"});
    Add(spec.overrides, Budget(setting, 1500, 32));
  }
  // A verse is a line there.
  if (std::string(task.name) == "cipher") {
    spec.reads_bible = true;
    spec.overrides.emplace_back("data.join_lines=false");
  }
  return spec;
}

ModelSpec TimesTheSteps(const Setting& setting, ModelSpec spec,
                        int64_t numerator, int64_t denominator) {
  const int64_t steps = ConfigOf(setting, spec.overrides).steps;
  Add(spec.overrides,
      {"train.steps=" + std::to_string(steps * numerator / denominator)});
  return spec;
}

std::span<const MaskedKind> MaskedKinds() { return kMaskedKinds; }

ModelSpec MaskedModel(const Setting& setting, const MaskedKind& of,
                      uint64_t seed) {
  ModelSpec spec{
      .name = of.name, .seed = seed, .overrides = CompactOverrides(setting)};
  Add(spec.overrides,
      {"data.task=mlm", std::string("model.mask=") + of.mask,
       "evaluate.lengths=[" + std::to_string(CompactLength(setting)) + "]"});
  Add(spec.overrides, Budget(setting, 1000, 32));
  return spec;
}

ModelSpec LongerMaskedModel(const Setting& setting, const MaskedKind& of,
                            uint64_t seed) {
  ModelSpec spec = MaskedModel(setting, of, seed);
  spec.name += "-longer";
  return TimesTheSteps(setting, std::move(spec), 4, 1);
}

ModelSpec MaskedModelWithoutPositions(const Setting& setting,
                                      const MaskedKind& of, uint64_t seed) {
  ModelSpec spec = MaskedModel(setting, of, seed);
  spec.name += "-nope";
  Add(spec.overrides, {"model.position=nope"});
  return spec;
}

}  // namespace ropewalk::lab::studies
