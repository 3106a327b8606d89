#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "lab/optim/adamw.h"
#include "lab/optim/hybrid.h"
#include "lab/optim/lamb.h"
#include "lab/optim/lion.h"
#include "lab/optim/muon.h"
#include "lab/optim/tiger.h"
#include "lab/train/trainer.h"

namespace ropewalk::lab::train {
namespace {

using optim::Parameter;
using Parameters = std::vector<Parameter>;

double Or(double value, double otherwise) {
  return value == 0 ? otherwise : value;
}

std::unique_ptr<optim::Optimizer> Make(const std::string& name,
                                       const TrainConfig& config, double rate,
                                       Parameters parameters) {
  const OptimizerConfig& o = config.optimizer;
  optim::CommonOptions common;
  common.learning_rate = rate;
  common.weight_decay = o.weight_decay;
  common.accumulation = config.accumulation;
  common.lazy_rows = o.lazy_rows;
  common.flush_denormals = o.flush_denormals;
  if (name == "adamw") {
    optim::AdamWOptions options{.common = common};
    options.beta1 = Or(o.beta1, options.beta1);
    options.beta2 = Or(o.beta2, options.beta2);
    options.epsilon = Or(o.epsilon, options.epsilon);
    return std::make_unique<optim::AdamW>(std::move(parameters), options);
  }
  if (name == "lion") {
    optim::LionOptions options{.common = common};
    options.beta1 = Or(o.beta1, options.beta1);
    options.beta2 = Or(o.beta2, options.beta2);
    return std::make_unique<optim::Lion>(std::move(parameters), options);
  }
  if (name == "lamb") {
    optim::LambOptions options{.common = common};
    options.beta1 = Or(o.beta1, options.beta1);
    options.beta2 = Or(o.beta2, options.beta2);
    options.epsilon = Or(o.epsilon, options.epsilon);
    return std::make_unique<optim::Lamb>(std::move(parameters), options);
  }
  if (name == "tiger") {
    optim::TigerOptions options{.common = common};
    options.beta = Or(o.beta1, options.beta);
    using Rms = optim::TigerOptions::EmbeddingRms;
    options.embedding_rms = o.embedding_rms == "row"      ? Rms::kRow
                            : o.embedding_rms == "matrix" ? Rms::kMatrix
                                                          : Rms::kNone;
    return std::make_unique<optim::Tiger>(std::move(parameters), options);
  }
  ROPEWALK_CHECK(name == "muon");
  optim::MuonOptions options{.common = common};
  options.common.lazy_rows = false;
  options.momentum = Or(o.beta1, options.momentum);
  options.precision = config.model.precision;
  return std::make_unique<optim::Muon>(std::move(parameters), options);
}

}  // namespace

std::unique_ptr<optim::Optimizer> MakeOptimizer(const TrainConfig& config,
                                                const nn::Model& model) {
  const OptimizerConfig& o = config.optimizer;
  const Parameters& parameters = model.parameters();
  const bool muon = o.name == "muon";
  if (!muon && o.embedding.empty()) {
    return Make(o.name, config, o.learning_rate, parameters);
  }
  // Muon is for hidden matrices alone; a hybrid keeps sign optimizers away
  // from embeddings (post 9736).
  const std::string other = o.embedding.empty() ? "adamw" : o.embedding;
  const auto is_rest = [muon](const Parameter& parameter) {
    const bool hidden = parameter.kind == Parameter::Kind::kMatrix &&
                        parameter.name != "head.weight";
    return parameter.kind == Parameter::Kind::kEmbedding || (muon && !hidden);
  };
  return std::make_unique<optim::HybridOptimizer>(
      parameters,
      std::vector<optim::HybridGroup>{
          {.name = "rest",
           .takes = is_rest,
           .make =
               [&config, other](Parameters members) {
                 return Make(other, config,
                             config.optimizer.embedding_learning_rate,
                             std::move(members));
               }},
          {.name = "main",
           .takes = optim::TakesAll(),
           .make = [&config](Parameters members) {
             return Make(config.optimizer.name, config,
                         config.optimizer.learning_rate, std::move(members));
           }}});
}

}  // namespace ropewalk::lab::train
