// A small classifier of images, trained here: the eyes that generated images
// are scored with. Its scores compare runs with each other, not with those
// that others print, whose classifier is another.

#ifndef ROPEWALK_LAB_FLOW_CLASSIFIER_H_
#define ROPEWALK_LAB_FLOW_CLASSIFIER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <string>

#include "lab/flow/files.h"
#include "lab/flow/metrics.h"
#include "lab/flow/networks.h"

namespace ropewalk::lab::flow {

struct ClassifierOptions {
  int64_t classes = 10;
  int64_t steps = 1000;
  int64_t batch = 128;
  double rate = 1e-3;  // of Adam
  uint64_t seed = 1;
  at::Device device = at::kCPU;
};

// One thread at a time.
class Classifier {
 public:
  explicit Classifier(const ClassifierOptions& options);

  // `each` is called after every step and may throw. Throws
  // std::invalid_argument for images that are not [N, 1, 28, 28] or not finite
  // and labels that are not one of the classes for each.
  void Train(const LabelledImages& images,
             const std::function<void(int64_t step)>& each = {});
  double Accuracy(const LabelledImages& images) const;  // percent

  // Of images [N, 1, 28, 28]. Throw std::invalid_argument for others.
  at::Tensor Logits(const at::Tensor& images) const;    // [N, classes], CPU
  at::Tensor Features(const at::Tensor& images) const;  // [N, 64], CPU

  // All that its weights follow from but the images: architecture, steps,
  // batch, rate, seed. For the names of files.
  std::string Identity() const;

  // Throw as WriteTensorFile and ReadTensorFile do; Save std::runtime_error for
  // weights that are not finite, Load FormatError for those and for weights of
  // another shape. Nothing has changed then.
  void Save(const std::string& path) const;
  void Load(const std::string& path);

 private:
  at::Tensor InRuns(const at::Tensor& images, bool features) const;

  ClassifierOptions options_;
  ImageReader reader_;
};

// Squared 2-Wasserstein distance of the Gaussians of both sets' features.
//
//   samples, heldout   [N, 1, 28, 28], two or more
//
// Throws std::invalid_argument for other shapes and features that are not
// finite.
double FrechetDistance(const Classifier& classifier, const at::Tensor& samples,
                       const at::Tensor& heldout);

// What generated images are held against: real ones that were not trained on.
struct ImageScores {
  double inception = 0;  // score in [1, classes]
  double frechet = 0;    // squared W2 of the features' Gaussians
  // Share of samples nearer to a training image than 99 in 100 held-out images
  // are: 0.01 is what real images have, far more is memorisation.
  double memorised = 0;
  // Median Euclidean distance to the nearest training image, of pixels in
  // [-1, 1]; of the held-out images beside it.
  double nearest = 0;
  double heldout_nearest = 0;
};

//   samples, heldout, train   [N, 1, 28, 28] in [-1, 1], two or more
//
// Throws std::invalid_argument for other shapes and where one is not finite.
ImageScores ScoreImages(const Classifier& classifier, const at::Tensor& samples,
                        const at::Tensor& heldout, const at::Tensor& train);

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_CLASSIFIER_H_
