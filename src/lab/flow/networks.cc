#include "lab/flow/networks.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/error.h"
#include "lab/flow/draws.h"

namespace ropewalk::lab::flow {
namespace {

constexpr double kLeak = 0.2;
constexpr int64_t kGroups = 8;
using Kind = optim::Parameter::Kind;

at::TensorOptions OptionsOf(const NetworkOptions& options) {
  return at::dtype(options.type).device(options.device);
}

at::Tensor UniformTo(at::IntArrayRef shape, double bound, at::Generator& draws,
                     const NetworkOptions& options) {
  return (Uniform(shape, draws, OptionsOf(options)) * 2 - 1) * bound;
}

// DCGAN's: N(0, 0.02).
at::Tensor Narrow(at::IntArrayRef shape, at::Generator& draws,
                  const NetworkOptions& options) {
  return 0.02 * Normal(shape, draws, OptionsOf(options));
}

double BoundOf(int64_t inputs) {
  return 1 / std::sqrt(static_cast<double>(inputs));
}

// y = x W^T + b.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight,
                  const at::Tensor& bias) {
  return at::linear(x, weight, bias);
}

// Pixels of a map that two steps of stride 2 end or begin with.
int64_t Quarters(const ImageSize& size) {
  Require(size.height > 0 && size.width > 0 && size.height % 4 == 0 &&
              size.width % 4 == 0,
          "image network: height and width are multiples of 4, got " +
              std::to_string(size.height) + "x" + std::to_string(size.width));
  return (size.height / 4) * (size.width / 4);
}

}  // namespace

int64_t Network::Size() const {
  int64_t size = 0;
  for (const optim::Parameter& one : parameters_) size += one.value.numel();
  return size;
}

at::Tensor Network::Add(const std::string& name, const at::Tensor& value,
                        Kind kind) {
  const at::Tensor leaf = value.detach().clone().requires_grad_(true);
  parameters_.push_back({.name = name, .value = leaf, .kind = kind});
  return leaf;
}

Perceptron::Perceptron(const std::vector<int64_t>& widths,
                       const NetworkOptions& options) {
  Require(widths.size() >= 2 &&
              std::ranges::all_of(widths, [](int64_t w) { return w > 0; }),
          "perceptron: two or more widths above 0");
  at::Generator draws = Draws(options.seed, Purpose::kWeights);
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    const double bound = BoundOf(widths[i]);
    const std::string layer = "layer" + std::to_string(i);
    weights_.push_back(
        Add(layer + ".weight",
            UniformTo({widths[i + 1], widths[i]}, bound, draws, options)));
    biases_.push_back(Add(layer + ".bias",
                          UniformTo({widths[i + 1]}, bound, draws, options),
                          Kind::kBias));
  }
}

at::Tensor Perceptron::Forward(const at::Tensor& x) const {
  const int64_t width = weights_.front().size(1);
  Require(x.dim() == 2 && x.size(1) == width,
          "perceptron: points are [N, " + std::to_string(width) + "]");
  at::Tensor y = x;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (i > 0) y = at::leaky_relu(y, kLeak);
    y = Linear(y, weights_[i], biases_[i]);
  }
  return y;
}

AffineMap::AffineMap(const at::Tensor& mean, const at::Tensor& scale) {
  Require(mean.dim() == 1 &&
              scale.sizes() == at::IntArrayRef({mean.size(0), mean.size(0)}),
          "affine map: mean [D], scale [D, D]");
  mean_ = Add("mean", mean, Kind::kBias);
  scale_ = Add("scale", scale);
}

at::Tensor AffineMap::Forward(const at::Tensor& z) const {
  return mean_ + at::matmul(z, scale_.t());
}

at::Tensor AffineMap::Covariance() const {
  return at::matmul(scale_, scale_.t());
}

void RequireImages(const at::Tensor& x, const std::string& what,
                   const ImageSize& size) {
  if (x.dim() == 4 && x.size(0) >= 1 && x.size(1) == 1 &&
      x.size(2) == size.height && x.size(3) == size.width) {
    return;
  }
  std::string shape;
  for (const int64_t one : x.sizes()) {
    shape += (shape.empty() ? "" : ", ") + std::to_string(one);
  }
  throw std::invalid_argument(
      what + ": images are [N, 1, " + std::to_string(size.height) + ", " +
      std::to_string(size.width) + "], got [" + shape + "]");
}

