#include "lab/flow/draws.h"

#include <ATen/CPUGeneratorImpl.h>

namespace ropewalk::lab::flow {
namespace {

// The finaliser of SplitMix64: neighbouring seeds give unrelated numbers.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

at::Generator Draws(uint64_t seed, Purpose purpose, int64_t step) {
  const uint64_t key = Mix(Mix(Mix(seed) + static_cast<uint64_t>(purpose)) +
                           static_cast<uint64_t>(step));
  return at::detail::createCPUGenerator(key);
}

at::Tensor Normal(at::IntArrayRef shape, at::Generator& draws,
                  const at::TensorOptions& like) {
  return at::randn(shape, draws, like.device(at::kCPU)).to(like.device());
}

at::Tensor Uniform(at::IntArrayRef shape, at::Generator& draws,
                   const at::TensorOptions& like) {
  return at::rand(shape, draws, like.device(at::kCPU)).to(like.device());
}

at::Device BestDevice() { return at::hasCUDA() ? at::kCUDA : at::kCPU; }

}  // namespace ropewalk::lab::flow
