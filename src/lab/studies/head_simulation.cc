#include "lab/studies/head_simulation.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "evaluate/statistics.h"
#include "lab/nn/model.h"

namespace ropewalk::lab::studies {
namespace {

constexpr int64_t kRow = 32;  // tokens of a sequence

nn::ModelConfig ConfigOf(const HeadStart& start) {
  nn::ModelConfig config;
  config.block = nn::Block::kGau;
  config.init = nn::Init::kDeepNorm;
  config.head = start.head;
  config.L = start.layers;
  config.E = start.width;
  config.V = start.vocabulary;
  config.H = config.G = 1;
  config.D = 128;
  config.F = 2 * start.width;
  config.N = kRow;
  return config;
}

// To the deviation asked for, whatever the initialiser gave.
void Rescale(const nn::Model& model, double factor) {
  const at::NoGradGuard no_grad;
  for (const nn::Parameter& parameter : model.parameters()) {
    if (parameter.name != "embedding.weight" &&
        parameter.name != "head.weight") {
      continue;
    }
    at::Tensor value = parameter.value;
    value.mul_(factor);
  }
}

}  // namespace

bool KeepsOwnLogit(nn::Head head) {
  return head == nn::Head::kTied || head == nn::Head::kTiedSigma ||
         head == nn::Head::kTiedRootWidth;
}

double SigmaOf(const HeadStart& start) {
  if (start.sigma > 0) return start.sigma;
  const auto d = static_cast<double>(start.width);
  if (start.head == nn::Head::kTiedSigma) {
    return std::log(static_cast<double>(start.vocabulary)) / d;
  }
  return std::pow(static_cast<double>(start.layers), -1.0 / 3) / std::sqrt(d);
}

double ClosedFormLoss(const HeadStart& start) {
  const auto n = static_cast<double>(start.vocabulary);
  const auto d = static_cast<double>(start.width);
  const double sigma = SigmaOf(start);
  if (!KeepsOwnLogit(start.head)) return std::log(n) + d * sigma * sigma / 2;
  const double own =
      (start.head == nn::Head::kTiedRootWidth ? std::sqrt(d) : d) * sigma;
  // log(e^s + n - 1) where e^s may be beyond any double.
  return own + std::log1p((n - 1) * std::exp(-own));
}

HeadStartResult MeasureHeadStart(const HeadStart& start) {
  Require(start.pairs >= kRow, "head start: at least " + std::to_string(kRow) +
                                   " pairs, got " +
                                   std::to_string(start.pairs));
  const at::NoGradGuard no_grad;
  const nn::Model model(ConfigOf(start), start.seed);
  HeadStart own = start;
  own.sigma = 0;
  Rescale(model, SigmaOf(start) / SigmaOf(own));
  at::Generator generator = at::detail::createCPUGenerator(start.seed + 1);
  const int64_t n = start.vocabulary;
  const int64_t rows = start.pairs / kRow;
  const auto options = at::TensorOptions(at::kLong);
  const at::Tensor ids = at::randint(0, n, {rows, kRow}, generator, options);
  const at::Tensor targets =
      (ids + at::randint(1, n, {rows, kRow}, generator, options)).remainder(n);
  std::vector<double> losses;
  double copies = 0;
  double entropy = 0;
  // A row at a time: the logits of a large vocabulary are large.
  for (int64_t r = 0; r < rows; ++r) {
    const at::Tensor logits =
        model.Logits(model.Hidden({.ids = ids.narrow(0, r, 1)}))
            .to(at::kDouble);
    const at::Tensor log_p = at::log_softmax(logits, 1);
    const at::Tensor loss = -log_p.gather(1, targets[r].unsqueeze(1));
    for (int64_t i = 0; i < kRow; ++i) {
      losses.push_back(loss[i][0].item<double>());
    }
    copies += (logits.argmax(1) == ids[r]).sum().item<double>();
    entropy -= (log_p.exp() * log_p).sum().item<double>();
  }
  const auto count = static_cast<double>(losses.size());
  return {.loss = std::accumulate(losses.begin(), losses.end(), 0.0) / count,
          .loss_error = evaluate::StandardError(losses),
          .copies = copies / count,
          .entropy = entropy / count};
}

}  // namespace ropewalk::lab::studies
