#include "position/frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace ropewalk::position {
namespace {

// Multiplies theta_m by scale(m); m counts from 0.
template <typename Scale>
Frequencies Scaled(std::span<const double> theta, const Scale& scale) {
  Frequencies out(theta.begin(), theta.end());
  for (size_t m = 0; m < out.size(); ++m) {
    out[m] *= scale(static_cast<double>(m));
  }
  return out;
}

double RotaryWidth(std::span<const double> theta) {
  return 2 * static_cast<double>(theta.size());
}

}  // namespace

Frequencies PiFrequencies(std::span<const double> theta, double factor) {
  return Scaled(theta, [&](double) { return 1 / factor; });
}

Frequencies NtkOldFrequencies(std::span<const double> theta, double factor) {
  const double log_lambda = 2 / RotaryWidth(theta) * std::log(factor);
  return Scaled(theta, [&](double m) { return std::exp(-m * log_lambda); });
}

Frequencies NtkFixedFrequencies(std::span<const double> theta, double factor) {
  return NtkMixedFrequencies(theta, factor, 1);
}

Frequencies NtkMixedFrequencies(std::span<const double> theta, double factor,
                                double b) {
  // a (m+1)^b = ln factor * ((m+1) / (d/2))^b, in which no power overflows.
  const auto pairs = static_cast<double>(theta.size());
  return Scaled(theta, [&](double m) {
    return std::exp(-std::log(factor) * std::pow((m + 1) / pairs, b));
  });
}

Frequencies DynamicNtkFrequencies(std::span<const double> theta, double factor,
                                  int64_t length, int64_t train_length) {
  const double d = RotaryWidth(theta);
  Require(d > 2,
          "dynamic-ntk: undefined for a rotary width of 2 (its exponent is "
          "d / (d - 2))");
  if (length <= train_length) return {theta.begin(), theta.end()};
  const double stretch =
      factor * static_cast<double>(length) / static_cast<double>(train_length) -
      (factor - 1);
  const double log_base = d / (d - 2) * std::log(stretch);
  return Scaled(theta,
                [&](double m) { return std::exp(-2 * m / d * log_base); });
}

Frequencies YarnFrequencies(std::span<const double> theta,
                            const YarnOptions& options) {
  if (options.factor == 1) return {theta.begin(), theta.end()};
  const double d = RotaryWidth(theta);
  // The pair whose frequency makes `turns` turns in original_length tokens.
  const auto pair_of = [&](double turns) {
    return d *
           std::log(static_cast<double>(options.original_length) /
                    (turns * 2 * std::numbers::pi)) /
           (2 * std::log(options.base));
  };
  const double first = pair_of(options.fast);
  const double last = pair_of(options.slow);
  const bool whole = options.truncates;
  const double low = std::clamp(whole ? std::floor(first) : first, 0.0, d - 1);
  double high = std::clamp(whole ? std::ceil(last) : last, 0.0, d - 1);
  if (low == high) high += 0.001;
  return Scaled(theta, [&](double m) {
    const double interpolated = std::clamp((m - low) / (high - low), 0.0, 1.0);
    return (1 - interpolated) + interpolated / options.factor;
  });
}

double YarnMagnitude(double factor) {
  return factor <= 1 ? 1 : 0.1 * std::log(factor) + 1;
}

Frequencies Llama3Frequencies(std::span<const double> theta,
                              const Llama3Options& options) {
  Frequencies out(theta.begin(), theta.end());
  const auto length = static_cast<double>(options.original_length);
  for (double& frequency : out) {
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength < length / options.high) continue;
    if (wavelength > length / options.low) {
      frequency /= options.factor;
      continue;
    }
    const double kept =
        (length / wavelength - options.low) / (options.high - options.low);
    frequency *= (1 - kept) / options.factor + kept;
  }
  return out;
}

Frequencies CopeFrequencies(std::span<const double> theta, int64_t clip) {
  const auto size = static_cast<int64_t>(theta.size());
  return Scaled(theta, [&](double m) {
    const int64_t i = static_cast<int64_t>(m) - (size - clip);
    if (i < 0) return 1.0;
    // The last factor is 0 by definition; the formula would divide by 0 for
    // clip = 1.
    if (i == clip - 1) return 0.0;
    return 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(i) /
                               static_cast<double>(clip - 1)));
  });
}

int64_t CopeDefaultClip(std::span<const double> theta, int64_t train_length) {
  return std::count_if(theta.begin(), theta.end(), [&](double frequency) {
    return 2 * std::numbers::pi > frequency * static_cast<double>(train_length);
  });
}

}  // namespace ropewalk::position
