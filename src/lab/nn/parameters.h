// The weights of a model under construction: named, initialised, counted.

#ifndef ROPEWALK_LAB_NN_PARAMETERS_H_
#define ROPEWALK_LAB_NN_PARAMETERS_H_

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lab/nn/config.h"
#include "lab/optim/optimizer.h"

namespace ropewalk::lab::nn {

using optim::Parameter;

// Makes parameters and fills them from one seeded stream, so that a seed and a
// config are a model, on every device.
class ParameterMaker {
 public:
  ParameterMaker(const ModelConfig& config, uint64_t seed);

  // [rows, columns]; `branch` for the matrices that write into the residual
  // stream (ordinary init shrinks them by sqrt(2 L)).
  at::Tensor Matrix(const std::string& name, int64_t rows, int64_t columns,
                    bool branch = false);
  at::Tensor Embedding(const std::string& name);  // [V, E]
  // An output matrix of its own, filled like an embedding. Its gradient is
  // dense, so no rule for rows of rare tokens is meant for it.
  at::Tensor Output(const std::string& name);  // [V, E]
  // [size, size], orthogonal.
  at::Tensor Orthogonal(const std::string& name, int64_t size);
  at::Tensor Gain(const std::string& name, int64_t size, double value = 1);

  std::vector<Parameter> Take() { return std::move(parameters_); }

 private:
  at::Tensor TokenRows();  // [V, E], as the config's init has it
  at::Tensor Add(const std::string& name, at::Tensor value,
                 Parameter::Kind kind);
  // Deviation of matrices under the config's init.
  double Deviation() const;
  at::Tensor Normal(std::vector<int64_t> shape, double deviation);
  at::Tensor TruncatedNormal(std::vector<int64_t> shape, double deviation);

  const ModelConfig& config_;
  at::Generator generator_;
  std::vector<Parameter> parameters_;
};

}  // namespace ropewalk::lab::nn

#endif  // ROPEWALK_LAB_NN_PARAMETERS_H_
