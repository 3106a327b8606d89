// Small seeded tensors, and optimizers driven by given gradients.

#ifndef ROPEWALK_LAB_OPTIM_TENSORS_FOR_TEST_H_
#define ROPEWALK_LAB_OPTIM_TENSORS_FOR_TEST_H_

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "lab/optim/optimizer.h"

namespace ropewalk::lab::optim {

inline at::Tensor RandomTensor(Rng& rng, at::IntArrayRef shape,
                               double deviation = 1) {
  at::Tensor tensor = at::empty(shape, at::kDouble);
  auto* data = tensor.data_ptr<double>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    data[i] = deviation * rng.Normal();
  }
  return tensor;
}

inline Parameter MakeParameter(
    const std::string& name, const at::Tensor& value,
    Parameter::Kind kind = Parameter::Kind::kMatrix) {
  return {name, value.detach().clone().set_requires_grad(true), kind};
}

// One of each kind, float64 numbers that float32 holds; sizes around the
// vector widths.
inline std::vector<Parameter> SomeParameters(uint64_t seed,
                                             at::ScalarType type = at::kFloat) {
  Rng rng(seed);
  const auto make = [&](at::IntArrayRef shape, double deviation, double mean) {
    return (RandomTensor(rng, shape, deviation) + mean).to(at::kFloat).to(type);
  };
  return {
      MakeParameter("embedding", make({11, 17}, 0.02, 0),
                    Parameter::Kind::kEmbedding),
      MakeParameter("matrix", make({9, 33}, 0.05, 0)),
      MakeParameter("gain", make({17}, 0.1, 1), Parameter::Kind::kGain),
      MakeParameter("bias", make({7}, 0.1, 0), Parameter::Kind::kBias),
  };
}

// Sets every .grad(), the same numbers for every type.
inline void SetGradients(const std::vector<Parameter>& parameters,
                         uint64_t seed, double deviation = 1) {
  Rng rng(seed);
  for (const Parameter& parameter : parameters) {
    parameter.value.mutable_grad() =
        RandomTensor(rng, parameter.value.sizes(), deviation)
            .to(at::kFloat)
            .to(parameter.value.scalar_type());
  }
}

inline std::vector<double> Values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous();
  const auto* data = flat.data_ptr<double>();
  return {data, data + flat.numel()};
}

inline bool BitEqual(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && at::equal(a, b);
}

inline double LargestDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach().to(at::kDouble) - b.detach().to(at::kDouble))
      .abs()
      .max()
      .item<double>();
}

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_TENSORS_FOR_TEST_H_
