#include "lab/studies/length_models.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "lab/nn/receptive_field.h"
#include "lab/studies/bench.h"

namespace ropewalk::lab::studies {

ModelSpec BaseModel(uint64_t seed) { return {.name = "base", .seed = seed}; }

ModelSpec BaseLognModel(uint64_t seed) {
  return {.name = "base-logn",
          .seed = seed,
          .overrides = {"model.position=rope+logn"}};
}

std::vector<ModelSpec> BaseModels(const Setting& setting) {
  std::vector<ModelSpec> models;
  for (const uint64_t seed : setting.seeds) {
    models.push_back(BaseModel(seed));
    models.push_back(BaseLognModel(seed));
  }
  return models;
}

ModelSpec InvLeakyModel(const Setting& setting, uint64_t seed, bool wide_base) {
  ModelSpec spec{
      .name = wide_base ? "invleaky-b8" : "invleaky",
      .seed = seed,
      .overrides = {With("model.position=inv-leaky:window=", setting.N / 4) +
                        ",k=1/16+logn",
                    "model.inference=rope+logn"}};
  if (wide_base) spec.overrides.emplace_back("model.rope_base=80000");
  return spec;
}

int64_t HwfaWindow(const Setting& setting) {
  return nn::LargestWindow(setting.N, setting.L);
}

ModelSpec HwfaModel(const Setting& setting, uint64_t seed) {
  return {
      .name = "hwfa",
      .seed = seed,
      .overrides = {With("model.position=hwfa:window=", HwfaWindow(setting))}};
}

int64_t Hwfa2Window(const Setting& setting) {
  int64_t window = 4;
  while (window * setting.L < 2 * setting.N) window *= 2;
  return window;
}

ModelSpec Hwfa2Model(const Setting& setting, uint64_t seed, int64_t full) {
  return {
      .name = full == 2 ? "hwfa2" : "hwfa2-f" + std::to_string(full),
      .seed = seed,
      .overrides = {With("model.position=hwfa2:window=", Hwfa2Window(setting)) +
                    ",full=" + std::to_string(full) +
                    With(",rerope=", setting.N / 2)}};
}

ModelSpec LearnedScaleModel(uint64_t seed) {
  return {.name = "learned-logn",
          .seed = seed,
          .overrides = {"model.position=rope+logn-learned"}};
}

ModelSpec DropeModel(const Setting& setting, uint64_t seed) {
  const train::TrainConfig config = ConfigOf(setting);
  const int64_t steps = std::max<int64_t>(1, config.steps / 50);
  // Gently, as the weights are trained already.
  const double rate = config.optimizer.learning_rate / 5;
  const double embedding_rate = config.optimizer.embedding_learning_rate / 5;
  return {.name = "drope",
          .seed = seed,
          .overrides = {"model.position=nope",
                        "train.steps=" + std::to_string(steps),
                        "optimizer.warmup=" + std::to_string(steps / 10),
                        "optimizer.schedule=cosine",
                        "optimizer.learning_rate=" + FormatNumber(rate),
                        "optimizer.embedding_learning_rate=" +
                            FormatNumber(embedding_rate)},
          .starts_from = "base"};
}

std::string With(const std::string& spelling, int64_t value) {
  return spelling + std::to_string(value);
}

Job ScoreJob(const std::string& row, const std::string& spelling,
             std::vector<int64_t> natural, std::vector<int64_t> repeated,
             bool costs) {
  const auto cells = static_cast<int64_t>(natural.size() + repeated.size());
  return {.row = row,
          .lines = cells * (costs ? 4 : 2),
          .run = [spelling, natural = std::move(natural),
                  repeated = std::move(repeated), costs](Bench& bench) {
            return bench.ScoreLengths(spelling, natural, repeated, costs);
          }};
}

CellKey At(const std::string& row, int64_t length) {
  return {.row = row, .length = length};
}

CellKey RepeatedAt(const std::string& row, int64_t length) {
  return {.row = row, .set = "repeated", .length = length};
}

CellKey LossAt(const std::string& row, int64_t length) {
  return {.row = row, .length = length, .metric = "loss"};
}

}  // namespace ropewalk::lab::studies
