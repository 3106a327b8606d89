// Random tensors as functions of seed, purpose and step, so that a run that is
// resumed draws what an unbroken one draws, and the same on every device.

#ifndef ROPEWALK_LAB_FLOW_DRAWS_H_
#define ROPEWALK_LAB_FLOW_DRAWS_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace ropewalk::lab::flow {

// What is drawn. Two purposes never share their numbers; two draws of one
// purpose, seed and step do. Of kEvaluate, step 0, these are Gan::Generate's
// noise and SlicedWasserstein's directions: runs were measured so, and it
// stays; whoever wants the two apart gives them two seeds.
enum class Purpose {
  kWeights,   // of networks at the start
  kTarget,    // batches of data
  kNoise,     // z of a generator, starts of particles
  kPath,      // places on the way from one point to another
  kEvaluate,  // samples that are scored, directions of projections
};

// On the CPU; what it draws is moved to another device afterwards.
at::Generator Draws(uint64_t seed, Purpose purpose, int64_t step = 0);

// Standard normal and uniform in [0, 1), of the type and device of `like`.
at::Tensor Normal(at::IntArrayRef shape, at::Generator& draws,
                  const at::TensorOptions& like);
at::Tensor Uniform(at::IntArrayRef shape, at::Generator& draws,
                   const at::TensorOptions& like);

// The device that "auto" means: CUDA where there is one.
at::Device BestDevice();

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_DRAWS_H_
