#include "lab/studies/sign_measures.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "evaluate/statistics.h"
#include "lab/nn/model.h"
#include "lab/optim/embedding_monitor.h"
#include "lab/studies/token_counts.h"
#include "lab/train/checkpoint.h"

namespace ropewalk::lab::studies {
namespace {

double LargestAtStart(const train::Checkpoint& checkpoint) {
  const train::TrainConfig config =
      train::ReadTrainConfig(checkpoint.state.config, checkpoint.path, {});
  const nn::Model model(config.model, config.seed);
  for (const nn::Parameter& parameter : model.parameters()) {
    if (parameter.name == "embedding.weight") {
      return parameter.value.detach().abs().max().item<double>();
    }
  }
  ROPEWALK_CHECK(false);
  return 0;
}

at::Tensor LargestOfRows(const at::Tensor& matrix) {
  return std::get<0>(matrix.abs().max(1)).contiguous();
}

// The momentum of the embedding under Tiger or Lion, undefined where another
// optimizer has it.
at::Tensor SignMomentum(const train::Checkpoint& checkpoint) {
  for (const auto& [name, value] : checkpoint.optimizer.tensors) {
    for (const char* optimizer : {"tiger", "lion"}) {
      if (name == std::string(optimizer) + "/m/embedding.weight") return value;
    }
  }
  return {};
}

// The embedding after training, by how often a row's token was seen.
std::vector<Measurement> EmbeddingLines(const at::Tensor& embedding,
                                        const train::Checkpoint& checkpoint,
                                        double lambda) {
  std::vector<Measurement> lines;
  const auto add = [&](const char* metric, double value) {
    lines.push_back({.metric = metric, .value = value});
  };
  const std::vector<int64_t> counts = TokenCounts(checkpoint);
  const at::Tensor rows = LargestOfRows(embedding);
  const at::Tensor momentum = SignMomentum(checkpoint);
  const at::Tensor momenta =
      momentum.defined() ? LargestOfRows(momentum) : at::Tensor();
  std::vector<double> rare;
  double others = 0;
  double unseen = 0;
  double rare_driven = 0;
  double ghosts = 0;
  for (size_t id = 0; id < counts.size(); ++id) {
    const double largest = rows[static_cast<int64_t>(id)].item<double>();
    if (counts[id] == 0) {  // a tied output pushes it all the same
      unseen = std::max(unseen, largest);
      continue;
    }
    if (counts[id] >= kRare) {
      others = std::max(others, largest);
      continue;
    }
    rare.push_back(largest);
    rare_driven += largest > 0.5 / lambda ? 1 : 0;
    if (!momenta.defined()) continue;
    const float left = momenta[static_cast<int64_t>(id)].item<float>();
    ghosts += left > 0 && left < std::numeric_limits<float>::min() ? 1 : 0;
  }
  const double largest_rare = rare.empty() ? 0 : std::ranges::max(rare);
  const optim::EmbeddingExtremes extremes =
      optim::InspectEmbedding(embedding, lambda);
  add("largest embedding", extremes.max_abs);
  add("largest of rare ids", largest_rare);
  add("largest of other ids", others);
  add("largest of ids never seen", unseen);
  add(kRareTimes, largest_rare / LargestAtStart(checkpoint));
  add(kRareMedian, evaluate::Median(rare));
  add("rare ids", static_cast<double>(rare.size()));
  add("rare ids above half of 1/lambda", rare_driven);
  if (momenta.defined()) add(kGhosts, ghosts);
  add("rows above half of 1/lambda", static_cast<double>(extremes.rows_above));
  add("rows touching 1/lambda", static_cast<double>(extremes.rows_touching));
  return lines;
}

}  // namespace

std::vector<Measurement> EmbeddingTrainedLines(Bench& bench, double lambda) {
  std::vector<Measurement> lines = bench.TaskLines();
  const int64_t steps = bench.curve().back().step;
  const train::Checkpoint checkpoint =
      train::ReadCheckpoint(bench.checkpoint());
  for (const auto& [name, value] : checkpoint.parameters) {
    if (name != "embedding.weight" || lambda == 0) continue;
    for (Measurement& line : EmbeddingLines(value, checkpoint, lambda)) {
      line.set = kTraining;
      line.length = steps;
      lines.push_back(std::move(line));
    }
  }
  for (Measurement& line : bench.CurveLines()) lines.push_back(std::move(line));
  return lines;
}

}  // namespace ropewalk::lab::studies
