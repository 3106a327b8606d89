// The 2-D Gaussian experiment of the MonoFlow notebooks: an affine generator
// x = mu + S z goes from N((1, 1), I) towards N(0, [[1, .8], [.8, .89]]) under
// a loss of the log ratio, which is known, known but held still, or learned.

#ifndef ROPEWALK_LAB_FLOW_GAUSSIAN_CASE_H_
#define ROPEWALK_LAB_FLOW_GAUSSIAN_CASE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lab/flow/metrics.h"

namespace ropewalk::lab::flow {

struct GaussianCase {
  enum class Ratio {
    kThroughQ,  // log r in closed form, differentiated through q's parameters
                // as well: variational inference
    kDetached,  // in closed form, q held still: what a GAN does
    kLearned,   // a discriminator's logit
  };
  std::string loss = "logit";  // as Loss::Parse spells it
  Ratio ratio = Ratio::kDetached;
  int64_t steps = 3000;
  int64_t batch = 1000;
  double rate = 0.01;  // of the generator's Adam
  double discriminator_rate = 1e-4;
  std::vector<int64_t> discriminator = {2, 512, 256, 1};
  uint64_t seed = 1;
  int64_t record_every = 0;  // steps between moments kept; 0: the end alone
  at::Device device = at::kCPU;
};

struct GaussianResult {
  Moments end;                 // of the generator, finite, on the CPU
  std::vector<Moments> along;  // the start among them
  double error = 0;            // GaussianError of `end`
  int64_t steps =
      0;  // that `end` is of; fewer than asked for where it diverged
  std::optional<std::string> diverged;
};

// The larger of |mean| and |covariance - C|, both Euclidean norms of the
// entries, where C is NotebookTarget's; NaN where either is.
double GaussianError(const Moments& moments);

// Every step is looked at after it, the last one included; one that ends in no
// law is taken back. `each` is called after every other and may throw. Throws
// std::invalid_argument for a loss that is none, and steps, batches (2 or
// more) and rates that are not above 0.
GaussianResult RunGaussianCase(const GaussianCase& options,
                               const std::function<void()>& each = {});

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_GAUSSIAN_CASE_H_
