// The small networks of a GAN: perceptrons for points, convolutions for
// images, and the affine map x = mu + S z of the Gaussian experiments.
//
// Nothing here looks at more than one sample at a time: batch normalisation in
// a generator would make a sample's velocity depend on the rest of its batch,
// so the convolutional one normalises each sample by groups of channels.

#ifndef ROPEWALK_LAB_FLOW_NETWORKS_H_
#define ROPEWALK_LAB_FLOW_NETWORKS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lab/optim/optimizer.h"

namespace ropewalk::lab::flow {

// Parameters are leaves that ask for gradients; copies share them.
class Network {
 public:
  virtual ~Network() = default;
  virtual at::Tensor Forward(const at::Tensor& x) const = 0;
  const std::vector<optim::Parameter>& parameters() const {
    return parameters_;
  }
  // Numbers in all parameters.
  int64_t Size() const;

 protected:
  at::Tensor Add(const std::string& name, const at::Tensor& value,
                 optim::Parameter::Kind kind = optim::Parameter::Kind::kMatrix);

 private:
  std::vector<optim::Parameter> parameters_;
};

struct NetworkOptions {
  uint64_t seed = 1;
  at::Device device = at::kCPU;
  at::ScalarType type = at::kFloat;
};

// Linear layers with LeakyReLU 0.2 between them, initialised as torch does:
// uniform up to 1 / sqrt(inputs). [N, widths.front()] -> [N, widths.back()].
class Perceptron : public Network {
 public:
  // Throws std::invalid_argument unless there are two or more positive widths.
  Perceptron(const std::vector<int64_t>& widths, const NetworkOptions& options);
  at::Tensor Forward(const at::Tensor& x) const override;

 private:
  std::vector<at::Tensor> weights_, biases_;
};

// x = mu + S z, the generator of the MonoFlow notebooks.
class AffineMap : public Network {
 public:
  AffineMap(const at::Tensor& mean, const at::Tensor& scale);  // [D], [D, D]
  at::Tensor Forward(const at::Tensor& z) const override;
  at::Tensor Mean() const { return mean_; }
  at::Tensor Covariance() const;  // S S^T

 private:
  at::Tensor mean_, scale_;
};

// Height and width of the images that the networks below take and give where
// nothing else is said, those of MNIST and Fashion-MNIST.
inline constexpr int64_t kImageSide = 28;

struct ImageSize {
  int64_t height = kImageSide;  // multiples of 4
  int64_t width = kImageSide;
};

// Throws std::invalid_argument, which begins with `what`, unless x is
// [N, 1, height, width], N >= 1.
void RequireImages(const at::Tensor& x, const std::string& what,
                   const ImageSize& size = {});

// Noise [N, Z] -> images [N, 1, H, W] in [-1, 1]: a linear layer to H/4 x W/4,
// two transposed convolutions; group norm and ReLU between them.
class ImageGenerator : public Network {
 public:
  //   channels    of the widest map but one, a multiple of 8
  //   mean_pixel  what the last bias alone gives, in (-1, 1): that of the data
  //               spares a generator the way from grey
  //
  // Throws std::invalid_argument.
  ImageGenerator(int64_t Z, int64_t channels, const NetworkOptions& options,
                 double mean_pixel = 0, const ImageSize& size = {});
  at::Tensor Forward(const at::Tensor& z) const override;

 private:
  int64_t channels_;
  ImageSize size_;
  at::Tensor in_, in_bias_, gain1_, bias1_, up1_, gain2_, bias2_, up2_;
  at::Tensor up2_bias_;
};

// Images [N, 1, H, W] -> [N, outputs]: two convolutions of stride 2 with
// LeakyReLU 0.2, and linear layers. With one output a discriminator's logit.
// Throws std::invalid_argument for images of another shape than `size`.
class ImageReader : public Network {
 public:
  //   hidden   width of a layer between, which Features gives; 0: none
  ImageReader(int64_t channels, int64_t hidden, int64_t outputs,
              const NetworkOptions& options, const ImageSize& size = {});
  at::Tensor Forward(const at::Tensor& x) const override;
  at::Tensor Features(const at::Tensor& x) const;

 private:
  ImageSize size_;
  at::Tensor down1_, down1_bias_, down2_, down2_bias_;
  at::Tensor hidden_, hidden_bias_, out_, out_bias_;
};

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_NETWORKS_H_