ImageGenerator::ImageGenerator(int64_t Z, int64_t channels,
                               const NetworkOptions& options, double mean_pixel,
                               const ImageSize& size)
    : channels_(channels), size_(size) {
  const int64_t places = Quarters(size);
  Require(Z > 0 && channels > 0 && channels % kGroups == 0,
          "image generator: noise above 0, channels a multiple of 8");
  Require(mean_pixel > -1 && mean_pixel < 1,
          "image generator: a mean pixel lies in (-1, 1)");
  at::Generator draws = Draws(options.seed, Purpose::kWeights);
  const int64_t wide = 2 * channels;
  const auto ones = [&](int64_t n) {
    return at::ones({n}, OptionsOf(options));
  };
  in_ = Add("in.weight",
            UniformTo({wide * places, Z}, BoundOf(Z), draws, options));
  in_bias_ = Add("in.bias", 0 * ones(wide * places), Kind::kBias);
  gain1_ = Add("norm1.gain", ones(wide), Kind::kGain);
  bias1_ = Add("norm1.bias", 0 * ones(wide), Kind::kBias);
  up1_ = Add("up1.weight", Narrow({wide, channels, 4, 4}, draws, options));
  gain2_ = Add("norm2.gain", ones(channels), Kind::kGain);
  bias2_ = Add("norm2.bias", 0 * ones(channels), Kind::kBias);
  up2_ = Add("up2.weight", Narrow({channels, 1, 4, 4}, draws, options));
  up2_bias_ = Add("up2.bias", std::atanh(mean_pixel) * ones(1), Kind::kBias);
}

at::Tensor ImageGenerator::Forward(const at::Tensor& z) const {
  Require(z.dim() == 2 && z.size(1) == in_.size(1),
          "image generator: noise is [N, " + std::to_string(in_.size(1)) + "]");
  at::Tensor y =
      Linear(z, in_, in_bias_)
          .view({z.size(0), 2 * channels_, size_.height / 4, size_.width / 4});
  y = at::relu(at::group_norm(y, kGroups, gain1_, bias1_));
  y = at::conv_transpose2d(y, up1_, {}, 2, 1);
  y = at::relu(at::group_norm(y, kGroups, gain2_, bias2_));
  return at::conv_transpose2d(y, up2_, up2_bias_, 2, 1).tanh();
}

ImageReader::ImageReader(int64_t channels, int64_t hidden, int64_t outputs,
                         const NetworkOptions& options, const ImageSize& size)
    : size_(size) {
  const int64_t places = Quarters(size);
  Require(channels > 0 && hidden >= 0 && outputs > 0,
          "image reader: channels and outputs above 0");
  at::Generator draws = Draws(options.seed, Purpose::kWeights);
  const int64_t wide = 2 * channels;
  const auto add = [&](const std::string& name, at::IntArrayRef shape,
                       int64_t inputs, at::Tensor* weight, at::Tensor* bias) {
    const double bound = BoundOf(inputs);
    *weight = Add(name + ".weight", UniformTo(shape, bound, draws, options));
    *bias = Add(name + ".bias", UniformTo({shape[0]}, bound, draws, options),
                Kind::kBias);
  };
  add("down1", {channels, 1, 4, 4}, 16, &down1_, &down1_bias_);
  add("down2", {wide, channels, 4, 4}, 16 * channels, &down2_, &down2_bias_);
  int64_t inputs = wide * places;
  if (hidden > 0) {
    add("hidden", {hidden, inputs}, inputs, &hidden_, &hidden_bias_);
    inputs = hidden;
  }
  add("out", {outputs, inputs}, inputs, &out_, &out_bias_);
}

at::Tensor ImageReader::Features(const at::Tensor& x) const {
  RequireImages(x, "image reader", size_);
  at::Tensor y = at::leaky_relu(
      at::conv2d(x, down1_, down1_bias_, /*stride=*/2, /*padding=*/1), kLeak);
  y = at::leaky_relu(
      at::conv2d(y, down2_, down2_bias_, /*stride=*/2, /*padding=*/1), kLeak);
  y = y.flatten(1);
  return hidden_.defined() ? at::relu(Linear(y, hidden_, hidden_bias_)) : y;
}

at::Tensor ImageReader::Forward(const at::Tensor& x) const {
  return Linear(Features(x), out_, out_bias_);
}

}  // namespace ropewalk::lab::flow
