#include "lab/nn/parameters.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <utility>

namespace ropewalk::lab::nn {
namespace {

// Deviation of a standard normal cut at +-2: what post 9052's initialiser
// divides by (1 / 1.13684723).
constexpr double kCutDeviation = 0.87962566103423978;

}  // namespace

ParameterMaker::ParameterMaker(const ModelConfig& config, uint64_t seed)
    : config_(config), generator_(at::detail::createCPUGenerator(seed)) {}

double ParameterMaker::Deviation() const {
  if (config_.init == Init::kOrdinary) return 0.02;
  const double order = config_.block == Block::kGau ? 3 : 2;
  return std::pow(static_cast<double>(config_.L), -1 / order) /
         std::sqrt(static_cast<double>(config_.E));
}

at::Tensor ParameterMaker::Normal(std::vector<int64_t> shape,
                                  double deviation) {
  return at::empty(shape, at::kFloat).normal_(0, deviation, generator_);
}

at::Tensor ParameterMaker::TruncatedNormal(std::vector<int64_t> shape,
                                           double deviation) {
  // By the inverse of the normal distribution, over its part within 2
  // deviations; scaled so that the deviation after the cut is the one asked.
  const double edge = std::erf(2 / std::sqrt(2.0));
  at::Tensor x =
      at::empty(shape, at::kDouble).uniform_(-edge, edge, generator_);
  return (x.erfinv_() * (std::sqrt(2.0) * deviation / kCutDeviation))
      .to(at::kFloat);
}

at::Tensor ParameterMaker::Add(const std::string& name, at::Tensor value,
                               Parameter::Kind kind) {
  value.requires_grad_(true);
  parameters_.push_back({name, value, kind});
  return value;
}

at::Tensor ParameterMaker::Matrix(const std::string& name, int64_t rows,
                                  int64_t columns, bool branch) {
  if (config_.init == Init::kDeepNorm) {
    return Add(name, TruncatedNormal({rows, columns}, Deviation()),
               Parameter::Kind::kMatrix);
  }
  const double shrink =
      branch ? std::sqrt(2.0 * static_cast<double>(config_.L)) : 1.0;
  return Add(name, Normal({rows, columns}, Deviation() / shrink),
             Parameter::Kind::kMatrix);
}

at::Tensor ParameterMaker::TokenRows() {
  const std::vector<int64_t> shape = {config_.V, config_.E};
  if (config_.head == Head::kTiedSigma) {
    return Normal(shape, std::log(static_cast<double>(config_.V)) /
                             static_cast<double>(config_.E));
  }
  return config_.init == Init::kDeepNorm ? TruncatedNormal(shape, Deviation())
                                         : Normal(shape, Deviation());
}

at::Tensor ParameterMaker::Embedding(const std::string& name) {
  return Add(name, TokenRows(), Parameter::Kind::kEmbedding);
}

at::Tensor ParameterMaker::Output(const std::string& name) {
  return Add(name, TokenRows(), Parameter::Kind::kMatrix);
}

at::Tensor ParameterMaker::Orthogonal(const std::string& name, int64_t size) {
  const at::Tensor normal =
      at::empty({size, size}, at::kDouble).normal_(0, 1, generator_);
  auto [q, r] = at::linalg_qr(normal);
  // The signs of R make the distribution uniform over rotations.
  const at::Tensor signs = at::sign(r.diagonal());
  return Add(name, (q * signs).to(at::kFloat).contiguous(),
             Parameter::Kind::kMatrix);
}

at::Tensor ParameterMaker::Gain(const std::string& name, int64_t size,
                                double value) {
  return Add(name, at::full({size}, value, at::kFloat), Parameter::Kind::kGain);
}

}  // namespace ropewalk::lab::nn
